/** A raw client over a WebSocket into the Worker: the real codec, nothing of the SDK. */
import { exports } from "cloudflare:workers";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { codecFor, type Encoding, type Frame } from "../../src/protocol/codec.ts";
import {
  InboundMessageSchema,
  type Message,
  type OutboundMessage,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";

type Inbound = Exclude<MessageInitShape<typeof InboundMessageSchema>, { $typeName: string }>;

export interface ClientOptions {
  readonly encoding?: Encoding;
  readonly extended?: boolean;
  readonly clientId?: string;
  readonly subscribe?: readonly string[];
  /** Opens the socket; the Worker's own placement by default. */
  readonly open?: (request: Request) => Promise<Response>;
}

export class Client {
  readonly socket: WebSocket;
  readonly encoding: Encoding;
  /** Everything received, in order. */
  readonly frames: Frame[] = [];
  readonly messages: Message[] = [];
  close: { code: number; reason: string } | undefined;
  #replies: OutboundMessage[] = [];
  #wakers: (() => void)[] = [];
  #counter = 0;

  constructor(socket: WebSocket, encoding: Encoding) {
    this.socket = socket;
    this.encoding = encoding;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      const frame = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
      this.frames.push(frame);
      if (frame !== "pong") this.#take(codecFor(encoding).decodeOutbound(frame));
      this.#wake();
    });
    socket.addEventListener("close", ({ code, reason }) => {
      this.close = { code, reason };
      this.#wake();
    });
    socket.accept();
  }

  /** Opens a socket and connects. */
  static async connect(options: ClientOptions = {}): Promise<Client> {
    const client = await Client.open(options);
    const reply = await client.request({
      envelope: {
        case: "connect",
        value: {
          clientId: options.clientId ?? "test",
          capabilities: options.extended === false ? [] : ["test"],
          subscriptions: (options.subscribe ?? []).map((channel) => ({ channel })),
        },
      },
    });
    if (reply.envelope.case !== "connected") throw new Error(`refused: ${reply.envelope.case}`);
    return client;
  }

  /** Opens a socket only. */
  static async open(options: ClientOptions = {}): Promise<Client> {
    const encoding = options.encoding ?? "json";
    const request = new Request("http://localhost/ws", {
      headers: {
        Upgrade: "websocket",
        Connection: "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": codecFor(encoding).subprotocol,
      },
    });
    const response = await (options.open ?? ((upgrade) => exports.default.fetch(upgrade)))(request);
    if (response.webSocket === null) throw new Error(`no socket: ${response.status}`);
    return new Client(response.webSocket, encoding);
  }

  send(message: Inbound): void {
    const frame = codecFor(this.encoding).encodeInbound(create(InboundMessageSchema, message));
    this.socket.send(frame as string | Uint8Array<ArrayBuffer>);
  }

  /** Sends a message and resolves with the reply that carries its id. */
  async request(message: Inbound): Promise<OutboundMessage> {
    this.#counter += 1;
    const id = message.id ?? `r${this.#counter}`;
    this.send({ ...message, id });
    return await this.until(() => this.#replies.find((reply) => reply.id === id));
  }

  /** Publishes and resolves with the offset of the acknowledgement. */
  async publish(channel: string, text: string, id = crypto.randomUUID()): Promise<number> {
    const reply = await this.request({
      channel,
      envelope: {
        case: "publish",
        value: { id, source: "/test", type: "t", data: { case: "textData", value: text } },
      },
    });
    if (reply.envelope.case !== "publishAck") throw new Error(JSON.stringify(reply.envelope.value));
    return Number(reply.envelope.value.offset);
  }

  async subscribe(...channels: string[]): Promise<OutboundMessage> {
    const subscriptions = channels.map((channel) => ({ channel }));
    return await this.request({ envelope: { case: "subscribe", value: { subscriptions } } });
  }

  /** Resolves when that many messages have arrived; rejects with what there is after `ms`. */
  async received(count: number, ms = 30_000): Promise<Message[]> {
    await this.until(() => this.messages.length >= count || undefined, ms);
    return this.messages;
  }

  /** Resolves with the first value of `probe` that is not undefined. */
  async until<T>(probe: () => T | undefined, ms = 30_000): Promise<T> {
    const deadline = Date.now() + ms;
    for (;;) {
      const value = probe();
      if (value !== undefined) return value;
      if (this.close !== undefined)
        throw new Error(`closed ${this.close.code} ${this.close.reason}`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`nothing in time; ${this.messages.length} messages`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wakers.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async closed(ms = 10_000): Promise<{ code: number; reason: string }> {
    const deadline = Date.now() + ms;
    while (this.close === undefined && Date.now() < deadline) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#wakers.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    if (this.close === undefined) throw new Error("still open");
    return this.close;
  }

  #take(message: OutboundMessage): void {
    if (message.envelope.case === "publication")
      this.messages.push(...message.envelope.value.messages);
    else this.#replies.push(message);
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}

/** A channel name no other test uses. */
export function freshChannel(): string {
  return `test.${crypto.randomUUID()}`;
}

/** The texts of messages, in the order of arrival. */
export function texts(messages: readonly Message[]): string[] {
  return messages.map(({ payload }) => {
    const data = payload?.data;
    if (data?.case === "textData") return data.value;
    return data?.case === "binaryData" ? new TextDecoder().decode(data.value) : "";
  });
}
