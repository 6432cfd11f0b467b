/**
 * A raw client for tests: the real codec over a real socket, nothing of the SDK. It keeps what it
 * receives, answers for credit where asked to, and holds every frame of a v1 client against the schema
 * of v0.1.1.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { codecFor, type Encoding, type Frame } from "../../src/protocol/codec.ts";
import {
  type ConnectSchema,
  InboundMessageSchema,
  type Message,
  type OutboundMessage,
  type SubscriptionSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { utf8Length } from "../../src/protocol/lean/utf8-length.ts";
import { whole } from "./expand.ts";
import { decodeStrictV1 } from "./strict-v1.ts";

export type Inbound = Exclude<MessageInitShape<typeof InboundMessageSchema>, { $typeName: string }>;
export type ConnectInit = Exclude<MessageInitShape<typeof ConnectSchema>, { $typeName: string }>;
export type SubscriptionInit = Exclude<
  MessageInitShape<typeof SubscriptionSchema>,
  { $typeName: string }
>;
export type EnvelopeCase = NonNullable<OutboundMessage["envelope"]["case"]>;

/** The part of a WebSocket that is used: those of `ws`, of workerd and of a browser have it. */
export interface SocketLike {
  binaryType: string;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(
    type: "close",
    listener: (event: { code: number; reason: string }) => void,
  ): void;
}

export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** What kind of client this is. */
export interface Kind {
  readonly encoding: Encoding;
  readonly extended: boolean;
  /** Whether it has the capability `compact`, as extended clients may. */
  readonly compact?: boolean;
}

export const KINDS: readonly Kind[] = [
  { encoding: "json", extended: false, compact: false },
  { encoding: "json", extended: true, compact: false },
  { encoding: "proto", extended: false, compact: false },
  { encoding: "proto", extended: true, compact: false },
];

export const COMPACT: readonly Kind[] = [
  { encoding: "json", extended: true, compact: true },
  { encoding: "proto", extended: true, compact: true },
];

export interface ClientSettings extends Kind {
  /** What an extended client announces. Default a capability that no server has. */
  readonly capabilities?: readonly string[];
  /** Bytes after which `received` is sent; undefined never sends it. */
  readonly acknowledgeEvery?: number;
  /** Takes what `take` is given, where nothing is kept and decoded: for loads. */
  readonly onBytes?: (bytes: Uint8Array) => void;
}

const PATIENCE_MS = 30_000;

export class Client<Socket extends SocketLike = SocketLike> {
  readonly socket: Socket;
  readonly encoding: Encoding;
  readonly extended: boolean;
  /** Everything received, in order. */
  readonly frames: Frame[] = [];
  /** Everything received, decoded, in order. */
  readonly log: OutboundMessage[] = [];
  /** Everything delivered, in order. */
  readonly messages: Message[] = [];
  /** Everything else, in order. */
  readonly replies: OutboundMessage[] = [];
  /** Where a frame to this v1 client was not of v0.1.1, or deliveries came in another form than they should. */
  readonly violations: string[] = [];
  close: Closed | undefined;
  /** Bytes received, without `pong`. */
  bytes = 0;
  readonly #settings: ClientSettings;
  #acknowledged = 0;
  #wakers: (() => void)[] = [];
  #counter = 0;

