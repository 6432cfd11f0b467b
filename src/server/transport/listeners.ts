/** Network listeners: plain or with TLS, HTTP/1.1 or HTTP/2, opened all or none. */
import { readFile } from "node:fs/promises";
import {
  createServer as createHttp,
  type IncomingMessage,
  type RequestListener,
  type Server,
} from "node:http";
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
import { type Address, formatAddress } from "../../config/address.ts";
import type { Logger } from "../../engine/ports/platform.ts";
import { MAX_BODY_MS, MAX_REST_BYTES, MAX_REST_MS } from "../../protocol/limits.ts";
import type { ListenerConfig, TlsFiles } from "../config/config.ts";
import { StartError } from "../start-error.ts";
import { shouldUpgrade } from "./upgrades.ts";

/**
 * How long a connection may take for each step until it is one of ours, in milliseconds: its greeting
 * in TLS, and the head of its request. The library looks once a second, so that what was never used is
 * gone within ten seconds.
 */
const STEP_MS = 7_000;
const LOOK_MS = 1_000;
/**
 * The same for a whole request: a door that reads its body has answered by then, in words of its own, and what was left
 * of the body has been taken.
 */
const REQUEST_MS = MAX_BODY_MS + MAX_REST_MS + LOOK_MS;
/**
 * How long nothing may move on an HTTP connection in the middle of a request, in milliseconds. The runtime
 * waits twice as long where an answer has moved at least once.
 */
export const SILENCE_MS = 4_000;
/** How often it is looked what has come of a request that has its answer, in milliseconds. */
const REST_LOOK_MS = 100;
/** How long a connection may wait for its next request, in milliseconds. */
const KEEP_ALIVE_MS = 5_000;
/** The same for an HTTP/2 connection that has carried a stream, in milliseconds. */
const HTTP2_KEEP_ALIVE_MS = 60_000;
/** Streams that one HTTP/2 connection may have open; a client waits with more. */
const MAX_STREAMS = 1_000;

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

/**
 * A server of HTTP/1.1 that keeps no client waiting for ever: with a bound for a head, for a request, and for silence.
 *
 * @param tls files of the certificate and its key; undefined for plain HTTP
 * @throws StartError where a file cannot be read
 */
export async function httpServer(
  tls: TlsFiles | undefined,
  handler: RequestListener,
): Promise<Server> {
  const options = {
    headersTimeout: STEP_MS,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: LOOK_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    shouldUpgradeCallback: shouldUpgrade,
  };
  const server =
    tls === undefined
      ? createHttp(options)
      : createHttps({ ...options, ...(await read(tls)), handshakeTimeout: STEP_MS });
  server.on("request", (request, response) => {
    response.once("finish", () => takeRest(request));
    handler(request, response);
  });
  // A client that does not read its answers is no longer read either; this lets go of it.
  return server.setTimeout(SILENCE_MS);
}

/**
 * Takes what is left of a request that has its answer, which a connection that is cut would take along, and cuts the
 * connection when that is too much. The runtime throws away what comes, without a bound.
 */
function takeRest(request: IncomingMessage): void {
  const { socket } = request;
  if (request.complete || socket.destroyed) return;
  const began = performance.now();
  const before = socket.bytesRead;
  request.resume();
  const looks = setInterval(() => {
    const tooMuch = socket.bytesRead - before > MAX_REST_BYTES;
    const tooLong = performance.now() - began > MAX_REST_MS;
    if (!request.complete && (tooMuch || tooLong)) socket.destroy();
    if (request.complete || socket.destroyed) clearInterval(looks);
  }, REST_LOOK_MS).unref();
}

/**
 * A server of HTTP/2. A connection that carries no stream is closed after a while.
 *
 * @param tls files of the certificate and its key; undefined for HTTP/2 with prior knowledge
 * @throws StartError where a file cannot be read
 */
