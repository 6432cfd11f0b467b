/**
 * Two clients of bidirectional streams: one of grpc-js and the .proto files alone, as any gRPC client
 * would be made, and one of Connect. Both speak in plain objects, shaped as protobuf JSON.
 */
import { fileURLToPath } from "node:url";
import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import {
  type CallOptions,
  type ClientDuplexStream,
  credentials,
  makeGenericClientConstructor,
  type ServiceDefinition,
  type StatusObject,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import {
  InboundMessageSchema,
  MessagingService,
  type OutboundMessage,
  OutboundMessageSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Kind } from "./client.ts";
import { decodeStrictV1 } from "./strict-v1.ts";

/** A message as protobuf JSON has it, with proto names. */
export interface Plain {
  readonly [field: string]: JsonValue | undefined;
}

const PATIENCE_MS = 20_000;
/** A client of one stream; how it sends and receives is the affair of its kinds. */
export abstract class StreamClient {
  /** Everything received, in order. */
  readonly received: Plain[] = [];
  /** The texts delivered, in order. */
  readonly texts: string[] = [];
  /** Code of the status that the stream ended with; 0 is OK. */
  status: number | undefined;
  /** What the status said. */
  details = "";
  #counter = 0;
  #wakers: (() => void)[] = [];

  abstract send(message: Plain): void;
  /** Ends the client's half. */
  abstract halfClose(): void;
  abstract cancel(): void;

  /** Sends a message and resolves with the reply that carries its id. */
  async request(message: Plain): Promise<Plain> {
    this.#counter += 1;
    const id = `r${this.#counter}`;
    this.send({ ...message, id });
    return await this.until(() => this.received.find((reply) => reply["id"] === id));
  }

  async connect(context: { readonly kind: Kind }, connect: Plain = {}): Promise<Plain> {
    const { extended } = context.kind;
    const capabilities = extended ? { capabilities: ["test"] } : {};
    const value: Plain = { client_id: "test", ...capabilities, ...connect };
    return await this.request({ connect: value as JsonValue });
  }

  /** Publishes a text. */
  async publish(channel: string, text: string): Promise<Plain> {
    const event = { id: crypto.randomUUID(), source: "/s", type: "t", text_data: text };
    return await this.request({ channel, publish: event });
  }

  /** Calls a method of the suite's backend with a text. */
  async rpc(method: string, text: string): Promise<Plain> {
    const event = { id: "e", source: "/s", type: "t", text_data: text };
    return await this.request({ method, rpc_request: event });
  }

  /** Resolves with the status that the stream ends with. */
  async ended(ms = PATIENCE_MS): Promise<number> {
    return await this.until(() => this.status, ms);
  }

  /** Resolves with the first value of `probe` that is not undefined. */
  async until<T>(probe: () => T | undefined, ms = PATIENCE_MS): Promise<T> {
    const deadline = Date.now() + ms;
    for (;;) {
      const value = probe();
      if (value !== undefined) return value;
      if (this.status !== undefined) throw new Error(`ended ${this.status} ${this.details}`);
      if (Date.now() >= deadline) {
        throw new Error(`nothing in time; last: ${JSON.stringify(this.received.at(-1))}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, deadline - Date.now());
        this.#wakers.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  protected take(message: Plain): void {
    this.received.push(message);
    const { publication } = message as { publication?: { messages?: Plain[] } };
    for (const { payload } of publication?.messages ?? []) {
      const { binary_data: bytes, text_data: text } = payload as Record<string, string>;
      this.texts.push(text ?? Buffer.from(bytes ?? "", "base64").toString());
    }
    this.#wake();
  }

  protected end(status: number, details: string): void {
    this.status ??= status;
    this.details ||= details;
    this.#wake();
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}

const SERVICE = "messageloop.v1.MessagingService";
export const PATH = `/${SERVICE}/MessageLoop`;

/** The service as the .proto files have it; nothing of the generated code. */
const definition = loadSync("messageloop/v1/service.proto", {
  includeDirs: [fileURLToPath(new URL("../../proto", import.meta.url))],
  keepCase: true,
  longs: String,
  bytes: String,
})[SERVICE] as ServiceDefinition;

/** A message with the bytes that it was decoded from. */
interface Received {
  readonly bytes: Buffer;
  readonly message: Plain;
}

const method = definition["MessageLoop"] as NonNullable<ServiceDefinition[string]>;
const GrpcService = makeGenericClientConstructor(
  {
    MessageLoop: {
      ...method,
      // Whoever wants to send what is no message hands over the bytes.
      requestSerialize: (value: Plain | Buffer) =>
        Buffer.isBuffer(value) ? value : method.requestSerialize(value),
      responseDeserialize: (bytes: Buffer): Received => ({
        bytes,
        message: method.responseDeserialize(bytes) as Plain,
      }),
    },
  },
  SERVICE,
);

/** A plain gRPC client. It holds what it receives, byte for byte, against the schema of v0.1.1. */
export class GrpcClient extends StreamClient {
  readonly #service: InstanceType<typeof GrpcService>;
  readonly #call: ClientDuplexStream<Plain | Buffer, Received>;
  readonly #strict: boolean;

  /** @param options of the call, such as its deadline */
  constructor(address: string, strict: boolean, options: CallOptions = {}) {
    super();
    this.#strict = strict;
    this.#service = new GrpcService(address, credentials.createInsecure());
    this.#call = this.#service["MessageLoop"]?.(options) as ClientDuplexStream<
      Plain | Buffer,
      Received
    >;
    this.#call.on("data", ({ bytes, message }: Received) => this.#receive(bytes, message));
    this.#call.on("status", ({ code, details }: StatusObject) => {
      this.end(code, details);
      this.#service.close();
    });
    // The status says it as well.
    this.#call.on("error", () => {});
  }

  send(message: Plain): void {
    this.#call.write(message);
  }

  sendRaw(bytes: Uint8Array): void {
    this.#call.write(Buffer.from(bytes));
  }

  halfClose(): void {
    this.#call.end();
  }

  cancel(): void {
    this.#call.cancel();
  }

  /** Stops reading. */
  pause(): void {
    this.#call.pause();
  }

  resume(): void {
    this.#call.resume();
  }

  #receive(bytes: Buffer, message: Plain): void {
    if (this.#strict) {
      try {
        decodeStrictV1(bytes);
      } catch (error) {
        this.end(-1, `K2: ${String(error)}`);
      }
    }
    this.take(message);
  }
}

/** A client of Connect over HTTP/2, whose stream reads messages from a queue. */
export class ConnectClient extends StreamClient {
  readonly #abort = new AbortController();
  readonly #queue: Plain[] = [];
  #closed = false;
  #more: (() => void) | undefined;

  constructor(address: string, useBinaryFormat = true, headers: Record<string, string> = {}) {
    super();
    const baseUrl = `http://${address}`;
    const transport = createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat });
    const output = createClient(MessagingService, transport).messageLoop(this.#input(), {
      signal: this.#abort.signal,
      headers,
    });
    this.#read(output).catch((error: unknown) => this.end(-1, String(error)));
  }

  send(message: Plain): void {
    this.#queue.push(message);
    this.#more?.();
  }

  halfClose(): void {
    this.#closed = true;
    this.#more?.();
  }

  cancel(): void {
    this.#abort.abort();
    this.halfClose();
  }

  async *#input() {
    for (;;) {
      const message = this.#queue.shift();
      if (message !== undefined) yield fromJson(InboundMessageSchema, message as JsonValue);
      else if (this.#closed) return;
      else {
        await new Promise<void>((resolve) => {
          this.#more = resolve;
        });
      }
    }
  }

  async #read(output: AsyncIterable<OutboundMessage>): Promise<void> {
    try {
      for await (const message of output) {
        this.take(toJson(OutboundMessageSchema, message, { useProtoFieldName: true }) as Plain);
      }
      this.end(0, "");
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      this.end(code, rawMessage);
    }
  }
}

/** Which envelope a message has. */
export function envelopeOf(message: Plain): string {
  const common = ["id", "metadata", "time", "envelope"];
  return Object.keys(message).find((key) => !common.includes(key)) ?? "";
}

/** What the last message of a stream says of its end; undefined when it does not. */
export function farewellOf(client: StreamClient): unknown {
  const { error } = (client.received.at(-1) ?? {}) as { error?: Record<string, JsonValue> };
  if (error === undefined) return undefined;
  const { code, type, message, metadata } = error;
  // The .proto files' own client has a Struct as it is on the wire, Connect's as JSON.
  const struct = metadata as {
    code?: number;
    fields?: { code?: { numberValue?: number } };
  };
  const number = struct.code ?? struct.fields?.code?.numberValue;
  return { code, type, message, number };
}

export function farewell(number: number, message: string): unknown {
  return { code: "DISCONNECT_ERROR", type: "transport_error", message, number };
}
