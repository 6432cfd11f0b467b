/**
 * A client of Open and Send over plain HTTP that looks like a WebSocket, so that whatever is tested over one can be
 * tested over the other. Nothing of the Connect library is in it.
 *
 * What goes out in order may arrive in any: calls are made at once, over two connections, and a client that has
 * `faults` also delays, repeats, joins and loses them, and makes lost ones again.
 */
import { Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { codecFor, type Encoding, encodeJson, type Frame } from "../../src/protocol/codec.ts";
import { RawSendSchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  ConnectSchema,
  type Opened,
  type OutboundMessage,
  SendResponseSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { MAX_HELD_BYTES, MAX_HELD_MESSAGES, MAX_SEND_MESSAGES } from "../../src/protocol/limits.ts";
import type { SocketLike } from "./client.ts";
import type { SeededRandom } from "./random.ts";

const SERVICE = "/messageloop.v1.MessagingService";
/** Calls at the same time; what is said meanwhile waits, and goes out together. */
const MOST_CALLS = 6;
/** Flag of the message that ends a Connect stream. */
const END = 2;
const CLOSED_ABNORMALLY = 1006;

export interface OpenSocketOptions {
  readonly encoding: Encoding;
  readonly headers?: Readonly<Record<string, string>>;
  /** Where the calls of Send go, in turn; default where the stream is. */
  readonly sendTo?: readonly string[];
  /** What may happen to calls on their way. Default nothing. */
  readonly faults?: SeededRandom;
}

type Listener = (event: { data: unknown; code: number; reason: string }) => void;

export class OpenSocket implements SocketLike {
  binaryType = "arraybuffer";
  /** What the server says first. */
  opened: Opened | undefined;
  /** Heartbeats so far. */
  heartbeats = 0;
  /** Last number that the server says it has taken. */
  taken = 0;
  readonly #base: string;
  readonly #options: OpenSocketOptions;
  readonly #agents = [1, 2].map(() => new Agent({ keepAlive: true, maxSockets: 1 }));
  readonly #listeners: [type: string, listener: Listener][] = [];
  /** Frames that have no number yet: the stream has not been opened, or the server has enough to hold. */
  #waiting: Frame[] = [];
  /** Sizes of those that are under way, by their numbers. */
  readonly #untaken = new Map<number, number>();
  #untakenBytes = 0;
  #sent = 0;
  #calls = 0;
  /** Calls that are under way, or will be in a moment. */
  #busy = 0;
  /** The last few frames, which may be sent once more with a later one. */
  #recent: Frame[] = [];
  #connectId = "";
  #stream: ClientRequest | undefined;
  #rest = Buffer.alloc(0);
  #last: OutboundMessage | undefined;
  #closed = false;

  /** @param base such as `http://127.0.0.1:9080` */
  constructor(base: string, options: OpenSocketOptions) {
    this.#base = base;
    this.#options = options;
  }

  addEventListener(type: "message" | "close", listener: Listener): void {
    this.#listeners.push([type, listener]);
  }

  /** The first frame must be connect, and a text must be JSON. The heartbeat of WebSocket is a call without messages. */
  send(frame: Frame): void {
    if (this.#closed) return;
    if (frame === "ping") {
      this.#call(0, []);
      return;
    }
    if (this.#options.encoding === "json" && typeof frame !== "string") {
      this.send(Buffer.from(frame).toString());
      return;
    }
    if (typeof frame === "string") JSON.parse(frame);
    if (this.#stream === undefined) this.#open(frame);
    else {
      this.#waiting.push(frame);
      this.#pump();
    }
  }

  /** A stream has no way to say goodbye. */
  close(): void {
    this.terminate();
  }

  terminate(): void {
    this.#stream?.destroy();
    this.#over(CLOSED_ABNORMALLY, "");
  }

  #open(frame: Frame): void {
    const { encoding, headers = {} } = this.#options;
    const { id, envelope } = codecFor(encoding).decodeInbound(frame);
    if (envelope.case !== "connect") throw new Error("a stream is opened by connect");
    this.#connectId = id;
    const message = Buffer.from(
      encoding === "json"
        ? encodeJson(ConnectSchema, envelope.value)
        : toBinary(ConnectSchema, envelope.value),
    );
    const head = Buffer.alloc(5);
    head.writeUInt32BE(message.length, 1);
    this.#stream = request(`${this.#base}${SERVICE}/Open`, {
      method: "POST",
      agent: false,
      headers: { "Content-Type": `application/connect+${encoding}`, ...headers },
    });
    this.#stream.on("error", () => this.#over(CLOSED_ABNORMALLY, "the connection was lost"));
    this.#stream.on("response", (response: IncomingMessage) => {
      const { statusCode = 0 } = response;
      if (statusCode !== 200) this.#over(CLOSED_ABNORMALLY, `HTTP ${statusCode}`);
      response.on("data", (chunk: Buffer) => this.#read(chunk));
      response.on("close", () => this.#over(CLOSED_ABNORMALLY, "the stream ended by itself"));
    });
    this.#stream.end(Buffer.concat([head, message]));
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 5) {
      const end = 5 + this.#rest.readUInt32BE(1);
      if (this.#rest.length < end) return;
      const flags = this.#rest[0];
      const data = this.#rest.subarray(5, end);
      this.#rest = this.#rest.subarray(end);
      if (flags === END) this.#ended(data.toString());
      else this.#take(this.#options.encoding === "json" ? data.toString() : new Uint8Array(data));
    }
  }

  #take(frame: Frame): void {
    const codec = codecFor(this.#options.encoding);
    const message = codec.decodeOutbound(frame);
    const { envelope, id, time } = message;
    this.#last = message;
    if (envelope.case === "opened") {
      this.opened = envelope.value;
      this.#pump();
    } else if (envelope.case === "pong" && id === "" && time === 0n) {
      this.heartbeats += 1;
    } else if (id === "" && this.#connectId !== "") {
      // Open has no id that the answer could carry.
      message.id = this.#connectId;
      this.#connectId = "";
      this.#tell("message", { data: dataOf(codec.encodeOutbound(message)) });
    } else if (farewellOf(message) === undefined) {
      this.#tell("message", { data: dataOf(frame) });
    }
  }

  #ended(text: string): void {
    const { error } = JSON.parse(text) as { error?: { code: string; message?: string } };
    const farewell = this.#last && farewellOf(this.#last);
    if (farewell !== undefined) this.#over(farewell.code, farewell.reason);
    else this.#over(CLOSED_ABNORMALLY, error === undefined ? "" : `${error.code} ${error.message}`);
  }

  #over(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const agent of this.#agents) agent.destroy();
    this.#tell("close", { code, reason });
  }

  #tell(type: string, event: { data?: unknown; code?: number; reason?: string }): void {
    for (const [wanted, listener] of this.#listeners) {
      if (wanted === type) listener({ data: undefined, code: 0, reason: "", ...event });
    }
  }

  /** Sends what waits, as far as the server may hold it back. */
  #pump(): void {
    if (this.opened === undefined || this.#busy >= MOST_CALLS) return;
    const now: Frame[] = [];
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const size = Buffer.byteLength(next);
      const alone = this.#untaken.size === 0;
      const fits = this.#untakenBytes + size <= MAX_HELD_BYTES;
      if (this.#untaken.size >= MAX_HELD_MESSAGES || !(fits || alone)) break;
      this.#waiting.shift();
      this.#untaken.set(this.#sent + now.length + 1, size);
      this.#untakenBytes += size;
      now.push(next);
    }
    if (now.length > 0) this.#sendSoon(now);
  }

  #tookUntil(seq: number): void {
    this.taken = Math.max(this.taken, seq);
    for (const [number, size] of this.#untaken) {
      if (number > this.taken) break;
      this.#untaken.delete(number);
      this.#untakenBytes -= size;
    }
    this.#pump();
  }

  /** Gives frames their numbers and sends them, in one call where they fit in one. */
  #sendSoon(frames: readonly Frame[]): void {
    const { faults } = this.#options;
    const seq = this.#sent + 1;
    this.#sent += frames.length;
    // With some of those before them, once more.
    const again = faults?.int(Math.min(this.#recent.length, 3) + 1) ?? 0;
    const all = [...this.#recent.slice(this.#recent.length - again), ...frames];
    this.#recent = all.slice(-3);
    const first = seq - again;
    if (fitInOne(all)) this.#roughly(first, all);
    else for (const [index, one] of all.entries()) this.#roughly(first + index, [one]);
  }

  /** Makes a call, as well as the way there lets it. */
  #roughly(seq: number, frames: readonly Frame[]): void {
    const { faults } = this.#options;
    if (faults === undefined) {
      this.#call(seq, frames);
      return;
    }
    this.#busy += 1;
    const make = (): void => {
      this.#busy -= 1;
      // Lost on the way there: it is made again.
      if (faults.chance(0.2)) this.#roughly(seq, frames);
      else this.#call(seq, frames);
      // Lost on the way back, as far as the client knows.
      if (faults.chance(0.2)) this.#roughly(seq, frames);
    };
    const delay = faults.int(4);
    if (delay === 0) make();
    else setTimeout(make, delay);
  }

  #call(seq: number, frames: readonly Frame[]): void {
    if (this.opened === undefined || this.#closed) return;
    const { sessionId, secret } = this.opened;
    const { encoding, headers = {}, sendTo = [this.#base] } = this.#options;
    const isText =
      frames.length === 0
        ? encoding === "json"
        : frames.every((frame) => typeof frame === "string");
    const messages = frames.map((frame) => Buffer.from(frame as string));
    const body = isText
      ? `{"session_id":${JSON.stringify(sessionId)},"seq":"${seq}","messages":[${frames.join(",")}]}`
      : toBinary(RawSendSchema, create(RawSendSchema, { sessionId, seq: BigInt(seq), messages }));
    this.#calls += 1;
    const [first, second] = this.#agents;
    const base = sendTo[this.#calls % sendTo.length] ?? this.#base;
    const call = request(`${base}${SERVICE}/Send`, {
      method: "POST",
      agent: (this.#calls % 2 === 0 ? first : second) as Agent,
      headers: {
        "Content-Type": `application/${isText ? "json" : encoding}`,
        "Messageloop-Stream-Secret": secret,
        ...headers,
      },
    });
    this.#busy += 1;
    call.on("close", () => {
      this.#busy -= 1;
      this.#pump();
    });
    // The stream says by itself that it is over.
    call.on("error", () => {});
    call.on("response", (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => this.#answered(response, Buffer.concat(chunks), isText));
    });
    call.end(body);
  }

  #answered({ statusCode }: IncomingMessage, body: Buffer, isText: boolean): void {
    // A stream that is over is not found.
    if (statusCode === 404) return;
    if (statusCode !== 200) throw new Error(`Send: HTTP ${statusCode} ${body.toString()}`);
    const taken = isText
      ? Number((JSON.parse(body.toString()) as { seq?: string }).seq ?? 0)
      : Number(fromBinary(SendResponseSchema, body).seq);
    this.#tookUntil(taken);
  }
}

/** Texts and bytes are for calls of different kinds, and a call has its bounds. */
function fitInOne(frames: readonly Frame[]): boolean {
  const isText = (frame: Frame): boolean => typeof frame === "string";
  const bytes = frames.reduce((sum, frame) => sum + Buffer.byteLength(frame), 0);
  return (
    frames.length <= MAX_SEND_MESSAGES &&
    bytes <= MAX_HELD_BYTES &&
    (frames.every(isText) || !frames.some(isText))
  );
}

function dataOf(frame: Frame): unknown {
  return typeof frame === "string" ? frame : Uint8Array.from(frame).buffer;
}

/** What the last message of a stream says of its end. */
function farewellOf({ envelope }: OutboundMessage): { code: number; reason: string } | undefined {
  if (envelope.case !== "error" || envelope.value.code !== "DISCONNECT_ERROR") return undefined;
  return { code: Number(envelope.value.metadata?.["code"]), reason: envelope.value.message };
}
