/** What a self-hosted server's operator asks over HTTP: whether it lives, whether it is ready, metrics. */
import { Hono } from "hono";
import type { EngineStats } from "../engine/stats.ts";
import { renderMetrics } from "./metrics.ts";
import type { ProcessFacts } from "./metrics-process.ts";
import { METRICS_TYPE } from "./metrics-text.ts";

export interface OperationsOptions {
  /** Whether new clients are welcome. Asked at every request: it may change back and forth. */
  readonly ready: () => boolean;
  readonly stats: () => EngineStats;
  /** What metrics say about the process itself. */
  readonly facts: () => ProcessFacts;
}

export function createOperationsApp({ ready, stats, facts }: OperationsOptions): Hono {
  const readiness = (): Response => (ready() ? health(200, "ready") : health(503, "not ready"));
  // A process that can answer lives: restarting it would mend nothing that it waits for.
  const routes: Readonly<Record<string, () => Response>> = {
    "/health/live": () => health(200, "live"),
    "/health/ready": readiness,
    "/health": readiness,
    "/metrics": () =>
      answer(200, renderMetrics(stats(), facts()), { "Content-Type": METRICS_TYPE }),
  };
  const app = new Hono();
  for (const [path, respond] of Object.entries(routes)) {
    // A GET route takes HEAD as well; the router leaves the body out.
    app.get(path, respond);
    app.all(path, () => plain(405, "Method Not Allowed", { Allow: "GET, HEAD" }));
  }
  app.notFound(() => plain(404, "Not Found"));
  return app;
}

function health(status: number, word: string): Response {
  const type = "application/json; charset=utf-8";
  return answer(status, JSON.stringify({ status: word }), { "Content-Type": type });
}

function plain(status: number, text: string, headers: Record<string, string> = {}): Response {
  return answer(status, text, { "Content-Type": "text/plain; charset=utf-8", ...headers });
}

/** An answer is true for the moment only, so nothing on the way may keep it. */
function answer(status: number, body: string, headers: Record<string, string>): Response {
  return new Response(body, { status, headers: { "Cache-Control": "no-store", ...headers } });
}
