/**
 * Services of the Connect library in the Worker: Connect and gRPC-Web. Native gRPC needs trailers, which the runtime
 * does not write.
 */
import { type ConnectRouter, type ContextValues, createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { KeepAlive } from "../../http/body.ts";
import { answerInTime } from "../../http/call-body.ts";

/** `grpc-status` of what a server does not have. */
const UNIMPLEMENTED = "12";
const NO_GRPC = "this host does not have gRPC: use gRPC-Web, Connect or a WebSocket";

/** Status of an answer that cannot have a body, not even an empty one. */
const NO_CONTENT = 204;

/** Answers a call; `values` are for its handler, `keepAlive` is for what is left of a request that is given up. */
export type ConnectServices = (
  request: Request,
  values: ContextValues,
  keepAlive?: KeepAlive,
) => Promise<Response>;

/** @param routes adds the services to a router; called once */
export function connectServices(routes: (router: ConnectRouter) => void): ConnectServices {
  const router = createConnectRouter({ grpc: false });
  routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  return async (request, values, keepAlive) => {
    const handler = handlers.get(new URL(request.url).pathname);
    if (handler === undefined) return new Response("Not Found", { status: 404 });
    const contentType = request.headers.get("Content-Type") ?? "";
    if (/^application\/grpc(?!-web)/i.test(contentType)) return withoutTrailers(contentType);
    return await answer(handler, request, values, keepAlive);
  };
}

/** What ends before it begins has its trailers among the headers. */
function withoutTrailers(contentType: string): Response {
  const headers = {
    "Content-Type": contentType,
    "grpc-status": UNIMPLEMENTED,
    "grpc-message": NO_GRPC,
  };
  return new Response(null, { headers });
}

async function answer(
  handler: UniversalHandler,
  request: Request,
  contextValues: ContextValues,
  keepAlive: KeepAlive | undefined,
): Promise<Response> {
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  request.signal.addEventListener("abort", leave, { once: true });
  const call = {
    // For every call: what this door cannot do it says by itself.
    httpVersion: "2.0",
    method: request.method,
    url: request.url,
    header: request.headers,
    body: bytesOf(request.body),
    signal: gone.signal,
    contextValues,
  };
  const { status, header, body } = await answerInTime(handler, call, { keepAlive });
  const empty = body === undefined || status === NO_CONTENT;
  return new Response(empty ? null : streamOf(body, leave), { status, headers: header ?? {} });
}

/** The library may stop reading for good, and what is left of the body is then for others to read. */
function bytesOf(body: ReadableStream<Uint8Array> | null): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const reader = body?.getReader();
      return {
        next: async () => {
          const result = await reader?.read();
          return result === undefined || result.done ? DONE : result;
        },
        return: async () => {
          await reader?.cancel();
          return DONE;
        },
      };
    },
  };
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * A body that is made as fast as it is read. The runtime says that a client has gone when a write fails, and not
 * before; a handler that waits for something else hears nothing of that from the library, so it learns it by the signal.
 */
function streamOf(body: AsyncIterable<Uint8Array>, gone: () => void): ReadableStream<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      },
      cancel: gone,
    },
    { highWaterMark: 0 },
  );
}
