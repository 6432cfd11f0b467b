/**
 * Bidirectional streams: each call of MessagingService.MessageLoop, by gRPC, gRPC-Web or Connect over
 * HTTP/2, is one session. The library has the protocols and the flow control; here is the way of
 * messages through it.
 */
import type { DescMessage, DescMethodBiDiStreaming, MessageShape } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import type {
  UniversalHandler,
  UniversalHandlerFn,
  UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { background } from "../../../engine/background.ts";
import type { ClientSession } from "../../../engine/engine.ts";
import type { Logger } from "../../../engine/ports/platform.ts";
import { BYTES, type Form, TEXT, TEXT_OPTIONS, writerOf } from "../../../http/streaming/forms.ts";
import { byContentType, lastHandler, streamed } from "../../../http/streaming/service.ts";
import { codecFor } from "../../../protocol/codec.ts";
import { DISCONNECTS } from "../../../protocol/codes.ts";
import { MessagingError } from "../../../protocol/errors.ts";
import {
  type InboundMessage,
  MessagingService,
} from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { utf8Length } from "../../../protocol/lean/utf8-length.ts";
import { type CallsOptions, serveSession } from "./session-call.ts";
import { PausableTransport } from "./stream-transport.ts";

const HALF_DUPLEX_ONLY =
  "MessageLoop needs a stream that is open in both directions, which HTTP/1.1 does not have: " +
  "use gRPC or Connect over HTTP/2, a WebSocket, or Open and Send";

const HALF_DUPLEX = createContextKey(false);

/** Serves MessageLoop. */
export function messageLoopRoutes(options: CallsOptions): (router: ConnectRouter) => void {
  return (router) => {
    const [bytes, text] = [looping(router, options, BYTES), looping(router, options, TEXT)];
    router.handlers.push(streamed(fullDuplexOnly(byContentType(bytes, text))));
  };
}

function looping<Schema extends DescMessage>(
  router: ConnectRouter,
  options: CallsOptions,
  form: Form<Schema>,
): UniversalHandler {
  const method: DescMethodBiDiStreaming<Schema, Schema> = {
    ...MessagingService.method.messageLoop,
    input: form.input,
    output: form.output,
  };
  const { encoding } = form;
  const write = writerOf(form);
  async function* loop(input: AsyncIterable<MessageShape<Schema>>, context: HandlerContext) {
    const frames = serveSession(options, {
      encoding,
      context,
      transport: (maxQueueBytes, owner) => new PausableTransport(maxQueueBytes, owner),
      begin: (transport, address) => {
        const { engine, logger, sessionId } = options;
        const session = engine.accept(transport, sessionId(), encoding, { address });
        const work = receive(session, transport, form, input, logger);
        background(work, logger, "messages of a stream");
        return { session };
      },
    });
    for await (const frame of frames) yield write(frame);
  }
  const rules = {
    // As on WebSocket; each stream would compress for itself what it shares with others.
    acceptCompression: [],
    readMaxBytes: options.engine.settings.maxMessageBytes,
    jsonOptions: TEXT_OPTIONS,
    requestGate: ({ values }: HandlerContext): void => {
      if (values.get(HALF_DUPLEX)) throw new ConnectError(HALF_DUPLEX_ONLY, Code.Unimplemented);
    },
  };
  return lastHandler(router.rpc(method, loop, rules));
}

/** Answers calls over HTTP/1.1, for which the library has no words. */
function fullDuplexOnly(handler: UniversalHandler): UniversalHandler {
  const handle: UniversalHandlerFn = async (request) => {
    if (!request.httpVersion.startsWith("1.")) return await handler(request);
    const contentType = request.header.get("content-type") ?? "";
    if (request.method !== "POST" || !handler.supportedContentType(contentType)) return refusal();
    const contextValues = request.contextValues ?? createContextValues();
    contextValues.set(HALF_DUPLEX, true);
    const response = await handler({ ...request, httpVersion: "2.0", contextValues });
    const answer = new Headers(response.header);
    // A client that expects both directions would wait for the end of what it still sends.
    answer.set("connection", "close");
    return { ...response, header: answer };
  };
  return Object.assign(handle, { ...handler });
}

function refusal(): UniversalServerResponse {
  const header = new Headers({ connection: "close", "content-type": "text/plain; charset=utf-8" });
  const body = [new TextEncoder().encode(`${HALF_DUPLEX_ONLY}\n`)];
  return { status: 505, header, body: ReadableStream.from(body) };
}

/** @throws ConnectError INTERNAL, in JSON INVALID_ARGUMENT, which ends the stream, for what is no message. */
function inbound<Schema extends DescMessage>(
  form: Form<Schema>,
  received: MessageShape<Schema>,
): { readonly message: InboundMessage; readonly bytes: number } {
  const frame = form.read(received);
  try {
    const message = codecFor(form.encoding).decodeInbound(frame);
    return { message, bytes: typeof frame === "string" ? utf8Length(frame) : frame.length };
  } catch (error) {
    const code = form.encoding === "json" ? Code.InvalidArgument : Code.Internal;
    throw new ConnectError(MessagingError.from(error).message, code);
  }
}

/** Hands over what the client sends. Ends when the client's half does; never rejects. */
async function receive<Schema extends DescMessage>(
  session: ClientSession,
  transport: PausableTransport,
  form: Form<Schema>,
  input: AsyncIterable<MessageShape<Schema>>,
  logger: Logger,
): Promise<void> {
  try {
    for await (const received of input) {
      const { message, bytes } = inbound(form, received);
      // Not awaited: a slow request delays nothing that comes after it.
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
