/** Calls of the Connect library on Node's servers, beside whatever else a listener answers. */
import { IncomingMessage, type ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { ConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler, UniversalHandlerFn } from "@connectrpc/connect/protocol";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { background } from "../../engine/background.ts";
import type { Logger } from "../../engine/ports/platform.ts";
import { KEY_PEER } from "../../http/api/routes.ts";
import { answerInTime } from "../../http/call-body.ts";
import type { TrustedProxies } from "./client-address.ts";
import { LINE, peerContext } from "./streams/lines.ts";

export interface CallsHandlerOptions {
  /** The services that are there. */
  readonly routes: (router: ConnectRouter) => void;
  readonly proxies: TrustedProxies;
  readonly logger: Logger;
  /** Answers what is no call of them. */
  readonly rest: (request: IncomingMessage, response: ServerResponse) => unknown;
}

/** A handler for either version of HTTP. Over HTTP/1.1 it needs `remember` before it. */
export function callsHandler({
  routes,
  proxies,
  logger,
  rest,
}: CallsHandlerOptions): (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
) => void {
  const peers = peerContext(proxies);
  const handle = connectNodeAdapter({
    routes: (router) => {
      routes(router);
      router.handlers.push(...router.handlers.splice(0).map(inTime));
    },
    contextValues: (request) => peers(request).set(KEY_PEER, proxies.peerOf(request)),
    fallback: (request, response) => {
      const work = rest(request as IncomingMessage, response as ServerResponse);
      background(Promise.resolve(work), logger, "request");
    },
  });
  return (request, response) => {
    if (request instanceof IncomingMessage) readToEnd(request, response as ServerResponse);
    handle(request, response);
  };
}

/** A handler whose requests have to be whole in time, where they ever are. */
function inTime(handler: UniversalHandler): UniversalHandler {
  if (handler.method.methodKind === "bidi_streaming") return handler;
  const handle: UniversalHandlerFn = async (request) => {
    const line = request.contextValues?.get(LINE);
    return await answerInTime(handler, request, line && { reading: () => line.await() });
  };
  return Object.assign(handle, { ...handler });
}

/**
 * Has a connection of HTTP/1.1 go on behind a call that was refused in the middle of its request. Where the library stops
 * reading, the request would be destroyed, and nobody would read what else comes on the connection: the next call
 * would wait until it is cut.
 */
function readToEnd(request: IncomingMessage, response: ServerResponse): void {
  const chunks = (): NodeJS.AsyncIterator<unknown> => request.iterator({ destroyOnReturn: false });
  Object.assign(request, { [Symbol.asyncIterator]: chunks });
  response.once("finish", () => request.resume());
}
