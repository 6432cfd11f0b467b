/** The page to try the server with, from where it was built. */
import { readFile } from "node:fs/promises";

/** Built from src/http/console; both the sources and the compiled server lie two folders below it. */
const FOLDERS = [
  new URL("../../dist/page/", import.meta.url),
  new URL("../../page/", import.meta.url),
];

const TYPES: Readonly<Record<string, string>> = {
  "index.html": "text/html; charset=utf-8",
  "main.js": "text/javascript; charset=utf-8",
  "style.css": "text/css; charset=utf-8",
};

/** Answers for a path of the page; 404 for any other, and where the page was not built. */
export async function servePage(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const name = pathname === "/" ? "index.html" : pathname.slice(1);
  const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  const bytes = type === undefined ? undefined : await read(name);
  if (type === undefined || bytes === undefined) {
    return new Response("Not Found", { status: 404 });
  }
  return new Response(bytes, { headers: { "Content-Type": type } });
}

async function read(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  for (const folder of FOLDERS) {
    try {
      return new Uint8Array(await readFile(new URL(name, folder)));
    } catch {
      // Not built, or not here: look on.
    }
  }
  return undefined;
}
