/** A WebSocket whose other end is the test: it keeps what the SDK sends and says what the test wants. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type ClientOption,
  dial,
  type Encoding,
  type MessageLoopClient,
  type WebSocketLike,
  withEncoding,
  withWebSocket,
} from "../../../src/client/v0/index.ts";
import { type Codec, codecFor, type Frame } from "../../../src/protocol/codec.ts";
import {
  type ConnectedSchema,
  type InboundMessage,
  OutboundMessageSchema,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";

type Outbound = Exclude<MessageInitShape<typeof OutboundMessageSchema>, { $typeName: string }>;
type ConnectedInit = Exclude<MessageInitShape<typeof ConnectedSchema>, { $typeName: string }>;

export class ScriptedSocket implements WebSocketLike {
  binaryType = "blob";
  readyState = 0;
  /** What the SDK has sent, in order. */
  readonly sent: InboundMessage[] = [];
  readonly codec: Codec;
  readonly #listeners = new Map<string, ((event: never) => void)[]>();

  constructor(_url: string, protocols: readonly string[]) {
    this.codec = codecFor(protocols.includes("messageloop+proto") ? "proto" : "json");
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  send(frame: Frame): void {
    // The heartbeat is no message.
    if (frame === "ping") return;
    if (this.readyState === 0) throw new Error("the socket is not open yet");
    // A real socket says nothing about what is sent too late.
    if (this.readyState === 1) this.sent.push(this.codec.decodeInbound(frame));
  }

  /** The SDK closes: the other end answers with the same code. */
  close(code = 1005, reason = ""): void {
    if (this.readyState >= 2) return;
    this.readyState = 2;
    queueMicrotask(() => this.end(code, reason));
  }

  open(): void {
    this.readyState = 1;
    this.#emit("open", {});
  }

  /** The other end sends a frame as it stands. */
  frame(frame: Frame): void {
    const data = typeof frame === "string" ? frame : Uint8Array.from(frame).buffer;
    this.#emit("message", { data });
  }

  /** The other end sends a message; returns how many bytes its frame has. */
  message(init: Outbound): number {
    const frame = this.codec.encodeOutbound(create(OutboundMessageSchema, init));
    this.frame(frame);
    return Buffer.byteLength(frame);
  }

  /** The other end answers the SDK's latest request. */
  answer(envelope: NonNullable<Outbound["envelope"]>): number {
    return this.message({ id: this.sent.at(-1)?.id ?? "", envelope });
  }

  /** The connection ends, with a close frame of the other end or, for 1006, without one. */
  end(code: number, reason = ""): void {
    this.readyState = 3;
    this.#emit("close", { code, reason });
  }

  /** It was never open, and nothing but an error says so. */
  fail(): void {
    this.#emit("error", {});
  }

  #emit(type: string, event: object): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never);
  }
}

/** A client that is dialling: the socket is open and its connect has been sent. */
export function dialled(
  encoding: Encoding,
  ...options: ClientOption[]
): { socket: ScriptedSocket; dialling: Promise<MessageLoopClient> } {
  const sockets: ScriptedSocket[] = [];
  class KeptSocket extends ScriptedSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const dialling = dial("ws://scripted", [
    withEncoding(encoding),
    withWebSocket(KeptSocket),
    ...options,
  ]);
  const [socket] = sockets;
  if (socket === undefined) throw new Error("dial has made no socket");
  socket.open();
  return { socket, dialling };
}

/** A client whose connect was answered; `taken` is how many bytes it has received for that. */
export async function connected(
  encoding: Encoding,
  answer: ConnectedInit = {},
): Promise<{ client: MessageLoopClient; socket: ScriptedSocket; taken: number }> {
  const { socket, dialling } = dialled(encoding);
  const taken = socket.answer({ case: "connected", value: { sessionId: "s", ...answer } });
  return { client: await dialling, socket, taken };
}
