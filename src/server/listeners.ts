/** Network listeners: plain or with TLS, HTTP/1.1 or HTTP/2, opened all or none. */
import { readFile } from "node:fs/promises";
import { createServer as createHttp, type RequestListener, type Server } from "node:http";
import {
  createServer as createHttp2,
  createSecureServer,
  type Http2SecureServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
} from "node:http2";
import { createServer as createHttps } from "node:https";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import { type Address, formatAddress } from "./address.ts";
import type { ListenerConfig, TlsFiles } from "./config.ts";

/** What keeps a server from starting, in one sentence for an operator. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** A listener that has been opened, and the connections it has accepted. */
export interface Listener {
  readonly port: number;
  /** Connections that have not ended. */
  readonly connections: number;
  /** Accepts nothing more. Resolves when its last connection has gone. */
  close(): Promise<void>;
  /** Cuts the connections that are left. */
  destroy(): void;
}

export async function httpServer(
  tls: TlsFiles | undefined,
  handler: RequestListener,
): Promise<Server> {
  return tls === undefined ? createHttp(handler) : createHttps(await read(tls), handler);
}

export async function http2Server(
  tls: TlsFiles | undefined,
  handler: (request: Http2ServerRequest, response: Http2ServerResponse) => void,
): Promise<Http2Server | Http2SecureServer> {
  return tls === undefined
    ? createHttp2(handler)
    : createSecureServer({ ...(await read(tls)), allowHTTP1: false }, handler);
}

/** @throws StartError when the address cannot be had. */
export async function listen(
  server: NetServer,
  { address }: ListenerConfig,
  what: string,
): Promise<Listener> {
  const connections = new Set<Socket>();
  // One function for all of them: there may be a hundred thousand.
  function gone(this: Socket): void {
    connections.delete(this);
  }
  server.on("connection", (socket: Socket) => {
    connections.add(socket);
    socket.on("close", gone);
  });
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session: ServerHttp2Session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
  });
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void =>
      reject(new StartError(`${what} cannot listen on ${formatAddress(address)}: ${why(error)}`));
    server.once("error", failed);
    server.listen({ port: address.port, ...hostOf(address) }, () => {
      server.off("error", failed);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections.size;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // HTTP/2 connections end by themselves once their last stream has.
        for (const session of sessions) session.close();
      }),
    destroy: () => {
      for (const socket of connections) socket.destroy();
    },
  };
}

async function read({ cert, key }: TlsFiles): Promise<{ cert: Buffer; key: Buffer }> {
  const [certificate, secret] = await Promise.all(
    [cert, key].map(async (path) => {
      try {
        return await readFile(path);
      } catch (error) {
        throw new StartError(`cannot read ${path}: ${why(error as NodeJS.ErrnoException)}`);
      }
    }),
  );
  const pair = { cert: certificate as Buffer, key: secret as Buffer };
  try {
    createHttps(pair).close();
  } catch (error) {
    throw new StartError(`${cert} and ${key} are no certificate with its key: ${String(error)}`);
  }
  return pair;
}

function hostOf({ host }: Address): { host?: string } {
  return host === undefined ? {} : { host };
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "the port is taken",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "permission denied",
  ENOENT: "there is no such file",
  ENOTFOUND: "there is no such host",
};

function why({ code, message }: NodeJS.ErrnoException): string {
  return REASONS[code ?? ""] ?? message;
}
