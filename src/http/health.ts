/** Whether a server lives and whether it is ready, as routes. */
import type { Hono } from "hono";

/**
 * Adds `/health/live`, `/health/ready` and `/health`, which is short for it.
 *
 * @param ready whether new clients are welcome; asked at every request, for it may change back and forth
 * @param detail answers `/health` of a caller that shows a key
 */
export function addHealth(app: Hono, ready: () => boolean, detail?: Reading): void {
  const readiness = (): Response => (ready() ? health(200, "ready") : health(503, "not ready"));
  const routes: Readonly<Record<string, Reading>> = {
    // A process that can answer lives: restarting it would mend nothing that it waits for.
    "/health/live": () => health(200, "live"),
    "/health/ready": readiness,
    "/health": (request) =>
      request.headers.has("Authorization") ? (detail?.(request) ?? readiness()) : readiness(),
  };
  for (const [path, respond] of Object.entries(routes)) addReading(app, path, respond);
}

/** Answers a request that only reads. */
export type Reading = (request: Request) => Response | Promise<Response>;

/** Adds a route that is only read: GET, and HEAD, of which the router leaves the body out. */
export function addReading(app: Hono, path: string, respond: Reading): void {
  app.get(path, (context) => respond(context.req.raw));
  const headers = { Allow: "GET, HEAD", "Cache-Control": "no-store" };
  app.all(path, () => new Response("Method Not Allowed", { status: 405, headers }));
}

function health(status: number, word: string): Response {
  // True for the moment only, so nothing on the way may keep it.
  const headers = {
    "Content-Type": "application/json; charset=utf-8",
    "Cache-Control": "no-store",
  };
  return new Response(JSON.stringify({ status: word }), { status, headers });
}
