/**
 * The transport of server-sent events, for clients that read only. Each channel and each pattern is a stream of its own;
 * to the client they look like one connection, which can subscribe and nothing else.
 */
import { MessagingError } from "../../protocol/errors.ts";
import { systemClock } from "../core/environment.ts";
import { isPattern } from "../core/patterns.ts";
import type {
  Clock,
  Transport,
  TransportEnd,
  TransportEvents,
  TransportFactory,
} from "../core/ports.ts";
import type { Frame, InboundFrame, Position, SubscriptionRequest } from "../wire/frames.ts";
import { beside } from "./address.ts";
import { eventId, LOST_PATTERN, patternPart } from "./event-id.ts";
import type { ServerEvent } from "./event-lines.ts";
import { EventReader } from "./event-reader.ts";
import { type Fetch, ownFetch } from "./fetch.ts";
import { formOf } from "./forms.ts";

export interface EventStreamOptions {
  /**
   * Brings a ticket for a channel or a pattern, whenever a stream of it begins: the application's own server has it made by
   * `CreateTicket`. What it throws is tried again.
   */
  readonly ticket?: (channel: string) => string | Promise<string>;
  /** An API key with the right `read`, of programs that are no page. */
  readonly key?: string;
  /** What `channels/` lies beside, such as `https://example.com/ws`. Default: the client's own URL. */
  readonly url?: string;
  /** What `transport.stream.heartbeat_interval` of the server is, in milliseconds. Default 15,000. */
  readonly heartbeatMs?: number;
  /** In the place of the global one. */
  readonly fetch?: Fetch;
  /** Time and chance, for tests. */
  readonly clock?: Clock;
}

/** No close code came. */
const LOST = 1006;
const HEARTBEAT_MS = 15_000;
const MISSED_HEARTBEATS = 3;
/** Messages, and events that are envelopes of the protocol. */
const KNOWN: readonly string[] = ["message", "subscribed", "unsubscribed", "gap", "disconnect"];
/** How long subscriptions of one request wait for each other, in milliseconds. */
const ANSWER_MS = 8_000;

/**
 * Server-sent events, where it suffices to read: `subscribe` works, and every other request is refused with
 * `UNIMPLEMENTED`.
 *
 * @example
 * const ticket = () => fetch("/ticket", { method: "POST" }).then((answer) => answer.text());
 * const client = await dial("/ws", { transport: eventStream({ ticket }) });
 */
export function eventStream(options: EventStreamOptions = {}): TransportFactory {
  return {
    name: "event-stream",
    open: (url, subprotocol, events) => {
      if (formOf(subprotocol).type !== "json") {
        throw new MessagingError("UNAVAILABLE", "event streams speak JSON alone");
      }
      return new EventStreams(options, beside(options.url ?? url, "channels/").href, events);
    },
  };
}

/** A stream, and what the client knows of it. */
interface Subscribed {
  readonly reader: EventReader;
  hasBegun: boolean;
  /** Where it has begun, as its server says; of a pattern that catches up where its client was before. */
  position: Position | undefined;
  /** Of a pattern that catches up: the id of its first event, and where it has begun; undefined when it has. */
  behind: { readonly id: string; readonly position: Position } | undefined;
  /** Events that come before their subscription is acknowledged; undefined when it is. */
  held: ServerEvent[] | undefined;
  /** Of a channel that goes on: where it has caught up; undefined when it has. */
  head: Position | undefined;
}

/** An entry of an acknowledgement. */
interface Answer {
  readonly channel: string;
  readonly position?: Position | undefined;
  readonly error?: { readonly code: string; readonly message: string };
}

class EventStreams implements Transport {
  readonly #options: EventStreamOptions;
  readonly #clock: Clock;
  readonly #base: string;
  readonly #events: TransportEvents;
  readonly #streams = new Map<string, Subscribed>();
  readonly #timers = new Set<() => void>();
  #isOver = false;

