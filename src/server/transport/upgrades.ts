/**
 * Requests that ask for another protocol, and the two things that may become of them beside a WebSocket:
 * a refusal that ends by itself, or an ordinary request, where the protocol is none of ours.
 */
import type { IncomingMessage, Server } from "node:http";
import { type Duplex, Writable } from "node:stream";
import { TLSSocket } from "node:tls";
import { asksForWebSocket } from "../../http/handshake.ts";

/** How long a refused client has to take its answer and to go, in milliseconds. */
const REFUSED_MS = 3_000;

/** A header of a request; several of one name count as none, except for those that are lists. */
export function headerOf({ headers }: IncomingMessage, name: string): string | null {
  const value = headers[name.toLowerCase()];
  return typeof value === "string" ? value : null;
}

/** Whether a request is to be taken off the HTTP server: only for a WebSocket. */
export function shouldUpgrade(request: IncomingMessage): boolean {
  return asksForWebSocket({ header: (name) => headerOf(request, name) });
}

/**
 * Gives the target of a request the form that ordinary clients use: a path with its query. A target
 * with a scheme and a host names the host as well, and then the Host header means nothing (RFC 9112).
 */
export function toOriginForm(request: IncomingMessage): void {
  const absolute = /^https?:\/\/([^/?#]+)([^#]*)/i.exec(request.url ?? "");
  if (absolute === null) return;
  const [, host = "", rest = ""] = absolute;
  request.headers.host = host;
  request.url = rest.startsWith("/") ? rest : `/${rest}`;
}

/** The path that a request asks for, without its query and decoded. */
export function pathOf(request: IncomingMessage): string {
  const [path = ""] = (request.url ?? "").split("?", 1);
  try {
    return decodeURI(path);
  } catch {
    return path;
  }
}

/**
 * Answers an upgrade that is not taken, and lets go of its connection, with or without the client: the
 * HTTP server no longer knows this socket.
 */
export function refuse(
  socket: Duplex,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  // A client that resets the connection has its answer, or wants none.
  socket.on("error", () => socket.destroy());
  const lines = Object.entries({
    Connection: "close",
    ...headers,
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": `${Buffer.byteLength(text)}`,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${text}\r\n${lines.join("")}\r\n${text}`);
  // Unread bytes would make the end of the connection a reset, which may overtake the answer.
  socket.pipe(new Writable({ write: (_chunk, _encoding, done) => done() }));
  const timer = setTimeout(() => socket.destroy(), REFUSED_MS).unref();
  socket.once("close", () => clearTimeout(timer));
}

/**
 * Gives a request for a protocol that is none of ours back to the HTTP server, as RFC 9110 wants it.
 * Only for versions of Node that do not ask `shouldUpgrade` (before 24.9): the request is read again,
 * without the header that asks.
 */
export function serveWithoutUpgrade(
  server: Pick<Server, "emit">,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const { method, url, httpVersion, rawHeaders } = request;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== "upgrade") {
      lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
    }
  }
  const again = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  socket.unshift(Buffer.concat([again, head]));
  server.emit(socket instanceof TLSSocket ? "secureConnection" : "connection", socket);
}
