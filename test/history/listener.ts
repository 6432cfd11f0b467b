/**
 * A subscriber that comes and goes. It does what a good client does: it keeps the last position it can
 * vouch for, and asks from there when it comes back. Everything it sees is noted.
 */
import type { Encoding } from "../../src/protocol/codec.ts";
import type {
  Message,
  OutboundMessage,
  Subscription,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { textOf } from "../support/client.ts";
import {
  type Ask,
  type ChannelFact,
  type Grade,
  type PatternFact,
  type Place,
  type SeenEvent,
  unpadded,
} from "./facts.ts";
import type { LifeHost } from "./host.ts";
import { type Distort, PatternInterest } from "./pattern-interest.ts";
import { askes, gapOf, placeOf, sameAs } from "./told.ts";
import { Wire } from "./wire.ts";

export interface ListenerOptions {
  readonly name: string;
  readonly encoding: Encoding;
  readonly grade: Grade;
  /** What it is subscribed to beside its channels. */
  readonly pattern: string | undefined;
  readonly host: LifeHost;
  /** Takes what this listener sees of a channel. */
  readonly note: (channel: string, fact: ChannelFact) => void;
  readonly notePattern: (pattern: string, fact: PatternFact) => void;
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
  /** Whether it takes compact frames, as it does in every other session. */
  #compact = false;
  readonly pattern: string | undefined;
  readonly #options: ListenerOptions;
  readonly #interests = new Map<string, Interest>();
  readonly #pattern: PatternInterest | undefined;
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
    const { pattern, grade, notePattern } = options;
    this.pattern = pattern;
    if (pattern !== undefined) {
      const note = (fact: PatternFact) => notePattern(pattern, fact);
      this.#pattern = new PatternInterest(pattern, grade === "recovery", note);
    }
  }

  /** Whether there is a connection, or one is being opened. */
  get here(): boolean {
    return this.#wire !== undefined || this.#opening;
  }

  /** Whether it is connected and waits for no answer. */
  get idle(): boolean {
    if (this.#wire === undefined || this.#connecting || this.#leaving.size > 0) return false;
    if (this.#pattern?.busy) return false;
    return [...this.#interests.values()].every(({ waiting }) => waiting === "nothing");
  }

  /** Whether it can be asked to subscribe or to unsubscribe. */
  get connected(): boolean {
    return this.#wire !== undefined && !this.#connecting;
  }

  get hasPattern(): boolean {
    return this.#pattern?.wanted === true;
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
   */
  async come(place: number, inConnect: boolean, distort: Distort): Promise<void> {
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
    this.#compact = !this.#compact;
    const compact = this.#compact && this.grade !== "v1" ? ["compact"] : [];
    const channels = this.channels;
    const asks = channels.map((channel) => this.#returning(channel, distort));
    const pattern = this.#pattern?.wanted ? this.#pattern : undefined;
    const entries = () => {
      const exact = this.#asking(channels, asks);
      return pattern ? [...exact, pattern.entry(requests, channels, distort)] : exact;
    };
    const subscriptions = inConnect ? entries() : [];
    const { name, grade } = this;
    const value = {
      clientId: name,
      token: name,
      capabilities: [...capabilities[grade], ...compact],
      subscriptions,
    };
    const id = wire.send({ envelope: { case: "connect", value } });
    const names = pattern ? [...channels, pattern.name] : channels;
    const remember = (subscribed: string) =>
      this.#acks.set(subscribed, { channels: names, asks: asks.map(askes) });
    if (inConnect) remember(id);
    else {
      this.#acks.set(id, { channels: [], asks: [] });
      if (names.length === 0) return;
      remember(wire.send({ envelope: { case: "subscribe", value: { subscriptions: entries() } } }));
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

  /** Leaves its pattern, or subscribes to it anew. */
  togglePattern(): void {
    const wire = this.#wire;
    const pattern = this.#pattern;
    if (wire === undefined || pattern === undefined || !this.idle) return;
    const { name } = pattern;
    if (pattern.wanted) {
      pattern.leave();
      const value = { subscriptions: [{ channel: name }] };
      this.#leaving.set(wire.send({ envelope: { case: "unsubscribe", value } }), name);
    } else {
      requests += 1;
      const value = { subscriptions: [pattern.entry(requests, [], (_, place) => place)] };
      const id = wire.send({ envelope: { case: "subscribe", value } });
      this.#acks.set(id, { channels: [name], asks: [] });
    }
  }

  #busy(channel: string): boolean {
    // While it catches up with its pattern everything of a channel waits for that.
    if (this.#pattern?.busy) return true;
    const interest = this.#interests.get(channel);
    if (interest !== undefined && interest.waiting !== "nothing") return true;
    return [...this.#leaving.values()].includes(channel);
  }

  /** What it asks for when it comes back. */
  #returning(channel: string, distort: Distort): Ask {
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
        // What has come by a pattern says more than the head, which it may not have come to.
        const place = ask.since ?? this.#pattern?.place(channel);
        const fresh: Interest = { place, waiting: "ack", held: false };
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
    this.#pattern?.lost();
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
        else if (channel === this.#pattern?.name) this.#pattern.left();
        else {
          note(channel, { kind: "unsubscribed" });
          this.#end(channel);
        }
        return;
      }
      case "publication":
        for (const delivered of envelope.value.messages) this.#message(delivered);
        return;
      case "recovered": {
        const { channel, position, gap } = envelope.value;
        const place = placeOf(position);
        const told = gap && gapOf(gap);
        if (channel === this.#pattern?.name) {
          this.#pattern.recovered(place, told);
          return;
        }
        note(channel, { kind: "recovered", position: place, gap: told });
        const interest = this.#interests.get(channel);
        // A channel that has not answered is told with the client's own words.
        const unheard = told?.reason === "unavailable" && sameAs(told.after, place);
        if (interest === undefined && !unheard) this.#pattern?.told(channel, place);
        if (interest?.waiting === "verdict") interest.waiting = "nothing";
        if (interest !== undefined) interest.place = place;
        return;
      }
      case "gap": {
        const { channel } = envelope.value;
        const gap = gapOf(envelope.value);
        if (channel === this.#pattern?.name) {
          this.#pattern.gap(gap);
          return;
        }
        note(channel, { kind: "gap", gap });
        const interest = this.#interests.get(channel);
        if (gap.until === undefined) return;
        if (interest !== undefined) interest.place = gap.until;
        else this.#pattern?.reached(channel, gap.until);
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
          if (channel === this.#pattern?.name) {
            this.#pattern.acknowledged(undefined, envelope.value.code);
            continue;
          }
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
      if (channel === this.#pattern?.name) {
        this.#pattern.acknowledged(place, error?.code);
        return;
      }
      this.#options.note(channel, { kind: "ack", position: place, error: error?.code });
      const interest = this.#interests.get(channel);
      if (interest === undefined) return;
      if (error !== undefined) {
        interest.waiting = "nothing";
        if (!interest.held) this.#end(channel);
        return;
      }
      const asks = request.asks[index] === true;
      interest.waiting = asks ? "verdict" : "nothing";
      // What was asked for and is not told yet may begin with a hole: only the verdict says.
      if (!asks && !interest.held && !this.#pattern?.held) interest.place = place;
      interest.held = true;
    });
  }

  /** It is subscribed to a channel no more, except by its pattern. */
  #end(channel: string): void {
    this.#pattern?.keep(channel, this.#interests.get(channel)?.place);
    this.#interests.delete(channel);
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
    if (interest === undefined) this.#pattern?.reached(channel, place);
    else if (interest.waiting !== "verdict") interest.place = place;
  }
}
