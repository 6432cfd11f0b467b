/** The HTTP app that every host mounts. */
import { Hono } from "hono";

export interface AppOptions {
  /** Takes a WebSocket upgrade whose handshake has been checked. */
  readonly connect: (request: Request) => Promise<Response>;
}

/** Longest part of a Retry-After that is chance, in seconds. */
const RETRY_SPREAD_S = 5;

export function createApp(options: AppOptions): Hono {
  const app = new Hono();
  app.all("/ws", (context) => {
    const request = context.req.raw;
    return handshakeProblem(request) ?? options.connect(request);
  });
  app.notFound(() => plain(404, "Not Found"));
  return app;
}

/** 503 that spreads those who come back. */
export function delayedRetry(): Response {
  const seconds = 1 + Math.floor(Math.random() * RETRY_SPREAD_S);
  return plain(503, "Service Unavailable", { "Retry-After": `${seconds}` });
}

/** What v0.1.1 answers to a request on the WebSocket path that is no upgrade it takes. */
function handshakeProblem(request: Request): Response | undefined {
  if (request.method !== "GET") return refuse(405, "Method Not Allowed");
  const { headers } = request;
  const upgrades =
    names(headers.get("Connection"), "upgrade") && names(headers.get("Upgrade"), "websocket");
  if (!upgrades) return refuse(400, "Bad Request");
  if (headers.get("Sec-WebSocket-Version") !== "13") return refuse(400, "Bad Request");
  if (!isKey(headers.get("Sec-WebSocket-Key"))) return refuse(400, "Bad Request");
  if (!sameHost(request)) return refuse(403, "Forbidden");
  return undefined;
}

/** Without an Origin the client is no browser; with one its host must be ours. */
function sameHost(request: Request): boolean {
  const origin = request.headers.get("Origin");
  if (origin === null) return true;
  const host = request.headers.get("Host") ?? new URL(request.url).host;
  return URL.canParse(origin) && new URL(origin).host.toLowerCase() === host.toLowerCase();
}

/** A key is sixteen bytes in base64. */
function isKey(key: string | null): boolean {
  return key !== null && /^[A-Za-z0-9+/]{22}==$/.test(key);
}

function names(header: string | null, token: string): boolean {
  return (header ?? "").split(",").some((part) => part.trim().toLowerCase() === token);
}

function refuse(status: number, text: string): Response {
  return plain(status, text, { "Sec-WebSocket-Version": "13" });
}

function plain(status: number, text: string, headers: Record<string, string> = {}): Response {
  return new Response(text, {
    status,
    headers: { "Content-Type": "text/plain; charset=utf-8", ...headers },
  });
}
