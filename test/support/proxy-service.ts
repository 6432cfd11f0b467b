/**
 * `ProxyService` as an application's own program would serve it: over HTTP with JSON, over Connect, and over gRPC.
 * It is made of functions, so that one of them can be asked in every way.
 */
import {
  createServer as createHttp,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createHttp2, type Http2Server } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { ProxyService } from "../../src/protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { answerJson, serviceOf } from "./proxy-functions.ts";

export interface RunningBackend {
  readonly port: number;
  /** Connections that are open now. */
  connections(): Promise<number>;
  stop(): Promise<void>;
}

/** Serves these functions over HTTP/1.1: as JSON at `/hooks`, and by Connect at its own paths. */
export function serveHttp(backends: Backends): Promise<RunningBackend> {
  const connect = connectNodeAdapter({ routes: routesOf(backends) });
  return listening(
    createHttp(async (request, response) => {
      if (request.url?.startsWith("/hooks") !== true) {
        connect(request, response);
        return;
      }
      const gone = new AbortController();
      response.once("close", () => gone.abort());
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const hook = `${request.headers["messageloop-hook"]}`;
      const text = Buffer.concat(chunks).toString();
      const { status, body } = await answerJson(backends, hook, text, gone.signal);
      response.writeHead(status, { "content-type": "application/json" }).end(body);
    }),
  );
}

/** Serves them over gRPC without TLS. */
export function serveGrpc(backends: Backends): Promise<RunningBackend> {
  return listening(createHttp2(connectNodeAdapter({ routes: routesOf(backends) })));
}

/** A server of one's own over HTTP/1.1. */
export function serve(listener: RequestListener): Promise<RunningBackend> {
  return listening(createHttp(listener));
}

/** Sends a chunk so many times, as fast as it is read, and then ends. */
export async function pour(response: ServerResponse, chunk: string, times: number): Promise<void> {
  const chunks = function* () {
    for (let i = 0; i < times; i++) yield chunk;
  };
  // Whoever does not read it is what is looked at.
  await pipeline(Readable.from(chunks()), response).catch(() => {});
}

function routesOf(backends: Backends): (router: ConnectRouter) => void {
  return (router) => {
    router.service(ProxyService, serviceOf(backends));
  };
}

async function listening(server: Server | Http2Server): Promise<RunningBackend> {
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connections: async () => sockets.size,
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