  constructor(socket: Socket, settings: ClientSettings) {
    this.socket = socket;
    this.encoding = settings.encoding;
    this.extended = settings.extended;
    this.#settings = settings;
    if (settings.onBytes === undefined) {
      socket.binaryType = "arraybuffer";
      socket.addEventListener("message", ({ data }) => this.#receive(data));
    }
    socket.addEventListener("close", ({ code, reason }) => {
      this.close = { code, reason };
      this.#wake();
    });
  }

  send(message: Inbound): void {
    const frame = codecFor(this.encoding).encodeInbound(create(InboundMessageSchema, message));
    this.sendRaw(frame);
  }

  sendRaw(frame: Frame): void {
    this.socket.send(frame as string | Uint8Array<ArrayBuffer>);
  }

  /** Sends a message and resolves with the reply that carries its id. */
  async request(message: Inbound): Promise<OutboundMessage> {
    this.#counter += 1;
    const id = message.id ?? `r${this.#counter}`;
    this.send({ ...message, id });
    return await this.until(() => this.replies.find((reply) => reply.id === id));
  }

  async connect(value: ConnectInit = {}): Promise<OutboundMessage> {
    const { capabilities: announced = ["test"] } = this.#settings;
    const asked = value.capabilities ?? (this.extended ? announced : []);
    const capabilities = this.#compact ? [...asked, "compact"] : [...asked];
    return await this.request({
      envelope: { case: "connect", value: { clientId: "test", ...value, capabilities } },
    });
  }

  async ping(): Promise<OutboundMessage> {
    return await this.request({ envelope: { case: "ping", value: {} } });
  }

  /** Subscribes to channels by their names, or with all that a subscription can say. */
  async subscribe(...wanted: (string | SubscriptionInit)[]): Promise<OutboundMessage> {
    const subscriptions = wanted.map((entry) =>
      typeof entry === "string" ? { channel: entry } : entry,
    );
    return await this.request({ envelope: { case: "subscribe", value: { subscriptions } } });
  }

  async unsubscribe(...channels: string[]): Promise<OutboundMessage> {
    const subscriptions = channels.map((channel) => ({ channel }));
    return await this.request({ envelope: { case: "unsubscribe", value: { subscriptions } } });
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
    return Number(valueAs(reply, "publishAck").offset);
  }

  /** Calls a method with a text, and resolves with the reply. */
  async rpc(method: string, text = "", channel = "test"): Promise<OutboundMessage> {
    return await this.request({
      channel,
      method,
      envelope: {
        case: "rpcRequest",
        value: {
          id: "e",
          source: "/test",
          type: "t",
          attributes: { datacontenttype: { attr: { case: "ceString", value: "text/plain" } } },
          data: { case: "textData", value: text },
        },
      },
    });
  }

  /** Resolves when that many messages have arrived; rejects with what there is after `ms`. */
  async received(count: number, ms = PATIENCE_MS): Promise<Message[]> {
    await this.until(() => this.messages.length >= count || undefined, ms);
    return this.messages;
  }

  /** Resolves with the first message of a kind that nobody asked for. */
  async next<Case extends EnvelopeCase>(kind: Case): Promise<ValueOf<Case>> {
    const found = await this.until(() =>
      this.replies.find(({ envelope }) => envelope.case === kind),
    );
    return valueAs(found, kind);
  }

  /** Every value of a kind that was received, in order, asked for or not. */
  all<Case extends EnvelopeCase>(kind: Case): ValueOf<Case>[] {
    return this.replies
      .filter(({ envelope }) => envelope.case === kind)
      .map((reply) => valueAs(reply, kind));
  }

  /** Resolves when that many of a kind have arrived. */
  async several<Case extends EnvelopeCase>(kind: Case, count: number): Promise<ValueOf<Case>[]> {
    return await this.until(() => {
      const values = this.all(kind);
      return values.length >= count ? values : undefined;
    });
  }

  /** Resolves with the first value of `probe` that is not undefined; rejects when the socket closes. */
  async until<T>(probe: () => T | undefined, ms = PATIENCE_MS): Promise<T> {
    const deadline = Date.now() + ms;
    for (;;) {
      const value = probe();
      if (value !== undefined) return value;
      if (this.close !== undefined) {
        throw new Error(`closed ${this.close.code} ${this.close.reason}`);
      }
      if (Date.now() >= deadline) {
        throw new Error(`nothing in time; ${this.messages.length} messages`);
      }
      await this.#event(deadline);
    }
  }

  /** Resolves when the socket has closed. */
  async closed(ms = 20_000): Promise<Closed> {
    const deadline = Date.now() + ms;
    while (this.close === undefined) {
      if (Date.now() >= deadline) throw new Error("still open");
      await this.#event(deadline);
    }
    return this.close;
  }

  get #compact(): boolean {
    return this.extended && this.#settings.compact === true;
  }

  #receive(data: unknown): void {
    const frame = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
    if (frame !== "pong") {
      this.bytes += typeof frame === "string" ? utf8Length(frame) : frame.length;
    }
    this.#keep(frame);
    this.#received();
  }

  /** Takes the bytes of a frame from whoever listens for it, so that no text is made of it. */
  take(bytes: Uint8Array): void {
    this.bytes += bytes.length;
    this.#settings.onBytes?.(bytes);
    this.#received();
  }

  #received(): void {
    const { acknowledgeEvery } = this.#settings;
    if (acknowledgeEvery !== undefined && this.bytes - this.#acknowledged >= acknowledgeEvery) {
      this.#acknowledged = this.bytes;
      this.send({ envelope: { case: "received", value: { bytes: BigInt(this.bytes) } } });
    }
    this.#wake();
  }

  #keep(frame: Frame): void {
    this.frames.push(frame);
    if (frame === "pong") return;
    if (!this.extended) {
      try {
        decodeStrictV1(frame);
      } catch (error) {
        this.violations.push(`${error}`);
      }
    }
    const received = codecFor(this.encoding).decodeOutbound(frame);
    const unasked = this.#compact ? "publication" : "compact";
    if (received.envelope.case === unasked) this.violations.push(`${unasked}: ${frame}`);
    const message = whole(received);
    this.log.push(message);
    if (message.envelope.case === "publication") {
      this.messages.push(...message.envelope.value.messages);
    } else this.replies.push(message);
  }

  async #event(deadline: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.max(deadline - Date.now(), 0));
      this.#wakers.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}

export type ValueOf<Case extends EnvelopeCase> = Extract<
  OutboundMessage["envelope"],
  { case: Case }
>["value"];

/** The value of an envelope that must be of a kind. */
export function valueAs<Case extends EnvelopeCase>(
  { envelope }: OutboundMessage,
  kind: Case,
): ValueOf<Case> {
  if (envelope.case === kind) return envelope.value as ValueOf<Case>;
  const told = envelope.case === "error" ? ` ${envelope.value.code}` : "";
  throw new Error(`expected ${kind}, received ${envelope.case}${told}`);
}

/** The kind of an envelope; of errors with their code. */
export function kindOf({ envelope }: OutboundMessage): string {
  return envelope.case === "error" ? `error ${envelope.value.code}` : `${envelope.case}`;
}

/** A channel name no other test uses. */
export function freshChannel(prefix = "test"): string {
  return `${prefix}.${crypto.randomUUID()}`;
}

/** The texts of messages, in the order of arrival. */
export function texts(messages: readonly Message[]): string[] {
  return messages.map(({ payload }) => textOf(payload));
}

/** An event's data as text. */
export function textOf(event: Message["payload"]): string {
  const data = event?.data;
  if (data?.case === "textData") return data.value;
  if (data?.case === "protoData") return new TextDecoder().decode(data.value.value);
  return data?.case === "binaryData" ? new TextDecoder().decode(data.value) : "";
}
