/** Calls of Open and Send into the Worker, without a network between them, in Connect's JSON. */
import { exports } from "cloudflare:workers";
import { codecFor } from "../../src/protocol/codec.ts";
import type { Opened, OutboundMessage } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { valueAs } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";

const SERVICE = "http://localhost/messageloop.v1.MessagingService";
/** Flag of the message that ends a Connect stream. */
const END = 2;

/** Takes requests as the Worker does. */
export type Fetch = (request: Request) => Promise<Response>;

const worker: Fetch = (request) => exports.default.fetch(request);

export function enveloped(message: unknown): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(JSON.stringify(message));
  const bytes = new Uint8Array(5 + text.length);
  new DataView(bytes.buffer).setUint32(1, text.length);
  bytes.set(text, 5);
  return bytes;
}

export async function openResponse(
  connect: unknown,
  headers = {},
  take = worker,
): Promise<Response> {
  return await take(
    new Request(`${SERVICE}/Open`, {
      method: "POST",
      headers: { "Content-Type": "application/connect+json", ...headers },
      body: enveloped(connect),
    }),
  );
}

/** What is left when a stream has ended, such as `{"error":{"code":"unavailable"}}`. */
export type Ending = { readonly error?: { readonly code: string; readonly message?: string } };

export class OpenStream {
  /** Everything that has come, in order. */
  readonly log: OutboundMessage[] = [];
  ending: Ending | undefined;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #take: Fetch;
  #seq = 0;

  private constructor(response: Response, take: Fetch) {
    if (response.status !== 200 || response.body === null) {
      throw new Error(`Open: HTTP ${response.status}`);
    }
    this.#reader = response.body.getReader();
    this.#take = take;
  }

  static async open(connect: unknown, take = worker): Promise<OpenStream> {
    const stream = new OpenStream(await openResponse(connect, {}, take), take);
    // Until the stream ends, or is left.
    stream.#read().catch(() => {});
    return stream;
  }

  kinds(): string[] {
    return this.log.map(({ envelope }) => `${envelope.case}`);
  }

  async until(kind: string): Promise<OutboundMessage> {
    const found = await eventually(() => this.log.find(({ envelope }) => envelope.case === kind));
    if (found === undefined) throw new Error(`no ${kind}`);
    return found;
  }

  async opened(): Promise<Opened> {
    return valueAs(await this.until("opened"), "opened");
  }

  async ended(): Promise<Ending> {
    return await eventually(() => this.ending ?? (undefined as unknown as Ending));
  }

  /** Nobody reads any more, as when the write to a client that has gone fails. */
  async leave(): Promise<void> {
    await this.#reader.cancel();
  }

  /** Sends messages in their order. Resolves with the status and the answer. */
  async send(...messages: unknown[]): Promise<{ status: number; body: unknown }> {
    const { sessionId, secret } = await this.opened();
    const seq = this.#seq + 1;
    this.#seq += messages.length;
    return await sendCall({ session_id: sessionId, seq, messages }, secret, this.#take);
  }

  async #read(): Promise<void> {
    let rest = new Uint8Array();
    for (;;) {
      while (rest.length >= 5) {
        const end = 5 + new DataView(rest.buffer, rest.byteOffset).getUint32(1);
        if (rest.length < end) break;
        const text = new TextDecoder().decode(rest.subarray(5, end));
        if (rest[0] === END) this.ending = JSON.parse(text) as Ending;
        else this.log.push(codecFor("json").decodeOutbound(text));
        rest = rest.slice(end);
      }
      const { done, value } = await this.#reader.read();
      if (done) return;
      const joined = new Uint8Array(rest.length + value.length);
      joined.set(rest);
      joined.set(value, rest.length);
      rest = joined;
    }
  }
}

export async function sendCall(
  request: unknown,
  secret: string | undefined,
  take = worker,
): Promise<{ status: number; body: unknown }> {
  const response = await take(
    new Request(`${SERVICE}/Send`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        ...(secret === undefined ? {} : { "Messageloop-Stream-Secret": secret }),
      },
      body: JSON.stringify(request),
    }),
  );
  return { status: response.status, body: await response.json() };
}