  constructor(options: EventStreamOptions, base: string, events: TransportEvents) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#base = base;
    this.#events = events;
    this.#soon(() => events.opened());
  }

  send(frame: Frame): void {
    if (this.#isOver) return;
    const request = JSON.parse(String(frame)) as InboundFrame;
    const { connect, subscribe, unsubscribe, id } = request;
    if (connect !== undefined) this.#connect(request);
    else if (subscribe !== undefined) {
      this.#subscribe(subscribe.subscriptions, (subscriptions) => {
        this.#tell({ id, subscribe_ack: { subscriptions } });
      });
    } else if (unsubscribe !== undefined) {
      for (const { channel } of unsubscribe.subscriptions) this.#leave(channel);
      this.#soon(() => this.#tell({ id, unsubscribe_ack: unsubscribe }));
    } else if (id) {
      const error = { code: "UNIMPLEMENTED", message: "an event stream only reads" };
      this.#soon(() => this.#tell({ id, error }));
    }
  }

  /** Every stream has a watch of its own. */
  ping(): void {
    this.#soon(() => this.#events.alive());
  }

  close(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#shut();
    queueMicrotask(() => this.#events.ended({ code, reason }));
  }

  #connect({ id, connect }: InboundFrame): void {
    this.#subscribe(connect?.subscriptions ?? [], (subscriptions) => {
      const isLost = ({ error }: Answer): boolean => error?.code === "UNAVAILABLE";
      // Who can read nothing of what it wants has no connection.
      if (subscriptions.length > 0 && subscriptions.every(isLost)) {
        this.#end({ code: LOST, reason: subscriptions[0]?.error?.message ?? "" });
        return;
      }
      this.#tell({ id, time: this.#clock.now(), connected: { subscriptions } });
    });
  }

  /** Begins streams. @param answer is given what became of them, when that is known of all */
  #subscribe(requests: readonly SubscriptionRequest[], answer: (answers: Answer[]) => void): void {
    const answers = new Map<string, Answer>();
    const begun = new Map<string, Subscribed>();
    /** Whether its stream is of this request, and of no later one. */
    const isOwn = (channel: string): boolean => {
      const stream = begun.get(channel);
      return stream !== undefined && stream === this.#streams.get(channel);
    };
    let isAnswered = false;
    const finish = (): void => {
      if (isAnswered || this.#isOver) return;
      isAnswered = true;
      stopTimer();
      const late = { code: "UNAVAILABLE", message: "the event stream does not begin" };
      for (const { channel } of requests) {
        if (answers.has(channel)) continue;
        if (isOwn(channel)) this.#leave(channel);
        answers.set(channel, { channel, error: late });
      }
      answer(requests.map(({ channel }) => answers.get(channel) ?? { channel }));
      for (const request of requests) if (isOwn(request.channel)) this.#release(request);
    };
    const stopTimer = this.#after(ANSWER_MS, finish);
    const settle = (one: Answer): void => {
      answers.set(one.channel, one);
      if (answers.size === new Set(requests.map(({ channel }) => channel)).size) finish();
    };
    if (requests.length === 0) this.#soon(finish);
    for (const request of requests) {
      const { channel } = request;
      const { held, position } = this.#streams.get(channel) ?? { held: [] };
      // A pattern that is renewed goes on as it is. What else is asked for again has had no answer, or is wanted anew.
      if (isPattern(channel) && held === undefined) this.#soon(() => settle({ channel, position }));
      else {
        this.#leave(channel);
        const stream = this.#begin(request, settle);
        if (stream !== undefined) begun.set(channel, stream);
      }
    }
  }

  #begin(request: SubscriptionRequest, settle: (answer: Answer) => void): Subscribed | undefined {
    const { channel } = request;
    const refuse = ({ code, message }: MessagingError): void =>
      settle({ channel, error: { code, message } });
    if (request.rewind !== undefined) {
      const error = new MessagingError("BAD_REQUEST", "an event stream does not rewind");
      this.#soon(() => refuse(error));
      return undefined;
    }
    const { fetch: call = ownFetch, heartbeatMs = HEARTBEAT_MS, key } = this.#options;
    const stream: Subscribed = {
      hasBegun: false,
      position: undefined,
      behind: undefined,
      held: [],
      head: undefined,
      reader: new EventReader({
        ...{ call, clock: this.#clock, silenceMs: MISSED_HEARTBEATS * heartbeatMs },
        address: () => this.#address(channel, eventId(request)),
        headers: key === undefined ? {} : { Authorization: `Bearer ${key}` },
        event: (event) => {
          if (!stream.hasBegun && event.type === "subscribed") {
            settle(this.#acknowledged(stream, request, event));
          } else if (stream.held !== undefined && event.type !== "disconnect") {
            stream.held.push(event);
          } else this.#heard(stream, channel, event);
        },
        ended: (error) => {
          if (this.#streams.get(channel) !== stream) return;
          this.#streams.delete(channel);
          if (stream.held === undefined) this.#end({ code: LOST, reason: error.message });
          else refuse(error);
        },
      }),
    };
    this.#streams.set(channel, stream);
    return stream;
  }

  async #address(channel: string, from: string): Promise<URL> {
    const { ticket } = this.#options;
    const address = new URL(`${encodeURIComponent(channel)}/events`, this.#base);
    if (ticket !== undefined) address.searchParams.set("ticket", await ticket(channel));
    // As a header it would need a preflight where the page is of another origin.
    if (from !== "") address.searchParams.set("last_event_id", from);
    return address;
  }

  /** The first event of a stream. */
  #acknowledged(
    stream: Subscribed,
    { channel, since }: SubscriptionRequest,
    { data, id }: ServerEvent,
  ): Answer {
    stream.hasBegun = true;
    const { subscriptions } = JSON.parse(data) as { subscriptions?: { position?: Position }[] };
    const position = subscriptions?.[0]?.position;
    stream.position = position;
    if (position === undefined) return { channel };
    if (since === undefined) return { channel, position };
    if (!isPattern(channel)) stream.head = position;
    else {
      // A client that is lost before it has all of what was missed goes on from where it was.
      stream.position = since;
      stream.behind = { id: patternPart(id), position };
    }
    return { channel, position: stream.position };
  }

  /** The subscription is acknowledged: what came before that is told. */
  #release({ channel, since }: SubscriptionRequest): void {
    const stream = this.#streams.get(channel);
    const held = stream?.held;
    if (stream === undefined || held === undefined) return;
    stream.held = undefined;
    // The stream itself does not say when its client has caught up. Of a pattern nobody can tell.
    if (since !== undefined) this.#catchUp(stream, channel, since);
    for (const event of held) this.#heard(stream, channel, event);
  }

  /** Tells that nothing more is owed of what was missed, where a client that is so far has all of it. */
  #catchUp(stream: Subscribed, channel: string, { epoch, offset = 0 }: Position): void {
    const { head } = stream;
    const end = Number(head?.offset ?? 0);
    if (head !== undefined && end > 0 && (epoch !== head.epoch || Number(offset) < end)) return;
    stream.head = undefined;
    this.#tell({ only: channel, recovered: { channel, position: head } });
  }

  #heard(stream: Subscribed, channel: string, { type, data, id }: ServerEvent): void {
    if (this.#isOver) return;
    if (KNOWN.includes(type)) {
      const member =
        type === "message" ? `"publication":{"messages":[${data}]}` : `"${type}":${data}`;
      // What another stream has brought, or will bring, says nothing of this subscription.
      this.#events.frame(`{"only":${JSON.stringify(channel)},${member}}`);
    }
    const { behind } = stream;
    if (behind !== undefined && ![behind.id, LOST_PATTERN].includes(patternPart(id))) {
      stream.position = behind.position;
      stream.behind = undefined;
    }
    if (type === "disconnect") {
      const { code = LOST, reason = "" } = JSON.parse(data) as { code?: number; reason?: string };
      this.#end({ code, reason });
    } else if (type === "unsubscribed") this.#leave(channel);
    else if (stream.head !== undefined) {
      const { until, ...message } = JSON.parse(data) as Position & { until?: Position };
      this.#catchUp(stream, channel, until ?? message);
    }
  }

  #leave(channel: string): void {
    this.#streams.get(channel)?.reader.close();
    this.#streams.delete(channel);
  }

  #tell(frame: object): void {
    if (!this.#isOver) this.#events.frame(JSON.stringify(frame));
  }

  /** Nothing is told inside of a call of the client's. */
  #soon(run: () => void): void {
    queueMicrotask(() => {
      if (!this.#isOver) run();
    });
  }

  #after(ms: number, run: () => void): () => void {
    const stop = this.#clock.after(ms, run);
    this.#timers.add(stop);
    return () => {
      stop();
      this.#timers.delete(stop);
    };
  }

  #end(end: TransportEnd): void {
    if (this.#isOver) return;
    this.#shut();
    this.#events.ended(end);
  }

  #shut(): void {
    this.#isOver = true;
    for (const stop of this.#timers) stop();
    for (const { reader } of this.#streams.values()) reader.close();
    this.#streams.clear();
  }
}
