/** The page to try the server with, from where it was built. */
import { readFile } from "node:fs/promises";

/** Built from src/http/showcase; both the sources and the compiled server lie two folders below it. */
const FOLDERS = [
  new URL("../../dist/page/", import.meta.url),
  new URL("../../page/", import.meta.url),
];

const TYPES: Readonly<Record<string, string>> = {
  "index.html": "text/html; charset=utf-8",
  "main.js": "text/javascript; charset=utf-8",
  "style.css": "text/css; charset=utf-8",
};

/** How the page as it is built names the WebSocket endpoint, relative to itself. */
const BUILT_PATH = '<meta name="messageloop-path" content="ws" />';

/** Reads a file of the page by its name; undefined for one that was not built. */
export type PageReader = (name: string) => Promise<Uint8Array<ArrayBuffer> | undefined>;

/**
 * What answers for the paths of the page; 404 for any other, and where the page was not built. Each file
 * is read once.
 *
 * @param path where WebSocket connections go
 * @param read default: what lies where the page is built
 */
export function pageAt(
  path: string,
  read: PageReader = built,
): (request: Request) => Promise<Response> {
  const files = new Map<string, Promise<Uint8Array<ArrayBuffer> | undefined>>();
  return async (request) => {
    const { pathname } = new URL(request.url);
    const name = pathname === "/" ? "index.html" : pathname.slice(1);
    const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
    if (type === undefined) return notFound();
    const file = files.get(name) ?? load(read, name, path);
    files.set(name, file);
    const bytes = await file;
    if (bytes === undefined) return notFound();
    return new Response(bytes, { headers: { "Content-Type": type } });
  };
}

function notFound(): Response {
  return new Response("Not Found", { status: 404 });
}

async function load(
  read: PageReader,
  name: string,
  path: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const bytes = await read(name);
  if (name !== "index.html" || bytes === undefined) return bytes;
  // A reverse proxy may have put the server below a prefix, which only the page's own address shows.
  const relative = path.slice(1);
  const text = new TextDecoder().decode(bytes);
  return new TextEncoder().encode(
    text.replace(
      BUILT_PATH,
      BUILT_PATH.replace('"ws"', () => JSON.stringify(relative)),
    ),
  );
}

async function built(name: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  for (const folder of FOLDERS) {
    try {
      return new Uint8Array(await readFile(new URL(name, folder)));
    } catch {
      // Not built, or not here: look on.
    }
  }
  return undefined;
}
