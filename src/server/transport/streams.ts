/**
 * Bidirectional streams: each call of MessagingService.MessageLoop, by gRPC, gRPC-Web or Connect over
 * HTTP/2, is one session. The library has the protocols and the flow control; here are the way of
 * messages through it, and how a stream ends.
 */
import type { IncomingMessage } from "node:http";
import { constants, Http2ServerRequest, type ServerHttp2Stream } from "node:http2";
import { create, type DescMethodBiDiStreaming, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Empty, EmptySchema, StringValueSchema } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ContextValues,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalHandlerFn,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { background } from "../../engine/background.ts";
import type { ClientSession, Engine } from "../../engine/engine.ts";
import type { Clock, Logger, Random } from "../../engine/ports/platform.ts";
import { retryAfterSeconds } from "../../http/app.ts";
import { codecFor, type Encoding } from "../../protocol/codec.ts";
import { DISCONNECTS, type Disconnect } from "../../protocol/codes.ts";
import { unsolicited } from "../../protocol/envelopes.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  type InboundMessage,
  MessagingService,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { type SizedFrame, sized } from "../../protocol/publication-frames.ts";
import { utf8Length } from "../../protocol/utf8.ts";
import type { TrustedProxies } from "./client-address.ts";
import type { Connections } from "./connections.ts";
import { afterLong, takeDeadline } from "./deadline.ts";
import { TEXT_OPTIONS, TEXTS, type Text } from "./stream-json.ts";
import { StreamTransport } from "./stream-transport.ts";

/** How long a client may take to read up to the end of its stream, in milliseconds. */
const CLOSE_TIMEOUT_MS = 5_000;
/** The same for a slow consumer, which has to read what lies before it first. */
const SLOW_CLOSE_TIMEOUT_MS = 120_000;
/** How long a call that is no session may take, in milliseconds: it is answered at once. */
const REFUSED_MS = 7_000;
/** How long a client may take to end its own half after the server's, in milliseconds. */
const LINGER_MS = 100;
const HALF_DUPLEX_ONLY =
  "MessageLoop needs a stream that is open in both directions, which HTTP/1.1 does not have: " +
  "use gRPC or Connect over HTTP/2, or a WebSocket";

export interface StreamOptions {
  readonly engine: Engine;
  /** All connections of the process; more than it may have are ended with 3504. */
  readonly connections: Connections;
  /** Bytes that may wait for one client; more end its session with 3510. */
  readonly maxQueueBytes: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** A fresh session id. */
  readonly sessionId: () => string;
}

/** What the library does not tell a handler about its call. */
interface Caller {
  readonly address: string;
  readonly stream: ServerHttp2Stream | undefined;
}

const CALLER = createContextKey<Caller>({ address: "", stream: undefined });
const HALF_DUPLEX = createContextKey(false);
/** How long the client lets its call take, in milliseconds. */
const TIMEOUT_MS = createContextKey<number | undefined>(undefined);

/**
 * Belongs into connectNodeAdapter as `contextValues`. Without it a server does not know where a stream
 * comes from, and cannot let go of a client that does not end its half or never reads the end.
 *
 * @param proxies whose word on where a stream comes from is taken
 */
export function peerContext(
  proxies: TrustedProxies,
): (request: IncomingMessage | Http2ServerRequest) => ContextValues {
  return (request) => {
    const address = proxies.clientOf(request.socket.remoteAddress, request.headers);
    const stream = request instanceof Http2ServerRequest ? request.stream : undefined;
    // A client that goes while the library waits for its stream to drain fails the write with ECANCELED,
    // which the library prints as an error. Told that it has drained, it sees for itself that it is over.
    stream?.once("aborted", () => stream.emit("drain"));
    if (stream !== undefined) endUnlessServed(stream);
    return createContextValues().set(CALLER, { address, stream });
  };
}

/** Streams that are sessions. */
const served = new WeakSet<ServerHttp2Stream>();

/** Frees the stream of a call that does not become a session, whatever its client does. */
function endUnlessServed(stream: ServerHttp2Stream): void {
  const timer = setTimeout(() => {
    if (!served.has(stream)) stream.destroy();
  }, REFUSED_MS).unref();
  stream.once("close", () => clearTimeout(timer));
}

/**
 * The method without its types: the library passes whole messages on as bytes. They are decoded by the
 * codec, which knows what bytes to beware of, and what subscribers share is not encoded for each.
 */
const OPAQUE: DescMethodBiDiStreaming<typeof EmptySchema, typeof EmptySchema> = {
  ...MessagingService.method.messageLoop,
  input: EmptySchema,
  output: EmptySchema,
};

