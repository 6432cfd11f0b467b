/** What the WebSocket port answers to plain HTTP: the handshake's refusals, and the page to try it. */
import { readFile } from "node:fs/promises";
import { Hono } from "hono";
import { handshakeProblem } from "../http/handshake.ts";

/** Built from src/http/console; both the sources and the compiled server lie two folders below it. */
const PAGE = [
  new URL("../../dist/page/", import.meta.url),
  new URL("../../page/", import.meta.url),
];

const TYPES: Readonly<Record<string, string>> = {
  "index.html": "text/html; charset=utf-8",
  "main.js": "text/javascript; charset=utf-8",
  "style.css": "text/css; charset=utf-8",
};

/** @param path of the WebSocket endpoint */
export function createPageApp({ path }: { readonly path: string }): Hono {
  const app = new Hono();
  app.all(path, (context) => {
    // An upgrade that is valid never comes here.
    const header = (name: string) => context.req.header(name) ?? null;
    const problem = handshakeProblem({ method: context.req.method, header });
    const { status, text } = problem ?? { status: 400 as const, text: "Bad Request" };
    return context.text(text, status, { "Sec-WebSocket-Version": "13" });
  });
  app.get("/:file?", async (context) => {
    const name = context.req.param("file") ?? "index.html";
    const type = TYPES[name];
    const bytes = type === undefined ? undefined : await read(name);
    if (type === undefined || bytes === undefined) return context.text("Not Found", 404);
    return context.body(bytes, 200, { "Content-Type": type });
  });
  app.notFound((context) => context.text("Not Found", 404));
  return app;
}

async function read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  for (const folder of PAGE) {
    try {
      return new Uint8Array(await readFile(new URL(name, folder)));
    } catch {
      // Not built, or not here: look on.
    }
  }
  return undefined;
}
