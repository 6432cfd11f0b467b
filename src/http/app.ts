/** The HTTP app that every host mounts. */
import { Hono } from "hono";
import { type HandshakeProblem, type HandshakeRules, handshakeProblem } from "./handshake.ts";

export interface AppOptions {
  /** Where WebSocket connections go. Default `/ws`. */
  readonly path?: string;
  /**
   * Takes a WebSocket upgrade whose handshake has been checked. Left out where the host takes upgrades
   * before they come here.
   */
  readonly connect?: (request: Request) => Promise<Response>;
  readonly handshake?: HandshakeRules;
  /** Hears why a handshake was refused, for the log. */
  readonly refused?: (problem: HandshakeProblem) => void;
  /** Answers every other path. Default 404. */
  readonly fallback?: (request: Request) => Response | Promise<Response>;
}

/** Longest part of a Retry-After that is chance, in seconds. */
const RETRY_SPREAD_S = 5;

export function createApp(options: AppOptions): Hono {
  const app = new Hono();
  app.all(options.path ?? "/ws", (context) => {
    const request = context.req.raw;
    const header = (name: string): string | null =>
      // A request that was made in the process itself has its host in the URL only.
      request.headers.get(name) ?? (name === "Host" ? new URL(request.url).host : null);
    const problem = handshakeProblem({ method: request.method, header }, options.handshake);
    if (problem !== undefined) {
      options.refused?.(problem);
      return refuse(problem.status, problem.text);
    }
    return options.connect?.(request) ?? refuse(400, "Bad Request");
  });
  app.notFound((context) => options.fallback?.(context.req.raw) ?? plain(404, "Not Found"));
  return app;
}

/** 503 that spreads those who come back. */
export function delayedRetry(): Response {
  return plain(503, "Service Unavailable", { "Retry-After": `${retryAfterSeconds()}` });
}

/** How long one of many who are refused should wait before it comes back, in seconds. */
export function retryAfterSeconds(): number {
  return 1 + Math.floor(Math.random() * RETRY_SPREAD_S);
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