/** Serves MessagingService. */
export function streamRoutes(options: StreamOptions): (router: ConnectRouter) => void {
  const rules = {
    // As on WebSocket; each stream would compress for itself what it shares with others.
    acceptCompression: [],
    readMaxBytes: options.engine.settings.maxMessageBytes,
    jsonOptions: TEXT_OPTIONS,
    requestGate: ({ values }: HandlerContext): void => {
      if (values.get(HALF_DUPLEX)) throw new ConnectError(HALF_DUPLEX_ONLY, Code.Unimplemented);
    },
  };
  return (router) => {
    router.rpc(OPAQUE, (input, context) => serve(options, BYTES, input, context), rules);
    router.rpc(TEXTS, (input, context) => serve(options, JSON_TEXT, input, context), rules);
    const [bytes, text] = router.handlers.splice(-2) as [UniversalHandler, UniversalHandler];
    router.handlers.push(byContentType(bytes, text));
  };
}

/** One handler out of two; it also answers calls over HTTP/1.1, for which the library has no words. */
function byContentType(bytes: UniversalHandler, text: UniversalHandler): UniversalHandler {
  const handle: UniversalHandlerFn = async (request) => {
    const contentType = request.header.get("content-type") ?? "";
    const handler = /\+json\b/i.test(contentType) ? text : bytes;
    const { header, timeoutMs } = takeDeadline(request.header);
    const contextValues = request.contextValues ?? createContextValues();
    contextValues.set(TIMEOUT_MS, timeoutMs);
    if (!request.httpVersion.startsWith("1.")) {
      return await handler({ ...request, header, contextValues });
    }
    if (request.method !== "POST" || !handler.supportedContentType(contentType)) return refusal();
    contextValues.set(HALF_DUPLEX, true);
    const response = await handler({ ...request, header, httpVersion: "2.0", contextValues });
    const answer = new Headers(response.header);
    // A client that expects both directions would wait for the end of what it still sends.
    answer.set("connection", "close");
    return { ...response, header: answer };
  };
  return Object.assign(handle, { ...bytes });
}

function refusal(): UniversalServerResponse {
  const header = new Headers({ connection: "close", "content-type": "text/plain; charset=utf-8" });
  const body = [new TextEncoder().encode(`${HALF_DUPLEX_ONLY}\n`)];
  return { status: 505, header, body: ReadableStream.from(body) };
}

/** How messages of one kind of content type pass through the library. */
interface Form<In, Out> {
  readonly encoding: Encoding;
  /** @throws ConnectError INTERNAL, in JSON INVALID_ARGUMENT, which ends the stream, for what is no message. */
  inbound(message: In): { readonly message: InboundMessage; readonly bytes: number };
  outbound(frame: SizedFrame): Out;
}

const BYTES: Form<Empty, Empty> = {
  encoding: "proto",
  inbound(opaque) {
    const bytes = toBinary(EmptySchema, opaque);
    try {
      return { message: codecFor("proto").decodeInbound(bytes), bytes: bytes.length };
    } catch (error) {
      throw new ConnectError(MessagingError.from(error).message, Code.Internal);
    }
  },
  // Nothing is decoded: the fields of a message without types stay the bytes that they are.
  outbound: once(({ data }) => fromBinary(EmptySchema, data as Uint8Array)),
};

const JSON_TEXT: Form<Text, Text> = {
  encoding: "json",
  inbound({ value }) {
    try {
      return { message: codecFor("json").decodeInbound(value), bytes: utf8Length(value) };
    } catch (error) {
      throw new ConnectError(MessagingError.from(error).message, Code.InvalidArgument);
    }
  },
  outbound: once(({ data }) => create(StringValueSchema, { value: data as string })),
};

/** Decodes a frame for the first who gets it: those of a publication have many subscribers. */
function once<Out extends object>(decode: (frame: SizedFrame) => Out): (frame: SizedFrame) => Out {
  const decoded = new WeakMap<SizedFrame, Out>();
  return (frame) => {
    const known = decoded.get(frame);
    if (known !== undefined) return known;
    const message = decode(frame);
    decoded.set(frame, message);
    return message;
  };
}

