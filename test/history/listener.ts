/**
 * A subscriber that comes and goes. It does what a good client does: it keeps the last position it can
 * vouch for, and asks from there when it comes back. Everything it sees is noted.
 */
import type { Encoding } from "../../src/protocol/codec.ts";
import type {
  Gap,
  Message,
  OutboundMessage,
  StreamPosition,
  Subscription,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { textOf } from "../client.ts";
import {
  type Ask,
  type ChannelFact,
  type Grade,
  type Place,
  type SeenEvent,
  type SeenGap,
  unpadded,
} from "./facts.ts";
import type { LifeHost } from "./host.ts";
import { Wire } from "./wire.ts";

export interface ListenerOptions {
  readonly name: string;
  readonly encoding: Encoding;
  readonly grade: Grade;
  readonly host: LifeHost;
  /** Takes what this listener sees of a channel; undefined when its connection is gone. */
  readonly note: (channel: string, fact: ChannelFact) => void;
  readonly dropped: () => void;
  /** Takes what should not have happened at all. */
  readonly complain: (problem: string) => void;
}

/** What is known of a channel that is wanted. */
interface Interest {
  /** The last position to come back to; undefined where there is none. */
  place: Place | undefined;
  /** What is asked for and not told yet: the acknowledgement, or the verdict behind it. */
  waiting: "ack" | "verdict" | "nothing";
  /** Whether the server holds the subscription. */
  held: boolean;
}

const NOTHING: Ask = { recover: false, since: undefined, rewind: 0 };

let requests = 0;

export class Listener {
  readonly name: string;
  readonly grade: Grade;
  readonly #options: ListenerOptions;
  readonly #interests = new Map<string, Interest>();
  readonly #acks = new Map<
    string,
    { readonly channels: readonly string[]; readonly asks: boolean[] }
  >();
  readonly #leaving = new Map<string, string>();
  #wire: Wire | undefined;
  #opening = false;
  #connecting = false;

  constructor(options: ListenerOptions) {
    this.name = options.name;
    this.grade = options.grade;
    this.#options = options;
  }

  /** Whether there is a connection, or one is being opened. */
  get here(): boolean {
    return this.#wire !== undefined || this.#opening;
  }

  /** Whether it is connected and waits for no answer. */
  get idle(): boolean {
    if (this.#wire === undefined || this.#connecting || this.#leaving.size > 0) return false;
    return [...this.#interests.values()].every(({ waiting }) => waiting === "nothing");
  }

  /** Whether it can be asked to subscribe or to unsubscribe. */
  get connected(): boolean {
    return this.#wire !== undefined && !this.#connecting;
  }

  get channels(): readonly string[] {
    return [...this.#interests.keys()];
  }

  /** Where it has got to in a channel that it is subscribed to. */
  place(channel: string): Place | undefined {
    const interest = this.#interests.get(channel);
    return interest?.held ? interest.place : undefined;
  }

  /**
   * Comes back with all its channels.
   *
   * @param inConnect whether it subscribes in connect or behind it
   * @param distort may change the position of a channel
   */
  async come(
    place: number,
    inConnect: boolean,
    distort: (channel: string, place: Place | undefined) => Place | undefined,
  ): Promise<void> {
    if (this.here) return;
    this.#opening = true;
    const { host, encoding } = this.#options;
    let wire: Wire;
    try {
      const socket = await host.open(encoding, place);
      wire = new Wire(socket, encoding, {
        received: (message) => this.#received(message),
        lost: () => this.#lost(wire),
      });
    } catch {
      // The host is away: the next attempt may find it.
      return;
    } finally {
      this.#opening = false;
    }
    this.#wire = wire;
    this.#connecting = true;
    const capabilities = { v1: [], extended: ["control"], recovery: ["recovery", "control"] };
    const channels = this.channels;
    const asks = channels.map((channel) => this.#returning(channel, distort));
    const subscriptions = inConnect ? this.#asking(channels, asks) : [];
    const { name, grade } = this;
    const value = {
      clientId: name,
      token: name,
      capabilities: capabilities[grade],
      subscriptions,
    };
    const id = wire.send({ envelope: { case: "connect", value } });
    const remember = (subscribed: string, names: readonly string[], asked: readonly Ask[]) =>
      this.#acks.set(subscribed, { channels: names, asks: asked.map(askes) });
    remember(id, inConnect ? channels : [], inConnect ? asks : []);
    if (!inConnect && channels.length > 0) {
      const value = { subscriptions: this.#asking(channels, asks) };
      remember(wire.send({ envelope: { case: "subscribe", value } }), channels, asks);
    }
  }

  /** Ends its connection. */
  drop(rudely: boolean): void {
    this.#wire?.end(rudely);
  }

  /** Subscribes to a channel, or again. */
  subscribe(channel: string, ask: Ask = NOTHING): void {
    const wire = this.#wire;
    if (wire === undefined || this.#busy(channel)) return;
    const value = { subscriptions: this.#asking([channel], [ask]) };
    const id = wire.send({ envelope: { case: "subscribe", value } });
    this.#acks.set(id, { channels: [channel], asks: [askes(ask)] });
  }

  /** Asks to catch up from where it is, while it is subscribed. */
  catchUp(channel: string): void {
    const since = this.grade === "recovery" ? this.place(channel) : undefined;
    if (since !== undefined) this.subscribe(channel, { ...NOTHING, since });
  }

  unsubscribe(channel: string): void {
    const wire = this.#wire;
    if (wire === undefined || this.#busy(channel) || !this.#interests.has(channel)) return;
    this.#options.note(channel, { kind: "unsubscribe" });
    const value = { subscriptions: [{ channel }] };
    this.#leaving.set(wire.send({ envelope: { case: "unsubscribe", value } }), channel);
  }

  #busy(channel: string): boolean {
    const interest = this.#interests.get(channel);
    if (interest !== undefined && interest.waiting !== "nothing") return true;
    return [...this.#leaving.values()].includes(channel);
  }

  /** What it asks for when it comes back. */
  #returning(
    channel: string,
    distort: (channel: string, place: Place | undefined) => Place | undefined,
  ): Ask {
    if (this.grade !== "recovery") return NOTHING;
    const since = distort(channel, this.#interests.get(channel)?.place);
    return { recover: true, since, rewind: 0 };
  }

  /** The entries of a request, which is noted. */
  #asking(channels: readonly string[], asks: readonly Ask[]) {
    requests += 1;
    const request = requests;
    return channels.map((channel, index) => {
      const ask = asks[index] ?? NOTHING;
      this.#options.note(channel, { kind: "subscribe", request, ask });
      const interest = this.#interests.get(channel);
      if (interest !== undefined) interest.waiting = "ack";
      else {
        const fresh: Interest = { place: ask.since, waiting: "ack", held: false };
        this.#interests.set(channel, fresh);
      }
      const { recover, since, rewind } = ask;
      const position = since && { epoch: since.epoch, offset: BigInt(since.offset) };
      return { channel, recover, rewind, ...(position && { since: position }) };
    });
  }

  #lost(wire: Wire): void {
    if (this.#wire !== wire) return;
    this.#wire = undefined;
    this.#connecting = false;
    this.#acks.clear();
    for (const channel of this.#leaving.values()) this.#interests.delete(channel);
    this.#leaving.clear();
    for (const interest of this.#interests.values()) {
      interest.waiting = "nothing";
      interest.held = false;
    }
    this.#options.dropped();
  }

  #received(message: OutboundMessage): void {
    const { envelope, id } = message;
    const { note, complain } = this.#options;
    switch (envelope.case) {
      case "connected":
        this.#connecting = false;
        this.#acknowledged(id, envelope.value.subscriptions);
        return;
      case "subscribeAck":
        this.#acknowledged(id, envelope.value.subscriptions);
        return;
      case "unsubscribeAck": {
        const channel = this.#leaving.get(id);
        this.#leaving.delete(id);
        if (channel === undefined) complain("unsubscribe_ack without a request");
        else {
          note(channel, { kind: "unsubscribed" });
          this.#interests.delete(channel);
        }
        return;
      }
      case "publication":
        for (const delivered of envelope.value.messages) this.#message(delivered);
        return;
      case "recovered": {
        const { channel, position, gap } = envelope.value;
        const place = placeOf(position);
        note(channel, { kind: "recovered", position: place, gap: gap && gapOf(gap) });
        const interest = this.#interests.get(channel);
        if (interest?.waiting === "verdict") interest.waiting = "nothing";
        if (interest !== undefined) interest.place = place;
        return;
      }
      case "gap": {
        const { channel } = envelope.value;
        const gap = gapOf(envelope.value);
        note(channel, { kind: "gap", gap });
        const interest = this.#interests.get(channel);
        if (interest !== undefined && gap.until !== undefined) interest.place = gap.until;
        return;
      }
      case "error": {
        // A v1 client is refused as a whole; one that is extended is told entry by entry.
        const request = this.#acks.get(id);
        if (request === undefined || this.grade !== "v1") {
          complain(`${this.name} is told ${envelope.value.code} ${envelope.value.message}`);
        }
        this.#acks.delete(id);
        for (const channel of request?.channels ?? []) {
          note(channel, { kind: "ack", position: undefined, error: envelope.value.code });
          this.#interests.delete(channel);
        }
        return;
      }
      case "disconnect":
        return;
      default:
        complain(`${this.name} is sent ${envelope.case}`);
    }
  }

  #acknowledged(id: string, entries: readonly Subscription[]): void {
    const request = this.#acks.get(id);
    this.#acks.delete(id);
    if (request === undefined || entries.length !== request.channels.length) {
      this.#options.complain(`${this.name} is acknowledged what it did not ask for`);
      return;
    }
    entries.forEach(({ channel, position, error }, index) => {
      const place = placeOf(position);
      this.#options.note(channel, { kind: "ack", position: place, error: error?.code });
      const interest = this.#interests.get(channel);
      if (interest === undefined) return;
      if (error !== undefined) {
        interest.waiting = "nothing";
        if (!interest.held) this.#interests.delete(channel);
        return;
      }
      const asks = request.asks[index] === true;
      interest.waiting = asks ? "verdict" : "nothing";
      // What was asked for and is not told yet may begin with a hole: only the verdict says.
      if (!asks && !interest.held) interest.place = place;
      interest.held = true;
    });
  }

  #message({ channel, id, offset, payload, epoch, replay, publisher }: Message): void {
    const extended = this.grade !== "v1";
    // A v1 client finds the epoch in the id alone.
    const cut = id.lastIndexOf("-");
    const place = { epoch: id.slice(0, cut), offset: Number(id.slice(cut + 1)) };
    if (Number(offset) !== place.offset || (extended && epoch !== place.epoch)) {
      this.#options.complain(`${this.name} is sent ${epoch}-${offset} under the id ${id}`);
    }
    const event: SeenEvent = {
      text: unpadded(textOf(payload)),
      id: payload?.id ?? "",
      source: extended ? payload?.source : undefined,
      user: extended && this.#options.host.authenticates ? publisher?.userId : undefined,
    };
    this.#options.note(channel, { kind: "message", place, event, replay });
    const interest = this.#interests.get(channel);
    if (interest !== undefined && interest.waiting !== "verdict") interest.place = place;
  }
}

function askes({ recover, since, rewind }: Ask): boolean {
  return recover || since !== undefined || rewind > 0;
}

export function placeOf(position: StreamPosition | undefined): Place | undefined {
  return position && { epoch: position.epoch, offset: Number(position.offset) };
}

function gapOf({ reason, after, until }: Gap): SeenGap {
  return { reason, after: placeOf(after), until: placeOf(until) };
}
