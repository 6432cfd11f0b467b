/**
 * The requests of one session that are owed an answer: which of them wait for others, what they have
 * asked of backends and broker, and which answers they may have.
 */
import type {
  InboundMessage,
  Subscription,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import {
  answered,
  asksRecovery,
  BAD_CHANNELS,
  type Call,
  check,
  type Outcome,
  RETRIED,
  type Request,
  type World,
} from "./facts.ts";
import type { Streams } from "./streams.ts";

/** Whose requests these are. */
export interface Requester {
  readonly extended: boolean;
  readonly capabilities: readonly string[];
  readonly streams: Streams;
  /** A frame is done with. */
  worked(id: string): void;
}

export class Requests {
  readonly #world: World;
  readonly #session: Requester;
  /** By their ids, in the order of their arrival. */
  readonly #open = new Map<string, Request>();
  /** Channels of what was answered in this step, which may not be free for others before the next. */
  readonly #justLeft = new Set<string>();

  constructor(world: World, session: Requester) {
    this.#world = world;
    this.#session = session;
  }

  get size(): number {
    return this.#open.size;
  }

  /** The channels of subscriptions that are being made. */
  get joining(): Set<string> {
    return new Set(this.all().flatMap(({ joins }) => [...joins.keys()]));
  }

  /** Backend calls that wait for their answer. */
  get openCalls(): number {
    const calls = this.all().flatMap((request) => [...request.calls.values()]);
    return calls.filter(({ backend, outcome }) => backend && outcome === undefined).length;
  }

  /** RPCs that have a place, which they keep until they are answered. */
  get rpcs(): number {
    const requests = this.all().filter(({ due }) => due === undefined);
    return requests.filter(({ message }) => message.envelope.case === "rpcRequest").length;
  }

  all(): Request[] {
    return [...this.#open.values()];
  }

  get(id: string): Request | undefined {
    return this.#open.get(id);
  }

  clear(): void {
    this.#open.clear();
  }

  add(message: InboundMessage, parts: Partial<Request>): undefined {
    check(!this.#open.has(message.id), "the test uses an id twice");
    const joins = parts.joins ?? new Map();
    const lanes = parts.lanes ?? [...joins.keys()];
    const { recoveryMessages: messages, recoveryBytes: bytes } = this.#world.settings;
    const request: Request = {
      message,
      byServer: false,
      told: [],
      over: false,
      due: undefined,
      joins,
      lanes,
      replay: { messages, bytes },
      heard: new Map(),
      shared: false,
      calls: new Map(),
      started: false,
      waited: false,
      hurried: false,
      exceeds: undefined,
      ...parts,
    };
    this.#open.set(message.id, request);
    const authenticates = message.envelope.case === "connect" && this.#world.asks.authenticate;
    if (authenticates || this.blocked(request)) return;
    request.hurried = lanes.some((lane) => this.#justLeft.has(lane));
    this.#start(request, request.hurried);
  }

  /** A request is done with, and those that waited for it have their turn. */
  ends(request: Request): void {
    this.#open.delete(request.message.id);
    this.#session.worked(request.message.id);
    for (const lane of [...request.lanes, ...request.joins.keys()]) this.#justLeft.add(lane);
  }

  /** A request is answered, and keeps its channels until they have caught up. */
  catchesUp(request: Request, joins: readonly string[]): void {
    request.lanes = joins;
    request.joins = new Map();
  }

  /** Something is asked for one of the requests. */
  asks(what: string, request: Request | undefined, late = "", timeoutMs?: number): Call {
    check(request !== undefined, `${what} is asked for nobody`);
    check(!request.calls.has(what), `${what} is asked twice`);
    check(request.due === undefined, `${what} is asked for a request that is refused`);
    check(!this.blocked(request), `${what} is asked before its turn`);
    check(!isRead(what) || !this.#reading(request), `${what} is asked beside another read`);
    const deadline = timeoutMs === undefined ? Infinity : this.#world.clock.time + timeoutMs;
    const call: Call = { late, deadline, backend: timeoutMs !== undefined, outcome: undefined };
    request.calls.set(what, call);
    return call;
  }

  /** The request that subscribes to a channel now. */
  joiner(channel: string, token?: string): Request | undefined {
    return this.all().find((request) => {
      const entry = request.joins.get(channel);
      if (entry === undefined || request.over || this.blocked(request)) return false;
      return token === undefined || entry.token === token;
    });
  }

  /** The wish of the server's side that its client is told of now. */
  told(kind: "subscribed" | "unsubscribed", channel: string): Request | undefined {
    return this.all().find(
      (request) =>
        request.byServer &&
        !this.blocked(request) &&
        this.expected(request).includes(kind) &&
        this.changes(request)?.includes(channel),
    );
  }

  /** The request of a kind that has a channel to itself now. */
  holder(channel: string, kind: InboundMessage["envelope"]["case"]): Request | undefined {
    return this.all().find((request) => {
      const { message, lanes } = request;
      return message.envelope.case === kind && lanes.includes(channel) && !this.blocked(request);
    });
  }

  /** The request whose channel catches up, once it is acknowledged. */
  replayer(channel: string): Request | undefined {
    return this.all().find(({ message: { envelope }, joins, lanes }) => {
      const subscribes = envelope.case === "subscribe" || envelope.case === "connect";
      return subscribes && joins.size === 0 && lanes.includes(channel);
    });
  }

  /** Whether a request has to wait for one that came before. */
  blocked(request: Request): boolean {
    for (const earlier of this.#open.values()) {
      if (earlier === request) return false;
      const beside = earlier.shared && request.shared;
      if (!beside && earlier.lanes.some((lane) => request.lanes.includes(lane))) return true;
    }
    return false;
  }

  answers(call: Call, outcome: Outcome): void {
    call.outcome = outcome;
    for (const request of this.all()) {
      if (outcome.error === undefined && request.calls.get("authenticate") === call) {
        this.#start(request);
      }
      // What has failed is out of the way even before its error is written.
      const failed = ["publish", "history", "presence"].some((what) => {
        return outcome.error !== undefined && request.calls.get(what) === call;
      });
      if (failed) request.lanes = [];
      this.#endsUntold(request);
    }
    this.startNext();
  }

  startNext(): void {
    for (const next of this.#open.values()) {
      if (next.started || this.blocked(next)) continue;
      if (next.message.envelope.case !== "connect") this.#start(next, true);
    }
  }

  /** Nothing moves any more: whoever has no answer has to wait for something. */
  settled(): void {
    for (const request of this.all()) if (request.over) this.ends(request);
    this.#justLeft.clear();
    for (const request of this.all()) request.hurried = false;
    for (const [id, request] of this.#open) {
      check(request.exceeds !== "must", "should have been closed with 3505");
      if (this.blocked(request)) continue;
      const due = this.expected(request);
      check(due.length === 0, `${id} has no answer, which is ${due}`);
      const calls = [...request.calls.values()];
      const asks = this.#placeless(request) || calls.some(({ outcome }) => outcome === undefined);
      check(
        asks || (reads(request) && this.#reading(request)),
        `${id} (${request.message.envelope.case}) waits for nothing`,
      );
    }
  }

  /** Whether another request of the session waits for what it reads: reads run one after the other. */
  #reading(request: Request): boolean {
    return this.all().some(
      (other) =>
        other !== request &&
        [...other.calls].some(([what, { outcome }]) => isRead(what) && outcome === undefined),
    );
  }

  /**
   * A request's turn has come. Where it had to wait for others, what they and those beside them do
   * with their channels in the same moment may count or not.
   */
  #start(request: Request, waited = false): void {
    request.started = true;
    request.waited = waited;
    this.#asksAbout(request);
    this.#endsUntold(request);
    // The server's side subscribes only where there is room for all.
    if (request.joins.size === 0 || request.byServer) return;
    const others = this.all().filter((other) => other !== request && other.started);
    const joins = (some: readonly Request[]) => some.flatMap((other) => [...other.joins.keys()]);
    // An unsubscribe takes effect in its turn, and is answered later.
    const leaving = (waited ? this.all() : others).flatMap(({ message, lanes }) =>
      message.envelope.case === "unsubscribe" ? lanes : [],
    );
    const held = [...this.#session.streams.keys()];
    const least = held.filter((name) => !leaving.includes(name));
    if (!waited) least.push(...joins(others.filter(({ hurried }) => !hurried)));
    const most = waited ? [...held, ...this.joining] : [...held, ...joins(others)];
    const exceeds = (names: readonly string[]) =>
      new Set([...names, ...request.joins.keys()]).size > this.#world.settings.maxSubscriptions;
    if (exceeds(most)) request.exceeds = exceeds(least) && !request.hurried ? "must" : "may";
  }

  /** What a wish of the server's side has changed, by now, of what the client has; undefined while it is open. */
  changes({ message: { envelope }, calls, joins, lanes }: Request): readonly string[] | undefined {
    if (envelope.case === "unsubscribe") {
      return lanes.filter((channel) => this.#session.streams.has(channel));
    }
    const all = [...joins.values()].map((entry) => this.joinOutcome(calls, entry, true));
    if (all.includes(undefined)) return undefined;
    return [...joins.keys()].filter((_, index) => all[index]?.error === undefined);
  }

  /** Of what has changed nothing nobody is told. */
  #endsUntold(request: Request): void {
    const { byServer, started, lanes } = request;
    if (!byServer || !started || this.changes(request)?.length !== 0) return;
    for (const lane of lanes) this.#justLeft.add(lane);
    request.over = true;
    request.lanes = [];
  }

  /** Who asks about a channel has to be subscribed to it. */
  #asksAbout(request: Request): void {
    const kind = request.message.envelope.case;
    if (kind !== "historyRequest" && kind !== "presenceRequest") return;
    if (request.lanes.every((channel) => this.#session.streams.has(channel))) return;
    request.due ??= "error ACL_ERROR";
    request.lanes = [];
  }

  /** The answers that a request may have now; none while it must have none. */
  expected(request: Request): readonly string[] {
    const { due, message, calls, joins, lanes } = request;
    if (due !== undefined) return [due];
    if (request.byServer) {
      const told = message.envelope.case === "subscribe" ? "subscribed" : "unsubscribed";
      return this.changes(request) === undefined ? [] : [told];
    }
    const connects = message.envelope.case === "connect";
    switch (message.envelope.case) {
      case "publish":
        return answered(calls.get("publish"), "publishAck");
      case "rpcRequest":
        if (this.#placeless(request)) return this.#session.extended ? ["error RATE_LIMITED"] : [];
        return answered(calls.get("rpc"), "rpcReply");
      case "unsubscribe":
        return ["unsubscribeAck"];
      case "historyRequest":
        return answered(calls.get("history"), "history");
      case "presenceRequest":
        return answered(calls.get("presence"), "presence");
      default:
    }
    // What catches up has had its answer.
    if (joins.size === 0 && lanes.length > 0) return [];
    const { extended } = this.#session;
    if (connects && this.#world.asks.authenticate) {
      const outcome = calls.get("authenticate")?.outcome;
      if (outcome === undefined) return [];
      const { error } = outcome;
      if (error !== undefined) {
        return [`error ${RETRIED.has(error) && !extended ? "AUTH_ERROR" : error}`];
      }
    }
    const outcomes = [...joins.values()].map((entry) => this.joinOutcome(calls, entry, false));
    if (outcomes.includes(undefined)) return [];
    const errors = outcomes.flatMap((outcome) => outcome?.error ?? []);
    // Which of several refusals a v1 client is told depends on which came first.
    if (errors.length > 0 && !extended) return errors.map((error) => `error ${error}`);
    return [connects ? "connected" : "subscribeAck"];
  }

  /** @param byServer whether the server's side subscribes, which asks nobody */
  joinOutcome(
    calls: ReadonlyMap<string, Call>,
    entry: Subscription,
    byServer: boolean,
  ): Outcome | undefined {
    const { channel } = entry;
    const { extended, capabilities } = this.#session;
    if (BAD_CHANNELS.includes(channel)) return { error: "BAD_REQUEST" };
    if (extended && asksRecovery(entry) && !capabilities.includes("recovery")) {
      return { error: "BAD_REQUEST" };
    }
    if (this.#world.asks.authorize && !byServer) {
      const outcome = calls.get(`authorize ${channel}`)?.outcome;
      if (outcome === undefined || outcome.error !== undefined) return outcome;
    }
    const registered = calls.get(`register ${channel}`);
    if (registered?.outcome?.error !== undefined) return registered.outcome;
    const join = calls.get(`join ${channel}`);
    // Who is not seen is subscribed all the same, but waits to hear of it.
    if (join !== undefined && join.outcome === undefined) return undefined;
    // A v1 client takes no position and can do with what the node has seen.
    if (registered === undefined && !extended) return calls.get(`seen ${channel}`)?.outcome;
    return registered?.outcome;
  }

  /** An RPC that finds no place; one of a v1 client waits for it. */
  #placeless({ message, calls }: Request): boolean {
    const asks = message.envelope.case === "rpcRequest" && calls.size === 0;
    return asks && this.#openRpcs >= this.#world.settings.maxInFlightRpcs;
  }

  /** RPCs that their backend has not answered. */
  get #openRpcs(): number {
    return this.all().filter(({ calls }) => calls.get("rpc")?.backend).length;
  }
}

/** Whether a call reads what a channel holds. */
function isRead(what: string): boolean {
  return what === "history" || what === "presence" || what.startsWith("read ");
}

/** Whether a request has nothing to wait for but what it reads. */
function reads({ message, joins, lanes }: Request): boolean {
  const kind = message.envelope.case;
  if (kind === "historyRequest" || kind === "presenceRequest") return true;
  return joins.size === 0 && lanes.length > 0;
}
