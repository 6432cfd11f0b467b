/** GET /openapi.json: what there is to call, for tools. */
import type { Hono } from "hono";
import { addReading } from "../health.ts";
import { OPENAPI } from "./gen/openapi.ts";

/** How long it may be kept, in seconds: it changes with the version of the server. */
const MAX_AGE_S = 300;

let text: string | undefined;

/** Belongs into an app of a port that has the server API. */
export function addDocument(app: Hono): void {
  const headers = {
    "Content-Type": "application/json; charset=utf-8",
    "Cache-Control": `public, max-age=${MAX_AGE_S}`,
  };
  addReading(app, "/openapi.json", () => {
    text ??= JSON.stringify(OPENAPI);
    return new Response(text, { headers });
  });
}
