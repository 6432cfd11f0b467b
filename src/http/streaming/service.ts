/**
 * Open and Send of MessagingService, for whichever host: what of a call is the same everywhere. The host has the
 * sessions. The library has the protocols, Connect, gRPC-Web and, over HTTP/2, gRPC.
 */
import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageShape,
} from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import {
  type ConnectRouter,
  cors,
  createContextKey,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";
import {
  createAsyncIterable,
  type UniversalHandler,
  type UniversalHandlerFn,
  type UniversalServerRequest,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import type { SendCall } from "../../engine/session/stream/sends.ts";
import { codecFor, type Encoding, encode, type Frame } from "../../protocol/codec.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  type InboundMessage,
  InboundMessageSchema,
  MessagingService,
  SendResponseSchema,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { utf8Length } from "../../protocol/lean/utf8-length.ts";
import { largestSend } from "../../protocol/limits.ts";
import { outspoken } from "../call-type.ts";
import { type Admission, admit, type Door } from "../cors.ts";
import type { HandshakeRules } from "../handshake.ts";
import { toConnectError } from "../statuses.ts";
import { takeDeadline, withoutEndlessDeadline } from "./deadline.ts";
import { type Form, OPAQUE, TEXT, TEXT_OPTIONS, writerOf } from "./forms.ts";
import { isJson, opaque } from "./opaque.ts";
import { sendRequestOf } from "./send-request.ts";

/** The header that proves that a Send comes from the client of the stream. */
export const SECRET_HEADER = "Messageloop-Stream-Secret";

const DOOR: Door = {
  methods: ["POST"],
  headers: [...cors.allowedHeaders, SECRET_HEADER],
  exposed: [...cors.exposedHeaders, "Retry-After"],
};

/** A stream that a client would like to have. */
export interface OpenCall {
  /** The first frame of the session: what the client has said, as the envelope `connect`. */
  readonly frame: Frame;
  /** The same, read. */
  readonly message: InboundMessage;
  /** Length of the frame. */
  readonly bytes: number;
  readonly encoding: Encoding;
  /** How long the client lets its call take, in milliseconds. The host keeps it: the library does not know it. */
  readonly timeoutMs: number | undefined;
  /** Its signal says that the client has gone. */
  readonly context: HandlerContext;
}

/** What a host does for Open and Send. */
export interface StreamingHost {
  readonly maxMessageBytes: number;
  /** Whose pages may call. */
  readonly origins: HandshakeRules;
  /**
   * Has a session. What it writes comes out, `opened` first and at once, until its end.
   *
   * There may be no reader left for what comes out when a client goes: the host ends the session by the signal, and by
   * writes that fail.
   */
  open(call: OpenCall): AsyncIterable<{ readonly data: Frame }>;
  /**
   * Takes messages, as `Engine.send` does.
   *
   * @returns the last number of which all have been taken; undefined where there is no such stream
   */
  send(call: SendCall, context: HandlerContext): Promise<number | undefined>;
  /** Hears why a caller was refused by where it comes from, for the log. */
  refused?(reason: string, request: UniversalServerRequest): void;
}

/** What comes out must come as it is written, and no proxy may keep it. */
const HEADERS = { "Cache-Control": "no-store, no-transform" };

const TIMEOUT_MS = createContextKey<number | undefined>(undefined);

/** Serves Open and Send. */
export function streamingRoutes(host: StreamingHost): (router: ConnectRouter) => void {
  return (router) => {
    const [openBytes, openText] = [opening(router, host, OPAQUE), opening(router, host, TEXT)];
    const [sendBytes, sendText] = [sending(router, host, OPAQUE), sending(router, host, TEXT)];
    const open = opaque(byContentType(openBytes, openText), host.maxMessageBytes);
    const send = opaque(byContentType(sendBytes, sendText), largestSend(host.maxMessageBytes));
    router.handlers.push(
      atDoor(host, outspoken(streamed(open), OPEN_WORDS)),
      atDoor(host, outspoken(unary(send), SEND_WORDS)),
    );
  };
}

const METHOD = "calls are POST";
const OPEN_WORDS = {
  method: METHOD,
  type: "the content type is neither application/connect+json nor application/connect+proto, nor one of gRPC",
};
const SEND_WORDS = {
  method: METHOD,
  type: "the content type is neither application/json nor application/proto, nor one of gRPC",
};

/** Takes the handler that was added last out of a router again, to put another one around it. */
export function lastHandler(router: ConnectRouter): UniversalHandler {
  const handler = router.handlers.pop();
  if (handler === undefined) throw new Error("the router has no handler");
  return handler;
}

/** One handler out of two, which differ in what they take messages for. */
export function byContentType(bytes: UniversalHandler, text: UniversalHandler): UniversalHandler {
  const handle: UniversalHandlerFn = async (request) =>
    await (isJson(request.header) ? text : bytes)(request);
  return Object.assign(handle, { ...bytes });
}

/** A handler of a stream, which learns by `timeoutOf` how long its client lets it take. */
export function streamed(handler: UniversalHandler): UniversalHandler {
  const handle: UniversalHandlerFn = async (request) => {
    const { header, timeoutMs } = takeDeadline(request.header);
    const contextValues = request.contextValues ?? createContextValues();
    contextValues.set(TIMEOUT_MS, timeoutMs);
    return await handler({ ...request, header, contextValues });
  };
  return Object.assign(handle, { ...handler });
}

/** How long the client of a stream lets its call take, in milliseconds. */
export function timeoutOf({ values }: HandlerContext): number | undefined {
  return values.get(TIMEOUT_MS);
}

/** A handler of a call that is no stream, which takes no harm from a deadline that is none for people. */
export function unary(handler: UniversalHandler): UniversalHandler {
  const handle: UniversalHandlerFn = async (request) =>
    await handler({ ...request, header: withoutEndlessDeadline(request.header) });
  return Object.assign(handle, { ...handler });
}

/** Lets in whose pages may call, and answers their preflights. */
function atDoor({ origins, refused }: StreamingHost, handler: UniversalHandler): UniversalHandler {
  const handle: UniversalHandlerFn = async (request) => {
    const { method, url } = request;
    const header = (name: string): string | null =>
      // Over HTTP/2 there is no such header.
      request.header.get(name) ?? (name === "Host" ? new URL(url).host : null);
    const admission = admit({ method, header }, origins, DOOR);
    if (!admission.admitted) {
      if (admission.reason !== undefined) refused?.(admission.reason, request);
      return turnedAway(admission);
    }
    const response = await handler(request);
    const headers = new Headers(response.header);
    for (const [name, value] of Object.entries({ ...HEADERS, ...admission.headers })) {
      headers.set(name, value);
    }
    return { ...response, header: headers };
  };
  return Object.assign(handle, { ...handler });
}

function turnedAway(admission: Admission & { admitted: false }): UniversalServerResponse {
  const { status, headers, text } = admission;
  const body = text === "" ? [] : [new TextEncoder().encode(text)];
  return { status, header: new Headers({ ...headers }), body: createAsyncIterable(body) };
}

/** What both methods have in common: as on WebSocket, nothing is compressed. `opaque` has the bounds. */
const RULES = { acceptCompression: [], jsonOptions: TEXT_OPTIONS };

function opening<In extends DescMessage, Out extends DescMessage>(
  router: ConnectRouter,
  host: StreamingHost,
  form: Form<In, Out>,
): UniversalHandler {
  const method: DescMethodServerStreaming<In, Out> = {
    ...MessagingService.method.open,
    input: form.input,
    output: form.output,
  };
  const write = writerOf(form);
  async function* open(input: MessageShape<In>, context: HandlerContext) {
    const { encoding } = form;
    const call = {
      ...connectFrame(form.read(input)),
      encoding,
      timeoutMs: timeoutOf(context),
      context,
    };
    for await (const frame of host.open(call)) yield write(frame);
  }
  return lastHandler(router.rpc(method, open, RULES));
}

function sending<In extends DescMessage, Out extends DescMessage>(
  router: ConnectRouter,
  host: StreamingHost,
  form: Form<In, Out>,
): UniversalHandler {
  const method: DescMethodUnary<In, Out> = {
    ...MessagingService.method.send,
    input: form.input,
    output: form.output,
  };
  async function send(input: MessageShape<In>, context: HandlerContext) {
    try {
      const request = sendRequestOf(form.read(input), form.encoding);
      const secret = context.requestHeader.get(SECRET_HEADER) ?? "";
      const taken = await host.send({ ...request, secret }, context);
      // A guesser learns nothing by what is missing.
      if (taken === undefined) throw new MessagingError("NOT_FOUND", "there is no such stream");
      const answer = create(SendResponseSchema, { seq: BigInt(taken) });
      return form.write(encode(SendResponseSchema, form.encoding, answer));
    } catch (error) {
      throw toConnectError(error);
    }
  }
  return lastHandler(router.rpc(method, send, RULES));
}

/** Number and wire type of the envelope `connect` in InboundMessage. */
const CONNECT_TAG = (InboundMessageSchema.field.connect.number << 3) | 2;

/**
 * The first frame of a session, out of what a client gives to Open.
 *
 * @throws ConnectError INVALID_ARGUMENT for what is no Connect
 */
function connectFrame(connect: Frame): Pick<OpenCall, "frame" | "message" | "bytes"> {
  try {
    const frame = typeof connect === "string" ? aroundText(connect) : aroundBytes(connect);
    const encoding = typeof frame === "string" ? "json" : "proto";
    const message = codecFor(encoding).decodeInbound(frame);
    if (message.envelope.case !== "connect") throw new MessagingError("BAD_REQUEST", UNREADABLE);
    const bytes = typeof frame === "string" ? utf8Length(frame) : frame.length;
    return { frame, message, bytes };
  } catch (error) {
    throw toConnectError(error);
  }
}

const UNREADABLE = "Failed to decode message";

function aroundText(connect: string): string {
  try {
    JSON.parse(connect);
  } catch (cause) {
    // Two values side by side would be more than one member of the frame.
    throw new MessagingError("BAD_REQUEST", UNREADABLE, { cause });
  }
  return `{"connect":${connect}}`;
}

function aroundBytes(connect: Uint8Array): Uint8Array {
  return new BinaryWriter().uint32(CONNECT_TAG).bytes(connect).finish();
}