export async function http2Server(
  tls: TlsFiles | undefined,
  handler: (request: Http2ServerRequest, response: Http2ServerResponse) => void,
): Promise<Http2Server | Http2SecureServer> {
  const options = { settings: { maxConcurrentStreams: MAX_STREAMS } };
  const server =
    tls === undefined
      ? createHttp2(options, handler)
      : createSecureServer(
          { ...options, ...(await read(tls)), allowHTTP1: false, handshakeTimeout: STEP_MS },
          handler,
        );
  server.on("session", endWhenUnused);
  return server;
}

/** Closes an HTTP/2 connection that carries no stream: soon when it never has, else after a while. */
function endWhenUnused(session: ServerHttp2Session): void {
  let streams = 0;
  let timer = setTimeout(() => session.destroy(), STEP_MS).unref();
  session.on("stream", (stream) => {
    streams += 1;
    clearTimeout(timer);
    stream.once("close", () => {
      streams -= 1;
      if (streams > 0 || session.destroyed) return;
      timer = setTimeout(() => session.close(), HTTP2_KEEP_ALIVE_MS).unref();
    });
  });
  session.once("close", () => clearTimeout(timer));
}

/**
 * Connections that may wait to be accepted; the system's own limit is often the same. Clients come back all at once
 * after a restart, and one that finds no room in the queue waits a second before it knocks again.
 */
const BACKLOG = 4_096;

/**
 * @param maxConnections connections beyond this number are cut at once
 * @throws StartError when the address cannot be had
 */
export async function listen(
  server: NetServer,
  config: ListenerConfig,
  what: string,
  { maxConnections, logger }: { readonly maxConnections: number; readonly logger: Logger },
): Promise<Listener> {
  server.maxConnections = maxConnections;
  const { connections, sessions } = watched(server);
  await listenOn(server, config, what, logger);
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

/** A listener whose connections another thread accepts. */
export interface Adopter extends Listener {
  /** Takes a connection of which nothing has been read. */
  take(socket: Socket): void;
}

/** @param gone called for each connection that has ended */
export function adopt(server: NetServer, gone: () => void): Adopter {
  const { connections, sessions } = watched(server);
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  let open = true;
  const look = (): void => {
    if (!open && connections.size === 0) close();
  };
  // From here on the runtime looks after requests that take too long.
  server.emit("listening");
  return {
    port: 0,
    get connections() {
      return connections.size;
    },
    take: (socket) => {
      if (open) server.emit("connection", socket);
      // After the one that has it among the connections no more.
      socket.once("close", () => {
        gone();
        look();
      });
      if (!open) {
        socket.destroy();
        return;
      }
      // A plain HTTP/2 session does not begin to read by itself.
      if (!("closeIdleConnections" in server)) socket.resume();
    },
    close: () => {
      open = false;
      if ("closeIdleConnections" in server) (server as Server).closeIdleConnections();
      for (const session of sessions) session.close();
      look();
      return closed;
    },
    destroy: () => {
      for (const socket of connections) socket.destroy();
    },
  };
}

/** The connections of a server that have not ended, and its HTTP/2 sessions. */
function watched(server: NetServer): {
  readonly connections: ReadonlySet<Socket>;
  readonly sessions: ReadonlySet<ServerHttp2Session>;
} {
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
  return { connections, sessions };
}

/** @throws StartError when the address cannot be had */
export async function listenOn(
  server: NetServer,
  { address }: ListenerConfig,
  what: string,
  logger: Logger,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void =>
      reject(new StartError(`${what} cannot listen on ${formatAddress(address)}: ${why(error)}`));
    server.once("error", failed);
    server.listen({ port: address.port, backlog: BACKLOG, ...hostOf(address) }, () => {
      server.off("error", failed);
      // A connection that could not be accepted; the next one may be.
      server.on("error", (error) => logger.warn(`${what} failed`, { error: String(error) }));
      resolve();
    });
  });
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
