/**
 * What SPEC.md says of one session, as a model that is fed with facts: what the client sent, what
 * backends and broker were asked and answered, what was written. Each fact is checked against those
 * before it, and `settled` says what is still owed once nothing moves any more.
 *
 * The model knows nothing of lanes, hubs or promises. It knows which frames of a session exclude
 * each other, and takes the order of everything else as it comes.
 */
import { eventKey } from "../../../src/channels/event-key.ts";
import { codecFor, type Encoding } from "../../../src/protocol/codec.ts";
import type { Disconnect } from "../../../src/protocol/codes.ts";
import type {
  InboundMessage,
  OutboundMessage,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { reconnects } from "../../../src/protocol/lean/reconnects.ts";
import type { SizedFrame } from "../../../src/protocol/publication-frames.ts";
import { whole } from "../../support/expand.ts";
import { decodeStrictV1 } from "../../support/strict-v1.ts";
import {
  type Call,
  COUNTED,
  check,
  KEEPS_ITS_PLACE,
  lastEntries,
  type Outcome,
  type Request,
  type World,
} from "./facts.ts";
import { FrameRules } from "./frames.ts";
import { ErrorsModel, FlowModel, PublishesModel } from "./limits.ts";
import { foreign } from "./queries.ts";
import { Replies } from "./replies.ts";
import { Requests } from "./requests.ts";
import { Streams } from "./streams.ts";

/** A frame that waits behind connect, and its length in bytes. */
interface WaitingFrame {
  readonly message: InboundMessage;
  readonly size: number;
}

export class SessionModel {
  readonly id: string;
  readonly encoding: Encoding;
  state: "new" | "connecting" | "connected" | "closed" = "new";
  extended = false;
  capabilities: readonly string[] = [];
  clientId = "";
  userId = "";
  readonly world: World;
  /** Acknowledged subscriptions. */
  readonly streams: Streams;
  readonly requests: Requests;
  /** Bytes of the frames that have not taken effect. */
  openBytes = 0;
  readonly flow: FlowModel;
  seen: number;
  lastSurvey = "";
  publishes: PublishesModel;
  readonly #frames = new FrameRules(this);
  readonly #replies = new Replies(this);
  /** Frames behind a connect that is being decided. */
  #waiting: WaitingFrame[] = [];
  /** The same behind one that is decided, until each has had its turn. */
  #turns: WaitingFrame[] = [];
  /** Bytes of those that had their turn and are still being worked on, by id. */
  readonly #turned = new Map<string, number>();
  #waitingBytes = 0;
  /** Undecodable frames without their answer. */
  #noise = 0;
  /** The code that the session has to be closed with at once. */
  #doom: number | undefined;
  #farewell: number | undefined;
  #errors: ErrorsModel;
  /** Publishes that were open when the session ended. */
  readonly #leftPublishes = new Set<string>();
  /** Channels that were left for no other reason than that the session ends, and whether cleanly. */
  #leaving: boolean[] = [];
  /** Whether the end was a clean one. */
  #clean: boolean | undefined;

  constructor(world: World, id: string, encoding: Encoding) {
    this.world = world;
    this.id = id;
    this.encoding = encoding;
    this.seen = world.clock.time;
    this.streams = new Streams(world, this);
    this.requests = new Requests(world, this);
    this.flow = new FlowModel(world);
    this.#errors = new ErrorsModel(world);
    this.publishes = new PublishesModel(world);
  }

  get expiry(): number {
    const { connectDeadlineMs, idleTimeoutMs } = this.world.settings;
    if (this.state !== "connected") return this.seen + connectDeadlineMs;
    return Math.max(this.seen, this.flow.heardAt) + idleTimeoutMs;
  }

  /** Whether any request waits for its answer. */
  get busy(): boolean {
    return this.requests.size > 0;
  }

  /** The node slept: what is not in the session's record is forgotten. */
  slept(): void {
    check(!this.busy && this.#doom === undefined, "a session sleeps in the middle of something");
    this.#errors = new ErrorsModel(this.world);
    this.publishes = new PublishesModel(this.world);
    this.lastSurvey = "";
    this.openBytes = 0;
    this.flow.slept(this.state === "connected");
    this.streams.slept();
  }

  /** The client sends a frame, without a message where it is none. Whether it is under way now. */
  sends(message: InboundMessage | undefined, size: number): boolean {
    if (this.state === "closed") return false;
    this.flow.hears();
    if (this.state === "connected") {
      this.seen = this.world.clock.time;
    }
    if (size > this.world.settings.maxMessageBytes) {
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
      else this.#waiting.push({ message, size });
      return false;
    }
    this.openBytes += size;
    this.#handle(message);
    return true;
  }

  /** The server's side subscribes the session, or ends what it is subscribed to. */
  changes(message: InboundMessage): void {
    const { envelope } = message;
    if (envelope.case === "subscribe") {
      const joins = lastEntries(envelope.value.subscriptions);
      this.requests.add(message, { joins, byServer: true });
    } else if (envelope.case === "unsubscribe") {
      const lanes = envelope.value.subscriptions.map(({ channel }) => channel);
      this.requests.add(message, { lanes: [...new Set(lanes)], byServer: true });
    }
  }

  /** The session must be closed with this code, at once. The first reason counts. */
  doom(code: number): undefined {
    if (this.state !== "closed") this.#doom ??= code;
  }

  /** The session asks a backend or the broker something for one of its requests. */
  asks(what: string, request: Request | undefined, late = "", timeoutMs?: number): Call {
    return this.requests.asks(what, request, late, timeoutMs);
  }

  /** The request that subscribes to a channel now. */
  joiner(channel: string, token?: string): Request | undefined {
    if (token !== undefined) this.#catchesUp(token.split("/")[0] ?? "");
    return this.requests.joiner(channel, token);
  }

  /** The session asks where a channel stands, for a subscribe. */
  registers(channel: string, how: "register" | "seen" | "join"): Call {
    const request = this.joiner(channel);
    check(request !== undefined, `${channel} is asked for by nobody`);
    const entry = request.joins.get(channel);
    if (!request.heard.has(channel)) {
      request.heard.set(channel, this.world.channel(channel).told.length);
    }
    if (entry !== undefined) this.streams.asked(channel, entry);
    // What the node has seen may be asked for more than once.
    if (how === "seen") request.calls.delete(`seen ${channel}`);
    const call = this.asks(`${how} ${channel}`, request);
    if (how !== "join") return call;
    const presence = this.world.settings.rules.of(channel).presence;
    check(entry?.ephemeral === false && presence, `${channel} is joined, which nobody asked for`);
    return call;
  }

  /** The session reads a page of history, for a request or to catch up. */
  reads(channel: string): Call {
    const recovery = this.streams.get(channel)?.recovery;
    const request = this.requests.replayer(channel);
    if (recovery !== undefined && request !== undefined) {
      return this.asks(recovery.reads(channel), request);
    }
    const asker = () => this.requests.holder(channel, "historyRequest");
    this.#catchesUpUntil(() => asker() !== undefined);
    return this.asks("history", asker());
  }

  asksPresence(channel: string): Call {
    const asker = () => this.requests.holder(channel, "presenceRequest");
    this.#catchesUpUntil(() => asker() !== undefined);
    return this.asks("presence", asker());
  }

  /** The broker is told that the session is in a channel no more. */
  leaves(channel: string, clean: boolean): void {
    if (this.#clean !== undefined) {
      check(clean === this.#clean, `${channel} is left ${clean ? "cleanly" : "for a while"}`);
      return;
    }
    if (clean) this.#catchesUpUntil(() => this.#mayLeave(channel));
    if (!clean || !this.#mayLeave(channel)) this.#leaving.push(clean);
  }

  #mayLeave(channel: string): boolean {
    if (this.requests.holder(channel, "unsubscribe") !== undefined) return true;
    return this.requests.all().some(({ joins, calls, byServer }) => {
      const entry = joins.get(channel);
      if (entry === undefined) return false;
      const entries = this.extended ? [entry] : [...joins.values()];
      const outcomes = entries.map((one) => this.requests.joinOutcome(calls, one, byServer));
      return entry.ephemeral || outcomes.some((outcome) => outcome?.error !== undefined);
    });
  }

  request(id: string): Request | undefined {
    this.#catchesUp(id);
    return this.requests.get(id);
  }

  connecting(): Request | undefined {
    return this.requests.all().find(({ message }) => message.envelope.case === "connect");
  }

  /** The key that a publish has to have; undefined where it only has to be one of its own. */
  publishKey(request: Request): string | undefined {
    const { envelope } = request.message;
    if (envelope.case !== "publish" || !this.extended) return undefined;
    const { source, id } = envelope.value;
    const channel = request.message.channel || source;
    if (source === "" || id === "" || !this.world.settings.rules.of(channel).exactlyOnce) {
      return undefined;
    }
    return eventKey("user", this.userId, source, id);
  }

  /** Whether a publish of a session that has ended may still reach its channel: once, if it waited. */
  leftPublish(id: string): boolean {
    return this.#leftPublishes.delete(id);
  }

  answers(call: Call, outcome: Outcome): void {
    if (this.state === "closed" || call.outcome !== undefined) return;
    for (const { calls, message } of this.requests.all()) {
      if (calls.get("history") === call && this.#cannotTell(message, outcome)) {
        this.requests.answers(call, { error: "INTERNAL_ERROR" });
        return;
      }
      if (outcome.error === undefined && calls.get("authenticate") === call) {
        this.userId = outcome.event ?? "";
      }
      for (const channel of this.streams.catchingUp) {
        const reads = [...calls].some(([what, other]) => {
          return other === call && what.startsWith(`read ${channel} `);
        });
        if (reads) this.streams.get(channel)?.recovery?.answered(outcome);
      }
    }
    this.requests.answers(call, outcome);
  }

  /** Whether a page of history holds what JSON cannot carry. */
  #cannotTell({ envelope }: InboundMessage, { page }: Outcome): boolean {
    if (envelope.case !== "historyRequest" || page === undefined) return false;
    if (this.encoding !== "json" || foreign(envelope.value, page)) return false;
    const { channel } = envelope.value;
    const { epoch } = page.position;
    return page.entries.some(({ offset }) => {
      const place = { epoch, offset: Number(offset) };
      return this.world.channel(channel).logged(place)?.onlyProtobuf;
    });
  }

  /** The time of calls is over. */
  expireCalls(): void {
    for (const { calls } of this.requests.all()) {
      for (const call of calls.values()) {
        if (call.deadline <= this.world.clock.time) this.answers(call, { error: call.late });
      }
    }
  }

  writes({ data, bytes, urgent }: SizedFrame): void {
    check(this.state !== "closed", "a frame is written after the end");
    check(this.#farewell === undefined, "a frame is written behind disconnect");
    check((typeof data === "string") === (this.encoding === "json"), "another encoding");
    const received = codecFor(this.encoding).decodeOutbound(data);
    const isCompact = this.capabilities.includes("compact");
    check(received.envelope.case !== (isCompact ? "publication" : "compact"), "another form");
    const message = whole(received);
    if (!this.extended) decodeStrictV1(data);
    const { envelope } = message;
    const late = this.world.clock.time - Number(message.time);
    // What many get may have been encoded for another, before this client could have it.
    const shared = ["publication", "presenceEvent", "presence"].includes(`${envelope.case}`);
    check(late === 0 || (shared && late > 0), "another time");
    if (envelope.case === "disconnect") {
      this.#farewell = envelope.value.code;
      return;
    }
    this.#catchesUp(message.id);
    check(bytes === Buffer.byteLength(data), `a frame is not ${bytes} bytes long`);
    check(!urgent || !KEEPS_ITS_PLACE.has(`${envelope.case}`), `${envelope.case} is urgent`);
    if (this.flow.writes(bytes)) this.doom(3510);
    if (!this.#replies.unasked(message)) this.#answers(message);
  }

  /** The server closes. */
  closes({ code }: Disconnect): void {
    check(this.state !== "closed", "a session is closed twice");
    const doomed = this.#doom;
    this.#catchesUpUntil(() => false);
    let expected = this.#doom;
    const exceeding = this.requests.all().some(({ exceeds }) => exceeds);
    if (code === 3505 && doomed === undefined && exceeding) expected = 3505;
    if (code === 3510 && this.flow.slow) expected = 3510;
    if (code === 3506 && this.streams.mayFail) expected = 3506;
    check(code === expected, `closed with ${code} and not with ${expected}`);
    const told = this.state === "connected" && this.capabilities.includes("control");
    check(this.#farewell === (told ? code : undefined), `disconnect says ${this.#farewell}`);
    this.ends(!reconnects(code));
  }

  /** The session is over, by either side or by loss. */
  ends(clean: boolean): void {
    if (this.state === "closed") return;
    this.state = "closed";
    this.#clean = clean;
    check(
      this.#leaving.every((one) => one === clean),
      "channels are left another way",
    );
    for (const { message } of this.requests.all()) {
      if (message.envelope.case === "publish") this.#leftPublishes.add(message.id);
    }
    this.requests.clear();
    this.streams.clear();
    this.#waiting = [];
    this.#turns = [];
    this.world.surveys.left(this.id);
  }

  /** Nothing moves any more: what has to have happened by now? */
  settled(): void {
    if (this.state === "closed") return;
    check(this.#doom === undefined, `should have been closed with ${this.#doom}`);
    check(this.#noise === 0, "an undecodable frame has no answer");
    check(this.#leaving.length === 0, "a channel is left for no reason");
    this.requests.settled();
    this.streams.settled();
  }

  counts(code: string): void {
    if (COUNTED.has(code) && this.#errors.exceeded()) this.doom(3509);
  }

  /** The connect is granted: the frames behind it have their turn. */
  connects(): void {
    this.state = "connected";
    this.seen = this.world.clock.time;
    this.#turns = this.#waiting;
    this.#waiting = [];
    // All of them have their turn in this very step, and nothing of another step before them.
    queueMicrotask(() => this.#catchesUp(this.#turns.at(-1)?.message.id ?? ""));
  }

  /** Takes a frame in its turn, and notes what it is owed. */
  #handle(message: InboundMessage): void {
    const due = this.#frames.takes(message);
    if (due !== undefined) this.requests.add(message, { due });
  }

  /** An answer, to a request or to what was no frame. */
  #answers(message: OutboundMessage): void {
    const { envelope } = message;
    const label =
      envelope.case === "error" ? `error ${envelope.value.code}` : (envelope.case ?? "nothing");
    const request = this.requests.get(message.id);
    if (request === undefined) {
      check(this.#noise > 0 && label === "error BAD_REQUEST", `${label} answers nothing`);
      check(message.id.startsWith("uuid-"), "what nobody asked for has a random id");
      this.#noise -= 1;
      this.counts("BAD_REQUEST");
      return;
    }
    const due = this.requests.expected(request);
    check(due.includes(label), `${message.id} is answered by ${label} and not by ${due}`);
    check(!this.requests.blocked(request), `${message.id} is answered before its turn`);
    const sent = JSON.stringify(request.message.metadata);
    check(JSON.stringify(message.metadata) === sent, "a reply has other metadata");
    this.#replies.takesEffect(request, message);
  }

  #takesTurn(): void {
    const frame = this.#turns.shift();
    if (frame === undefined) return;
    const { message, size } = frame;
    this.openBytes += size;
    this.#turned.set(message.id, size);
    this.#handle(message);
    if (this.requests.get(message.id) === undefined) this.worked(message.id);
  }

  /** A frame is done with; of one that waited behind connect nobody else can tell. */
  worked(id: string): void {
    const size = this.#turned.get(id) ?? 0;
    this.#turned.delete(id);
    // Not in the step that the others behind the same connect have their turn in.
    queueMicrotask(() => {
      this.openBytes -= size;
    });
  }

  /** Something is heard of one of the frames behind connect: it and those before it had their turn. */
  #catchesUp(id: string): void {
    const count = this.#turns.findIndex(({ message }) => message.id === id) + 1;
    for (let i = 0; i < count && this.#doom === undefined; i++) this.#takesTurn();
  }

  /** Something happens that one of the frames behind connect must have brought about. */
  #catchesUpUntil(explained: () => boolean): void {
    const ends = () => {
      const exceeding = this.requests.all().filter(({ exceeds }) => exceeds === "must");
      return this.#doom !== undefined || exceeding.some(({ waited }) => !waited);
    };
    while (this.#turns.length > 0 && !ends() && !explained()) this.#takesTurn();
  }
}
