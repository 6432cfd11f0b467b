/** The pages of the server, from where they were built: the one to try it with, and the console. */
import { readFile } from "node:fs/promises";

/** Built from src/http/showcase and src/http/console; both the sources and the compiled server lie two folders below it. */
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

/** What every answer of the console says to browsers. On Workers the build hands it to the assets, as `_headers`. */
export const CONSOLE_HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  // Asked for each time, and sent only where it has changed.
  "Cache-Control": "no-cache",
};

const CONSOLE_FILES: Readonly<Record<string, readonly [name: string, type: string]>> = {
  "/console": ["console.html", "text/html; charset=utf-8"],
  "/console/main.js": ["console/main.js", "text/javascript; charset=utf-8"],
  "/console/icon.svg": ["console/icon.svg", "image/svg+xml"],
};

/**
 * What answers for the paths of the console; 404 for any other, and where it was not built. Each file is read once. It
 * has nothing to hide: all that it shows it asks for with the key of the operator.
 *
 * @param read default: what lies where the pages are built
 */
export function consoleAt(read: PageReader = built): (request: Request) => Promise<Response> {
  const files = new Map<string, ReturnType<PageReader>>();
  return async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method !== "GET" && request.method !== "HEAD") return notFound();
    if (pathname === "/console/") return toConsole();
    const file = Object.hasOwn(CONSOLE_FILES, pathname) ? CONSOLE_FILES[pathname] : undefined;
    if (file === undefined) return notFound();
    const [name, type] = file;
    const reading = files.get(name) ?? read(name);
    files.set(name, reading);
    const bytes = await reading;
    if (bytes === undefined) return notFound();
    return new Response(bytes, { headers: { "Content-Type": type, ...CONSOLE_HEADERS } });
  };
}

/** What the page asks for lies beside it. Relative, since a proxy may have put the server below a prefix. */
function toConsole(): Response {
  return new Response(null, { status: 307, headers: { Location: "../console" } });
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
