/**
 * What the admin port of a self-hosted server has beside the server API: whether it lives, whether it is ready,
 * metrics, and the doors to channels that are for other servers.
 */
import { Hono } from "hono";
import { addDocument } from "./api/document.ts";
import { addChannelDoors, type ChannelDoors } from "./channel-doors.ts";
import { addHealth, addReading } from "./health.ts";
import { METRICS_TYPE } from "./metrics/text.ts";

export interface OperationsOptions {
  /** Whether new clients are welcome. Asked at every request: it may change back and forth. */
  readonly ready: () => boolean;
  /** Metrics, as text. */
  readonly metrics: () => string | Promise<string>;
  /** What lies below `/channels/`. */
  readonly channels?: ChannelDoors;
  /** Answers every other path. Default 404. */
  readonly fallback?: (request: Request) => Response | Promise<Response>;
}

export function createOperationsApp(options: OperationsOptions): Hono {
  const { ready, metrics, channels = {} } = options;
  const app = new Hono();
  addHealth(app, ready);
  addReading(app, "/metrics", async () =>
    answer(200, await metrics(), { "Content-Type": METRICS_TYPE }),
  );
  addDocument(app);
  addChannelDoors(app, channels);
  app.notFound((context) => options.fallback?.(context.req.raw) ?? plain(404, "Not Found"));
  return app;
}

function plain(status: number, text: string, headers: Record<string, string> = {}): Response {
  return answer(status, text, { "Content-Type": "text/plain; charset=utf-8", ...headers });
}

/** An answer is true for the moment only, so nothing on the way may keep it. */
function answer(status: number, body: string, headers: Record<string, string>): Response {
  return new Response(body, { status, headers: { "Cache-Control": "no-store", ...headers } });
}