/** One call. */
async function* serve<In, Out>(
  options: StreamOptions,
  form: Form<In, Out>,
  input: AsyncIterable<In>,
  context: HandlerContext,
): AsyncGenerator<Out> {
  const { engine, connections, maxQueueBytes, logger, sessionId } = options;
  const { address, stream } = context.values.get(CALLER);
  if (connections.full) throw tooMany();
  const leave = enter(connections, stream);
  const transport = new StreamTransport(maxQueueBytes, {
    farewell: (disconnect) => farewell(options, form.encoding, disconnect),
    overrun: () => session?.close(DISCONNECTS.slowConsumer),
    dropped: (frames) => {
      engine.counters.queueDrops += frames;
    },
    ended: (slow) => letGo(stream, slow ? SLOW_CLOSE_TIMEOUT_MS : CLOSE_TIMEOUT_MS),
  });
  let session: ClientSession | undefined;
  if (engine.sessionCount >= connections.limit) {
    logger.debug?.("connection refused", { address, reason: "limits.connections" });
    transport.close(DISCONNECTS.connectionLimit);
  } else {
    session = engine.accept(transport, sessionId(), form.encoding, { address });
    const work = receive(session, transport, form, input, logger);
    background(work, logger, "messages of a stream");
  }
  const gone = (reason: unknown): void => {
    session?.end(false);
    transport.abandon(reason);
  };
  const timeoutMs = context.values.get(TIMEOUT_MS);
  const inTime =
    timeoutMs === undefined
      ? undefined
      : afterLong(timeoutMs, () =>
          gone(new ConnectError("the deadline has passed", Code.DeadlineExceeded)),
        );
  // The client may have gone before anything was done.
  const { signal } = context;
  if (signal.aborted) gone(signal.reason);
  else signal.addEventListener("abort", () => gone(signal.reason), { once: true });
  try {
    for await (const frame of transport.frames()) yield form.outbound(frame);
  } finally {
    inTime?.();
    session?.end(false);
    leave();
  }
}

function tooMany(): ConnectError {
  const retry = { "retry-after": `${retryAfterSeconds()}` };
  return new ConnectError("the server has too many connections", Code.Unavailable, retry);
}

/** Counts a call until its stream has ended. */
function enter(connections: Connections, stream: ServerHttp2Stream | undefined): () => void {
  connections.enter();
  if (stream === undefined || stream.destroyed) return () => connections.leave();
  served.add(stream);
  stream.once("close", () => connections.leave());
  return () => {};
}

/** Hands over what the client sends. Ends when the client's half does; never rejects. */
async function receive<In>(
  session: ClientSession,
  transport: StreamTransport,
  form: Form<In, unknown>,
  input: AsyncIterable<In>,
  logger: Logger,
): Promise<void> {
  try {
    for await (const received of input) {
      const { message, bytes } = form.inbound(received);
      // Not awaited: a slow request delays nothing that comes behind it.
      session.receiveMessage(message, bytes).catch((error: unknown) => {
        logger.warn("message failed", { error: String(error) });
        session.close(DISCONNECTS.internal);
      });
      // The library reads no further than this loop, and the flow control of HTTP/2 stops the client.
      await transport.readable();
    }
    session.end(true);
    transport.finish();
  } catch (error) {
    // The library refuses messages beyond the limit before it has read them.
    const tooBig = error instanceof ConnectError && error.code === Code.ResourceExhausted;
    if (tooBig) session.close(DISCONNECTS.messageTooBig);
    session.end(false);
    transport.finish(error);
  }
}

/** The last message of a stream that the server ends. */
function farewell(
  { clock, random }: StreamOptions,
  encoding: Encoding,
  { code, reason }: Disconnect,
): SizedFrame {
  const error = new MessagingError("DISCONNECT_ERROR", reason, { metadata: { code } });
  const envelope = { case: "error", value: error.toMessage() } as const;
  const message = unsolicited(random.uuid(), clock.now(), envelope);
  return sized(codecFor(encoding).encodeOutbound(message));
}

/** Frees the stream of a session that has ended, whatever its client does. */
function letGo(stream: ServerHttp2Stream | undefined, patienceMs: number): void {
  if (stream === undefined || stream.destroyed) return;
  let timer = setTimeout(() => {
    stream.close(constants.NGHTTP2_CANCEL);
    // What the client does not read would keep the stream as well.
    stream.destroy();
  }, patienceMs);
  timer.unref();
  stream.once("wantTrailers", () => {
    // Everything is sent. The event `finish` would be too early: it cuts the trailers off.
    clearTimeout(timer);
    timer = setTimeout(() => {
      stream.close(constants.NGHTTP2_NO_ERROR);
      // What the library has refused to read would keep the stream, and with it the connection.
      stream.destroy();
    }, LINGER_MS);
    timer.unref();
  });
  stream.once("close", () => clearTimeout(timer));
}
