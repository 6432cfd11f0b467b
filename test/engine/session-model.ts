/**
 * What SPEC.md says of one session, as a model that is fed with facts: what the client sent, what
 * backends and broker were asked and answered, what was written. Each fact is checked against those
 * before it, and `settled` says what is still owed once nothing moves any more.
 *
 * The model knows nothing of lanes, hubs or promises. It knows which frames of a session exclude
 * each other, and takes the order of everything else as it comes.
 */
import type { Position } from "../../src/engine/ports.ts";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import type { Disconnect } from "../../src/protocol/codes.ts";
import type { CloudEvent } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type {
  Connect,
  InboundMessage,
  OutboundMessage,
  Publication,
  Subscription,
  SurveyRequest,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { SizedFrame } from "../../src/protocol/publication-frames.ts";
import { decodeStrictV1 } from "../strict-v1.ts";
import {
  answered,
  BAD_CHANNELS,
  type Call,
  COUNTED,
  check,
  checkEcho,
  invalid,
  KEEPS_ITS_PLACE,
  KINDS,
  lastEntries,
  lifeOf,
  type Outcome,
  RETRIED,
  type Request,
  type World,
} from "./session-model-facts.ts";
import { ErrorsModel, FlowModel, PublishesModel } from "./session-model-limits.ts";

export class SessionModel {
  readonly id: string;
  readonly encoding: Encoding;
  state: "new" | "connecting" | "connected" | "closed" = "new";
  extended = false;
  capabilities: readonly string[] = [];
  clientId = "";
  userId = "";
  /** Acknowledged subscriptions: the place that has to come next in each. */
  readonly streams = new Map<string, { epoch: string; next: number }>();
  /** In the order of their arrival. */
  readonly requests = new Map<string, Request>();
  /** Bytes of the frames that have not taken effect. */
  openBytes = 0;
  readonly flow: FlowModel;
  seen: number;
  readonly #world: World;
  /** Frames behind a connect that is being decided. */
  #waiting: InboundMessage[] = [];
  /** The same behind one that is decided, until each has had its turn. */
  #turns: InboundMessage[] = [];
  #waitingBytes = 0;
  /** Undecodable frames without their answer. */
  #noise = 0;
  /** The code that the session has to be closed with at once. */
  #doom: number | undefined;
  #farewell: number | undefined;
  #errors: ErrorsModel;
  #publishes: PublishesModel;
  #lastSurvey = "";
  /** Channels of what was answered in this step, which may not be free for others before the next. */
  readonly #justLeft = new Set<string>();
  /** Publishes that were open when the session ended. */
  readonly #leftPublishes = new Set<string>();

  constructor(world: World, id: string, encoding: Encoding) {
    this.#world = world;
    this.id = id;
    this.encoding = encoding;
    this.seen = world.clock.time;
    this.flow = new FlowModel(world);
    this.#errors = new ErrorsModel(world);
    this.#publishes = new PublishesModel(world);
  }

  get expiry(): number {
    const { connectDeadlineMs, idleTimeoutMs } = this.#world.settings;
    if (this.state !== "connected") return this.seen + connectDeadlineMs;
    return Math.max(this.seen, this.flow.heardAt) + idleTimeoutMs;
  }

  get openCalls(): number {
    const calls = [...this.requests.values()].flatMap((request) => [...request.calls.values()]);
    return calls.filter(({ backend, outcome }) => backend && outcome === undefined).length;
  }

  /** The channels of subscriptions that are being made. */
  get joining(): Set<string> {
    return new Set([...this.requests.values()].flatMap(({ joins }) => [...joins.keys()]));
  }

  /** Whether any request waits for its answer. */
  get busy(): boolean {
    return this.requests.size > 0;
  }

  /** The node slept: what is not in the session's record is forgotten. */
  slept(): void {
    check(!this.busy && this.#doom === undefined, "a session sleeps in the middle of something");
    this.#errors = new ErrorsModel(this.#world);
    this.#publishes = new PublishesModel(this.#world);
    this.#lastSurvey = "";
    this.openBytes = 0;
    this.flow.slept(this.state === "connected");
  }

  /** The client sends a frame, without a message where it is none. Whether it is under way now. */
  sends(message: InboundMessage | undefined, size: number): boolean {
    if (this.state === "closed") return false;
    this.flow.hears();
    if (this.state === "connected") {
      this.seen = this.#world.clock.time;
    }
    if (size > this.#world.settings.maxMessageBytes) {
      this.doom(1009);
      return false;
    }
    if (message === undefined) {
      this.#noise += 1;
      return false;
    }
    if (this.state === "connecting" && message.envelope.case !== "connect") {
      this.#waitingBytes += size;
      if (this.#waiting.length >= 64 || this.#waitingBytes > 256 * 1024) this.doom(3501);
      else this.#waiting.push(message);
      return false;
    }
    this.openBytes += size;
    this.#handle(message);
    return true;
  }

  /** The session must be closed with this code, at once. The first reason counts. */
  doom(code: number): undefined {
    if (this.state !== "closed") this.#doom ??= code;
  }

  /** The session asks a backend or the broker something for one of its requests. */
  asks(what: string, request: Request | undefined, late = "", timeoutMs?: number): Call {
    check(request !== undefined, `${what} is asked for nobody`);
    check(!request.calls.has(what), `${what} is asked twice`);
    check(request.due === undefined, `${what} is asked for a request that is refused`);
    check(!this.#blocked(request), `${what} is asked before its turn`);
    const deadline = timeoutMs === undefined ? Infinity : this.#world.clock.time + timeoutMs;
    const call: Call = { late, deadline, backend: timeoutMs !== undefined, outcome: undefined };
    request.calls.set(what, call);
    return call;
  }

  /** The request that subscribes to a channel now. */
  joiner(channel: string, token?: string): Request | undefined {
    if (token !== undefined) this.#catchesUp(token.split("/")[0] ?? "");
    return [...this.requests.values()].find((request) => {
      const entry = request.joins.get(channel);
      if (entry === undefined || this.#blocked(request)) return false;
      return token === undefined || entry.token === token;
    });
  }

  request(id: string): Request | undefined {
    this.#catchesUp(id);
    return this.requests.get(id);
  }

  connecting(): Request | undefined {
    return [...this.requests.values()].find(({ message }) => message.envelope.case === "connect");
  }

  /** Whether a publish of a session that has ended may still reach its channel: once, if it waited. */
  leftPublish(id: string): boolean {
    return this.#leftPublishes.delete(id);
  }

  answers(call: Call, outcome: Outcome): void {
    if (this.state === "closed" || call.outcome !== undefined) return;
    call.outcome = outcome;
    for (const request of this.requests.values()) {
      if (outcome.error === undefined && request.calls.get("authenticate") === call) {
        this.userId = outcome.event ?? "";
        this.#start(request);
      }
      // A publish that has failed is out of the way even before its error is written.
      if (outcome.error !== undefined && request.calls.get("publish") === call) request.lanes = [];
    }
    this.#startNext();
  }

  /** The time of calls is over. */
  expireCalls(): void {
    for (const { calls } of this.requests.values()) {
      for (const call of calls.values()) {
        if (call.deadline <= this.#world.clock.time) this.answers(call, { error: call.late });
      }
    }
  }

  writes({ data, bytes, urgent }: SizedFrame): void {
    check(this.state !== "closed", "a frame is written after the end");
    check(this.#farewell === undefined, "a frame is written behind disconnect");
    check((typeof data === "string") === (this.encoding === "json"), "another encoding");
    const message = codecFor(this.encoding).decodeOutbound(data);
    if (!this.extended) decodeStrictV1(data);
    const { envelope } = message;
    const late = this.#world.clock.time - Number(message.time);
    // A publication may have been encoded for another, before this client could have it.
    check(late === 0 || (envelope.case === "publication" && late > 0), "another time");
    if (envelope.case === "disconnect") {
      this.#farewell = envelope.value.code;
      return;
    }
    this.#catchesUp(message.id);
    check(bytes === Buffer.byteLength(data), `a frame is not ${bytes} bytes long`);
    check(!urgent || !KEEPS_ITS_PLACE.has(`${envelope.case}`), `${envelope.case} is urgent`);
    if (this.flow.writes(bytes)) this.doom(3510);
    if (envelope.case === "publication") this.#delivers(message, envelope.value);
    else if (envelope.case === "surveyRequest") this.#surveyed(message, envelope.value);
    else this.#replies(message);
  }

  /** The server closes. */
  closes({ code }: Disconnect): void {
    check(this.state !== "closed", "a session is closed twice");
    const exceeding = () => [...this.requests.values()].filter(({ exceeds }) => exceeds);
    const now = () => this.#doom !== undefined || exceeding().some(({ waited }) => !waited);
    while (this.#turns.length > 0 && !now()) this.#takesTurn();
    let expected = this.#doom;
    if (code === 3505 && expected === undefined && exceeding().length > 0) expected = 3505;
    if (code === 3510 && this.flow.slow) expected = 3510;
    check(code === expected, `closed with ${code} and not with ${expected}`);
    const told = this.state === "connected" && this.capabilities.includes("control");
    check(this.#farewell === (told ? code : undefined), `disconnect says ${this.#farewell}`);
    this.ends();
  }

  /** The session is over, by either side or by loss. */
  ends(): void {
    if (this.state === "closed") return;
    this.state = "closed";
    for (const [id, { message }] of this.requests) {
      if (message.envelope.case === "publish") this.#leftPublishes.add(id);
    }
    this.requests.clear();
    this.streams.clear();
    this.#waiting = [];
    this.#turns = [];
    this.#world.surveys.left(this.id);
  }

  /** Nothing moves any more: what has to have happened by now? */
  settled(): void {
    if (this.state === "closed") return;
    this.#justLeft.clear();
    check(this.#doom === undefined, `should have been closed with ${this.#doom}`);
    check(this.#noise === 0, "an undecodable frame has no answer");
    for (const [id, request] of this.requests) {
      check(request.exceeds !== "must", "should have been closed with 3505");
      if (this.#blocked(request)) continue;
      const due = this.#expected(request);
      check(due.length === 0, `${id} has no answer, which is ${due}`);
      const waits = [...request.calls.values()].some(({ outcome }) => outcome === undefined);
      check(waits, `${id} (${request.message.envelope.case}) waits for nothing`);
    }
    for (const [channel, { epoch, next }] of this.streams) {
      const handed = this.#world.handed(channel);
      if (handed === undefined) continue;
      const [life, handedLife] = [lifeOf(epoch), lifeOf(handed.epoch)];
      const all = life === handedLife ? next > handed.offset : life > handedLife;
      check(all, `${channel} ${handed.epoch} ${handed.offset} is not delivered, but ${next - 1}`);
    }
  }

  /** Takes a frame in its turn, and notes what it is owed. */
  #handle(message: InboundMessage): void {
    const due = this.#takes(message);
    if (due !== undefined) this.#add(message, { due });
  }

  /** The answer that the frame alone decides, where there is one. */
  #takes(message: InboundMessage): string | undefined {
    const { settings, surveys, asks } = this.#world;
    const { envelope } = message;
    if (envelope.case === "connect") {
      return this.state === "new" ? this.#connects(message, envelope.value) : this.doom(3501);
    }
    if (envelope.case === "ping") return "pong";
    if (this.state !== "connected") return this.doom(3502);
    if (envelope.case === undefined) return undefined;
    if (this.#switchedOff(envelope.case)) return this.doom(3508);
    const hasAnswer = !["surveyResponse", "received"].includes(envelope.case);
    const full = this.openBytes > settings.maxOpenRequestBytes;
    if (full && hasAnswer) return "error RATE_LIMITED";
    switch (envelope.case) {
      case "publish": {
        const channel = message.channel || envelope.value.source;
        const problem = this.#publishProblem(channel, envelope.value);
        if (problem !== undefined) return `error ${problem}`;
        return this.#add(message, { lanes: [channel], shared: true });
      }
      case "subscribe":
        return this.#add(message, { joins: lastEntries(envelope.value.subscriptions) });
      case "unsubscribe": {
        const lanes = envelope.value.subscriptions.map(({ channel }) => channel);
        return this.#add(message, { lanes });
      }
      case "rpcRequest":
        if (invalid(envelope.value)) return "error BAD_REQUEST";
        if (!asks.rpc) return "rpcReply";
        if (this.#rpcs >= settings.maxInFlightRpcs) return "error RATE_LIMITED";
        return this.#add(message, {});
      case "subRefresh":
        return "subRefreshAck";
      case "surveyRequest":
        this.#lastSurvey = envelope.value.requestId;
        return "surveyResponse";
      case "surveyResponse": {
        const { payload, requestId } = envelope.value;
        const flawed = payload !== undefined && invalid(payload);
        const taken = surveys.answer(this.id, requestId || this.#lastSurvey, flawed);
        return taken ? undefined : "error BAD_REQUEST";
      }
      case "received":
        if (!this.capabilities.includes("credit")) return "error BAD_REQUEST";
        this.flow.receives(Number(envelope.value.bytes));
        return undefined;
    }
  }

  /** RPCs that have a place, which they keep until they are answered. */
  get #rpcs(): number {
    const requests = [...this.requests.values()].filter(({ due }) => due === undefined);
    return requests.filter(({ message }) => message.envelope.case === "rpcRequest").length;
  }

  /** RPCs that their backend has not answered. */
  get #openRpcs(): number {
    return [...this.requests.values()].filter(({ calls }) => calls.get("rpc")?.backend).length;
  }

  #connects(message: InboundMessage, connect: Connect): string | undefined {
    const { clientId, clientType, capabilities, subscriptions } = connect;
    if (Buffer.byteLength(clientId) > 255 || Buffer.byteLength(clientType) > 255) {
      return "error BAD_REQUEST";
    }
    this.state = "connecting";
    this.extended = capabilities.length > 0;
    this.capabilities = ["control", "credit"].filter((name) => capabilities.includes(name));
    this.flow.credit = this.capabilities.includes("credit");
    this.clientId = clientId;
    if (subscriptions.length > 0 && this.#switchedOff("subscribe")) return this.doom(3508);
    return this.#add(message, { joins: lastEntries(subscriptions), lanes: [] });
  }

  #switchedOff(envelope: string): boolean {
    const { disabledMessages } = this.#world.settings;
    return disabledMessages.some((kind) => kind === KINDS[envelope]);
  }

  #publishProblem(channel: string, event: CloudEvent): string | undefined {
    if (channel === "") return "INTERNAL_ERROR";
    if (BAD_CHANNELS.includes(channel) || invalid(event)) return "BAD_REQUEST";
    return this.#publishes.take() ? undefined : "RATE_LIMITED";
  }

  #add(message: InboundMessage, parts: Partial<Request>): undefined {
    check(!this.requests.has(message.id), "the test uses an id twice");
    const joins = parts.joins ?? new Map();
    const lanes = parts.lanes ?? [...joins.keys()];
    const request: Request = {
      message,
      due: undefined,
      joins,
      lanes,
      shared: false,
      calls: new Map(),
      started: false,
      waited: false,
      hurried: false,
      exceeds: undefined,
      ...parts,
    };
    this.requests.set(message.id, request);
    const authenticates = message.envelope.case === "connect" && this.#world.asks.authenticate;
    if (authenticates || this.#blocked(request)) return;
    request.hurried = lanes.some((lane) => this.#justLeft.has(lane));
    this.#start(request, request.hurried);
  }

  /** Whether a request has to wait for one that came before. */
  #blocked(request: Request): boolean {
    for (const earlier of this.requests.values()) {
      if (earlier === request) return false;
      const beside = earlier.shared && request.shared;
      if (!beside && earlier.lanes.some((lane) => request.lanes.includes(lane))) return true;
    }
    return false;
  }

  #startNext(): void {
    for (const next of this.requests.values()) {
      if (next.started || this.#blocked(next)) continue;
      if (next.message.envelope.case !== "connect") this.#start(next, true);
    }
  }

  /**
   * A request's turn has come. Where it had to wait for others, what they and those beside them do
   * with their channels in the same moment may count or not.
   */
  #start(request: Request, waited = false): void {
    request.started = true;
    request.waited = waited;
    if (request.joins.size === 0) return;
    const open = [...this.requests.values()];
    const counted = open.flatMap((other) =>
      other === request || !other.started ? [] : [...other.joins.keys()],
    );
    const leaving = open.flatMap(({ message, lanes }) =>
      message.envelope.case === "unsubscribe" ? lanes : [],
    );
    const held = [...this.streams.keys()];
    const least = waited ? held.filter((name) => !leaving.includes(name)) : [...held, ...counted];
    const most = waited ? [...held, ...this.joining] : least;
    const exceeds = (names: readonly string[]) =>
      new Set([...names, ...request.joins.keys()]).size > this.#world.settings.maxSubscriptions;
    if (exceeds(most)) request.exceeds = exceeds(least) && !request.hurried ? "must" : "may";
  }

  /** The answers that a request may have now; none while it must have none. */
  #expected({ due, message, calls, joins }: Request): readonly string[] {
    if (due !== undefined) return [due];
    switch (message.envelope.case) {
      case "publish":
        return answered(calls.get("publish"), "publishAck");
      case "rpcRequest":
        return calls.size === 0 && this.#openRpcs >= this.#world.settings.maxInFlightRpcs
          ? ["error RATE_LIMITED"]
          : answered(calls.get("rpc"), "rpcReply");
      case "unsubscribe":
        return ["unsubscribeAck"];
      default:
    }
    const connects = message.envelope.case === "connect";
    if (connects && this.#world.asks.authenticate) {
      const outcome = calls.get("authenticate")?.outcome;
      if (outcome === undefined) return [];
      const { error } = outcome;
      if (error !== undefined) {
        return [`error ${RETRIED.has(error) && !this.extended ? "AUTH_ERROR" : error}`];
      }
    }
    const outcomes = [...joins.keys()].map((channel) => this.#joinOutcome(calls, channel));
    if (outcomes.includes(undefined)) return [];
    const errors = outcomes.flatMap((outcome) => outcome?.error ?? []);
    // Which of several refusals a v1 client is told depends on which came first.
    if (errors.length > 0 && !this.extended) return errors.map((error) => `error ${error}`);
    return [connects ? "connected" : "subscribeAck"];
  }

  #joinOutcome(calls: ReadonlyMap<string, Call>, channel: string): Outcome | undefined {
    if (BAD_CHANNELS.includes(channel)) return { error: "BAD_REQUEST" };
    if (this.#world.asks.authorize) {
      const outcome = calls.get(`authorize ${channel}`)?.outcome;
      if (outcome === undefined || outcome.error !== undefined) return outcome;
    }
    return calls.get(`register ${channel}`)?.outcome;
  }

  #replies(message: OutboundMessage): void {
    const { envelope } = message;
    const label =
      envelope.case === "error" ? `error ${envelope.value.code}` : (envelope.case ?? "nothing");
    const request = this.requests.get(message.id);
    if (request === undefined) {
      check(this.#noise > 0 && label === "error BAD_REQUEST", `${label} answers nothing`);
      check(message.id.startsWith("uuid-"), "what nobody asked for has a random id");
      this.#noise -= 1;
      this.#counts("BAD_REQUEST");
      return;
    }
    const due = this.#expected(request);
    check(due.includes(label), `${message.id} is answered by ${label} and not by ${due}`);
    check(!this.#blocked(request), `${message.id} is answered before its turn`);
    const sent = JSON.stringify(request.message.metadata);
    check(JSON.stringify(message.metadata) === sent, "a reply has other metadata");
    this.requests.delete(message.id);
    for (const lane of request.lanes) this.#justLeft.add(lane);
    this.#takesEffect(request, message);
    this.#startNext();
  }

  #takesEffect(request: Request, { envelope }: OutboundMessage): void {
    const { message, calls } = request;
    const asked = message.envelope;
    switch (envelope.case) {
      case "error": {
        const { code, metadata } = envelope.value;
        const wait = metadata?.["retry_after_ms"];
        check(code !== "RATE_LIMITED" || Number(wait) > 0, "no retry_after_ms");
        this.#counts(code);
        if (asked.case === "connect") {
          this.doom(request.due !== undefined ? 3501 : RETRIED.has(code) ? 1011 : 3500);
        } else if (asked.case === "subscribe" && request.due === undefined && !RETRIED.has(code)) {
          this.doom(3500);
        }
        return;
      }
      case "connected": {
        const { sessionId, capabilities, userId, subscriptions, creditBytes } = envelope.value;
        check(sessionId === this.id, "another session's id");
        check(`${capabilities}` === `${this.capabilities}`, `granted ${capabilities}`);
        check(userId === (this.extended ? this.userId : ""), `the user is ${userId}`);
        const credit = this.capabilities.includes("credit") ? this.#world.settings.creditBytes : 0;
        check(Number(creditBytes) === credit, `a credit of ${creditBytes}`);
        this.state = "connected";
        this.seen = this.#world.clock.time;
        if (asked.case === "connect") {
          this.#subscribes(calls, asked.value.subscriptions, subscriptions);
        }
        this.#turns = this.#waiting;
        this.#waiting = [];
        // All of them have their turn in this very step, and nothing of another step before them.
        queueMicrotask(() => this.#catchesUp(this.#turns.at(-1)?.id ?? ""));
        return;
      }
      case "subscribeAck":
        if (asked.case === "subscribe") {
          this.#subscribes(calls, asked.value.subscriptions, envelope.value.subscriptions);
        }
        return;
      case "unsubscribeAck": {
        check(asked.case === "unsubscribe", "not asked");
        checkEcho(asked.value.subscriptions, envelope.value.subscriptions);
        for (const lane of request.lanes) this.streams.delete(lane);
        return;
      }
      case "publishAck": {
        const position = calls.get("publish")?.outcome?.position;
        check(Number(envelope.value.offset) === position?.offset, "another offset");
        check(envelope.value.epoch === (this.extended ? position.epoch : ""), "another epoch");
        return;
      }
      case "rpcReply": {
        const event = this.#world.asks.rpc
          ? calls.get("rpc")?.outcome?.event
          : asked.case === "rpcRequest" && asked.value.id;
        check(envelope.value.id === event, `answered with ${envelope.value.id}, not ${event}`);
        return;
      }
      case "surveyResponse": {
        const { requestId } = envelope.value;
        check(asked.case === "surveyRequest" && requestId === asked.value.requestId, "another id");
        return;
      }
      default:
    }
  }

  #takesTurn(): void {
    const frame = this.#turns.shift();
    if (frame !== undefined) this.#handle(frame);
  }

  /** Something is heard of one of the frames behind connect: it and those before it had their turn. */
  #catchesUp(id: string): void {
    const count = this.#turns.findIndex((frame) => frame.id === id) + 1;
    for (let i = 0; i < count && this.#doom === undefined; i++) this.#takesTurn();
  }

  /** An acknowledgement opens streams from the positions that the session was given. */
  #subscribes(
    calls: ReadonlyMap<string, Call>,
    requested: readonly Subscription[],
    acknowledged: readonly Subscription[],
  ): void {
    checkEcho(requested, acknowledged);
    const opened: string[] = [];
    let counted: string | undefined;
    for (const { channel, error, position } of acknowledged) {
      const outcome = this.#joinOutcome(calls, channel);
      check(error?.code === outcome?.error, `${channel} is refused with ${error?.code}`);
      if (outcome?.error !== undefined && COUNTED.has(outcome.error)) counted = outcome.error;
      const place = outcome?.position;
      if (place === undefined) continue;
      if (this.extended) {
        check(position?.epoch === place.epoch, `${channel} is in another epoch`);
        check(Number(position.offset) === place.offset, `${channel} is at ${position.offset}`);
        check(!outcome?.behind, `${channel} has a head behind ${position.offset}`);
      }
      if (this.streams.has(channel)) continue;
      this.streams.set(channel, { epoch: place.epoch, next: place.offset + 1 });
      opened.push(channel);
    }
    // A request that fails in several parts is one failing request.
    if (counted !== undefined) this.#counts(counted);
    for (const channel of opened) {
      const handed = this.#world.handed(channel);
      if (handed !== undefined) this.cannotCarry(channel, handed);
    }
  }

  /** Dooms a JSON session that has to take what JSON cannot carry, up to a place. */
  cannotCarry(channel: string, { epoch, offset }: Position): void {
    const stream = this.streams.get(channel);
    if (stream === undefined || this.encoding !== "json") return;
    for (let at = stream.epoch === epoch ? stream.next : 1; at <= offset; at++) {
      if (this.#world.logged(channel, { epoch, offset: at })?.onlyProtobuf) this.doom(3506);
    }
  }

  #delivers({ id }: OutboundMessage, { messages }: Publication): void {
    check(id.startsWith("uuid-"), "what nobody asked for has a random id");
    for (const { channel, id, offset, epoch, payload, publisher } of messages) {
      const stream = this.streams.get(channel);
      check(stream !== undefined, `${channel} is delivered to who is not subscribed`);
      const at = id.lastIndexOf("-");
      const place = { epoch: id.slice(0, at), offset: Number(offset) };
      check(id.slice(at + 1) === `${offset}`, `${id} is no id for ${offset}`);
      if (stream.epoch !== place.epoch) Object.assign(stream, { epoch: place.epoch, next: 1 });
      check(stream.next === place.offset, `${id} of ${channel} comes instead of ${stream.next}`);
      stream.next += 1;
      check(payload?.id === this.#world.logged(channel, place)?.event, `${id} is another event`);
      if (!this.extended) continue;
      check(epoch === place.epoch && publisher !== undefined, `${id} lacks what extended ones get`);
    }
  }

  #surveyed({ id }: OutboundMessage, question: SurveyRequest): void {
    check(id.startsWith("uuid-"), "what nobody asked for has a random id");
    this.#world.surveys.asked(this.id, question);
  }

  #counts(code: string): void {
    if (COUNTED.has(code) && this.#errors.exceeded()) this.doom(3509);
  }
}
