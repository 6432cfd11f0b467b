/** A fetch whose server is the test: calls wait until it answers them, and streams say what it says. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Form } from "../../../src/client/stream/forms.ts";
import { codecFor } from "../../../src/protocol/codec.ts";
import { OutboundMessageSchema } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";

export type Outbound = MessageInitShape<typeof OutboundMessageSchema>;

/** One call, seen from the server. */
export class ScriptedCall {
  readonly url: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly signal: AbortSignal | undefined;
  readonly answer: Promise<Response>;
  readonly #resolve: (response: Response) => void;
  readonly #reject: (error: Error) => void;
  #stream: ReadableStreamDefaultController<Uint8Array> | undefined;

  constructor(url: string, { headers, body, signal }: RequestInit) {
    this.url = url;
    this.headers = new Headers(headers);
    this.body =
      typeof body === "string"
        ? new TextEncoder().encode(body)
        : ((body as Uint8Array | undefined) ?? new Uint8Array());
    this.signal = signal ?? undefined;
    const { promise, resolve, reject } = Promise.withResolvers<Response>();
    this.answer = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.signal?.addEventListener("abort", () => this.fail("aborted"));
  }

  get text(): string {
    return new TextDecoder().decode(this.body);
  }

  respond(status: number, body = "", headers: Record<string, string> = {}): void {
    this.#resolve(new Response(status === 204 ? null : body, { status, headers }));
  }

  /** Begins a stream. */
  stream(type: string): void {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#stream = controller;
      },
    });
    this.#resolve(new Response(body, { headers: { "Content-Type": type } }));
  }

  write(bytes: Uint8Array): void {
    // Who has gone reads nothing.
    if (!this.signal?.aborted) this.#stream?.enqueue(bytes);
  }

  /** Ends the stream as a whole one. */
  finish(): void {
    this.#stream?.close();
  }

  /** The connection is lost. */
  fail(text = "network"): void {
    this.#reject(new TypeError(text));
    try {
      this.#stream?.error(new TypeError(text));
    } catch {
      // It has ended already.
    }
  }
}

export class ScriptedFetch {
  readonly calls: ScriptedCall[] = [];

  readonly fetch: typeof fetch = (input, init = {}) => {
    const call = new ScriptedCall(String(input), init);
    this.calls.push(call);
    return call.answer;
  };

  /** The calls of a method or channel so far. */
  of(part: string): readonly ScriptedCall[] {
    return this.calls.filter(({ url }) => url.includes(part));
  }

  last(part: string): ScriptedCall {
    const call = this.of(part).at(-1);
    if (call === undefined) throw new Error(`nothing has called ${part}`);
    return call;
  }
}

/** A message as a Connect stream has it. */
export function envelope(flags: number, message: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = typeof message === "string" ? new TextEncoder().encode(message) : message;
  const whole = new Uint8Array(5 + bytes.length);
  whole[0] = flags;
  new DataView(whole.buffer).setUint32(1, bytes.length);
  whole.set(bytes, 5);
  return whole;
}

/** A frame of the server's, in a stream. */
export function frame(type: Form["type"], message: Outbound): Uint8Array<ArrayBuffer> {
  return envelope(0, codecFor(type).encodeOutbound(create(OutboundMessageSchema, message)));
}

/** What Connect says last. */
export function endOfStream(
  error?: { code: string; message?: string },
  more: object = {},
): Uint8Array {
  return envelope(2, JSON.stringify({ error, ...more }));
}

/** Lets everything go on that waits for nothing but other promises. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}
