/**
 * Starts an example: `npm run example chat`. Its page is bundled and served, its backend runs beside it, and `/ws` is passed
 * on to MessageLoop, as a reverse proxy in front of an application does, so that page and socket have one origin.
 *
 * PORT is where the page is to be, by default 9300; MESSAGELOOP_URL is where MessageLoop runs, by default
 * http://localhost:9080.
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { basename, join } from "node:path";
import type { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Backend, findApi, type MessageLoopApi } from "./backend.ts";

const NAMES = ["chat", "dashboard", "cursors", "rpc", "worker"];
const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
};

const root = fileURLToPath(new URL("..", import.meta.url));
const port = Number(process.env["PORT"] ?? 9300);
const messageloop = new URL(process.env["MESSAGELOOP_URL"] ?? "http://localhost:9080");
const [, , name = ""] = process.argv;

if (!NAMES.includes(name)) {
  console.error(`usage: npm run example ${NAMES.join("|")}`);
  process.exit(2);
}
const folder = join(root, "examples", name);
const files = await bundle();
if (name === "worker") {
  const { startWorker } = await import("./worker/start.ts");
  const assets = join(root, "dist/examples/worker");
  await mkdir(assets, { recursive: true });
  for (const [file, text] of files) await writeFile(join(assets, file), text);
  startWorker({ root, port, messageloop, api: await findApi(root, messageloop) });
} else {
  const backend = await startBackend();
  const server = createServer((request, response) => {
    answer(request, response, backend).catch((error: unknown) => {
      console.error(error);
      response.writeHead(500).end();
    });
  });
  server.on("upgrade", passOn);
  server.listen(port, "127.0.0.1", () => {
    const { port: own } = server.address() as { port: number };
    console.log(`${name}: http://localhost:${own}`);
  });
}

/** The page's files, by their names. */
async function bundle(): Promise<ReadonlyMap<string, string>> {
  const page = join(folder, "page");
  const main = existsSync(join(page, "main.tsx")) ? "main.tsx" : "main.ts";
  const { outputFiles } = await build({
    entryPoints: [join(page, main), join(page, "style.css")],
    outdir: page,
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
    // Says where `messageloop` is.
    tsconfig: join(root, "tsconfig.pages.json"),
    write: false,
    logLevel: "warning",
  });
  const bundled = outputFiles.map(({ path, text }) => [basename(path), text] as const);
  const head = await readFile(join(root, "examples/head.html"), "utf8");
  const html = await readFile(join(page, "index.html"), "utf8");
  return new Map([["index.html", html.replace("<!-- head.html -->", head)], ...bundled]);
}

async function startBackend(): Promise<Backend | undefined> {
  const file = join(folder, "backend.ts");
  if (!existsSync(file)) return undefined;
  const { start } = (await import(file)) as { start: (api: MessageLoopApi) => Backend };
  return start(await findApi(root, messageloop));
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  backend: Backend | undefined,
): Promise<void> {
  const { pathname } = new URL(request.url ?? "/", "http://localhost");
  const file = pathname === "/" ? "index.html" : pathname.slice(1);
  const text = files.get(file);
  if (text !== undefined) {
    const type = TYPES[file.split(".").at(-1) ?? ""] ?? "text/plain";
    response.writeHead(200, { "Content-Type": type, "Cache-Control": "no-store" }).end(text);
    return;
  }
  const told = await backend?.answer?.(pathname, request);
  if (told === undefined) response.writeHead(404).end();
  else {
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(told));
  }
}

/** Hands a WebSocket on to MessageLoop. Pages of other origins have no business here. */
function passOn(request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { host, origin } = request.headers;
  if (request.url !== "/ws" || (origin !== undefined && origin !== `http://${host}`)) {
    socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
    return;
  }
  const own = { host: messageloop.host, origin: messageloop.origin };
  const onward = httpRequest(new URL("/ws", messageloop), {
    headers: { ...request.headers, ...own },
  });
  onward.on("upgrade", (accepted, upstream, rest) => {
    const lines = [`HTTP/1.1 101 ${accepted.statusMessage}`];
    for (const [key, value] of Object.entries(accepted.headers)) lines.push(`${key}: ${value}`);
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    socket.write(rest);
    upstream.write(head);
    for (const [one, other] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      one.pipe(other);
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  onward.on("response", ({ statusCode, statusMessage }) => {
    socket.end(`HTTP/1.1 ${statusCode} ${statusMessage}\r\n\r\n`);
  });
  onward.on("error", () => socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n"));
  socket.on("error", () => onward.destroy());
  onward.end();
}
