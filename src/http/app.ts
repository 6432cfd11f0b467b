/** The HTTP app that every host mounts. */
import { Hono } from "hono";
import { addDocument } from "./api/document.ts";
import { addChannelDoors, type ChannelDoors } from "./channel-doors.ts";
import {
  type HandshakeProblem,
  type HandshakeRules,
  handshakeProblem,
  handshakeRequest,
} from "./handshake.ts";
import { addHealth, addReading, type Reading } from "./health.ts";

/** How a request on the WebSocket path is answered. */
export interface Upgrades {
  /**
   * Takes a WebSocket upgrade whose handshake has been checked. Left out where the host takes upgrades
   * before they come here.
   */
  readonly connect?: (request: Request) => Promise<Response>;
  readonly handshake?: HandshakeRules;
  /** Hears why a handshake was refused, for the log. */
  readonly refused?: (problem: HandshakeProblem) => void;
}

export interface AppOptions extends Upgrades {
  /** Where WebSocket connections go. Default `/ws`. */
  readonly path?: string;
  /** Whether the server is ready, for its health routes. Left out where another port has them. */
  readonly ready?: () => boolean;
  /** What operators read by a key. Left out where another port has it. */
  readonly operations?: {
    readonly metrics: Reading;
    /** In the place of `/health` where a key comes with the request. */
    readonly health: Reading;
  };
  /**
   * Answers calls of the Connect services. Left out where the host takes them before they come here.
   */
  readonly services?: (request: Request) => Promise<Response>;
  /** What lies below `/channels/`. */
  readonly channels?: ChannelDoors;
  /** Whether the port has the server API, which /openapi.json describes there. Default no. */
  readonly api?: boolean;
  /** Answers every other path. Default 404. */
  readonly fallback?: (request: Request) => Response | Promise<Response>;
}

/** Where WebSocket connections go unless a host says something else. */
export const UPGRADE_PATH = "/ws";
/** Longest part of a Retry-After that is chance, in seconds. */
const RETRY_SPREAD_S = 5;

export function createApp(options: AppOptions): Hono {
  const app = new Hono();
  app.all(options.path ?? UPGRADE_PATH, (context) => answerUpgrade(context.req.raw, options));
  const { operations, ready, services } = options;
  if (ready !== undefined) addHealth(app, ready, operations?.health);
  if (operations !== undefined) addReading(app, "/metrics", operations.metrics);
  if (services !== undefined) {
    app.all("/:service{messageloop[.][\\w.]+}/:method", (context) => services(context.req.raw));
  }
  if (options.channels !== undefined) addChannelDoors(app, options.channels);
  if (options.api === true) addDocument(app);
  app.notFound((context) => options.fallback?.(context.req.raw) ?? plain(404, "Not Found"));
  return app;
}

/** Answers a request on the WebSocket path. */
export function answerUpgrade(
  request: Request,
  { connect, handshake, refused }: Upgrades,
): Response | Promise<Response> {
  const problem = handshakeProblem(handshakeRequest(request), handshake);
  if (problem !== undefined) {
    refused?.(problem);
    return refuse(problem.status, problem.text);
  }
  return connect?.(request) ?? refuse(400, "Bad Request");
}

/** 503 that spreads clients that come back. */
export function delayedRetry(): Response {
  return plain(503, "Service Unavailable", { "Retry-After": `${retryAfterSeconds()}` });
}

/** How long one of many refused clients should wait before it comes back, in seconds. */
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
