/**
 * `npm run check:runtimes`: what the WebSockets of browsers and runtimes do, by one program that runs in each of them, is what
 * docs/runtimes.md says. And the SDK loses nothing in any of the runtimes, by another program.
 */
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { build } from "esbuild";
import { setup as findChromium } from "../scripts/chromium.mjs";
import { setup as findFirefox } from "../scripts/firefox.mjs";
import { launch } from "../test/e2e/browsers.ts";
import { live } from "./doors/clients.ts";
import { startHost } from "./doors/host.ts";
import { Report } from "./report.ts";
import { type BareServer, startBareServer } from "./runtimes/bare-server.ts";
import { hiddenTabs } from "./runtimes/hidden.ts";
import { streams } from "./runtimes/streams.ts";

/** By row of the table, what was seen. */
type Seen = Readonly<Record<string, string>>;

interface Looked {
  readonly version: string;
  readonly seen: Seen;
}

type Look = (server: BareServer, nobody: string) => Promise<Looked>;

/** The parts that are about the SDK. */
const SDK = "SDK";
const HIDDEN = "hidden";
/** Modules of src/ that its programs use. */
const SDK_ENTRIES = ["index", "client/stream/index", "client/protobuf/index"];
/** Versions of Node that the SDK is for, beside this one, by the names of their packages. */
const OLDER = ["node20", "node22"] as const;
const DENO = ["run", "--quiet", "--no-config", "--no-lock", "--allow-all"];

/** Beyond any of them, in milliseconds. */
const PATIENCE_MS = 180_000;
/** How far the time of an end may be off, in seconds. */
const TOLERANCE_S = 4;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { plant: { type: "boolean", default: false } },
});

const report = new Report("runtimes");
const root = new URL("..", import.meta.url);
const run = promisify(execFile);
const table = tableOf(await readFile(new URL("docs/runtimes.md", root), "utf8"));
const server = await startBareServer();
const folder = await mkdtemp(join(tmpdir(), "messageloop-runtimes-"));
try {
  await report.part("installs Bun, Deno, Node and ws", async () => {
    await cp(fileURLToPath(new URL("runtimes", import.meta.url)), folder, { recursive: true });
    await inFolder("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
    // What their own scripts do after the installation, and they alone.
    await inFolder(process.execPath, ["node_modules/bun/install.js"]);
    for (const name of OLDER) {
      const { execPath } = process;
      const cwd = join(folder, "node_modules", name);
      await run(execPath, ["installArchSpecificPackage.js"], { cwd, timeout: PATIENCE_MS });
    }
  });
  const looks: Readonly<Record<string, Look>> = {
    Chromium: browser("Chromium"),
    Firefox: browser("Firefox"),
    Node: program(process.execPath, process.version.slice(1)),
    Bun: program("node_modules/.bin/bun", await versionOf("bun")),
    Deno: program("node_modules/.bin/deno", await versionOf("deno"), DENO),
    ws: program(process.execPath, await versionOf("ws"), [], ["ws"]),
  };
  const all = [...Object.keys(looks), HIDDEN, SDK];
  const wanted = positionals.length > 0 ? positionals : all;
  const names = wanted.filter((name) => name !== SDK && name !== HIDDEN);
  const nobody = `ws://127.0.0.1:${await freePort()}/`;
  // Most of the time is waiting for closes.
  const looking = names.map((name) =>
    report.part(name, async () => {
      const look = looks[name];
      if (look === undefined) throw new Error(`there are ${all.join(", ")}`);
      compare(name, await look(server, nobody));
    }),
  );
  if (wanted.includes(HIDDEN)) {
    findChromium();
    looking.push(report.part(HIDDEN, () => hiddenTabs(report, values.plant)));
  }
  await Promise.all(looking);
  if (wanted.includes(SDK)) await report.part(SDK, sdk);
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}
report.end();

/** The SDK publishes and reads through cuts of the connection, as the samples in other languages do, and by streams. */
async function sdk(): Promise<void> {
  await build({
    stdin: {
      contents: SDK_ENTRIES.map((entry) => `export * from "./src/${entry}.ts";`).join("\n"),
      resolveDir: fileURLToPath(root),
      loader: "ts",
    },
    outfile: join(folder, "messageloop.mjs"),
    bundle: true,
    format: "esm",
  });
  const older = OLDER.map((name) => [name, `node_modules/${name}/bin/node`] as const);
  const programs: readonly (readonly [string, string, ...string[]])[] = [
    ...older,
    ["node24", process.execPath],
    ["bun", "node_modules/.bin/bun"],
    ["deno", "node_modules/.bin/deno", ...DENO],
  ];
  const host = await startHost("server");
  try {
    for (const [name, ...command] of programs) {
      const running = (file: string) => ({ name, folder, command: [...command, file] as const });
      await live(report, host, running("sdk.mjs"), values.plant);
      await streams(report, host, running("sdk-stream.mjs"), values.plant);
    }
  } finally {
    await host.stop();
  }
}

function compare(name: string, { version, seen }: Looked): void {
  const column = table.columns.find((one) => one.name === name);
  if (column === undefined) throw new Error(`docs/runtimes.md has no column ${name}`);
  report.expect(
    `${version}.`.startsWith(`${column.version}.`),
    `${name}: version ${version}; the table is of ${column.version}`,
  );
  const rows = Object.entries(seen);
  const differing = rows.flatMap(([row, words], i) => {
    const told = column.cells.get(row);
    const found = values.plant && i === 0 ? `${words}, planted` : words;
    return told !== undefined && agrees(told, found) ? [] : [`  ${row}: ${found}, and not ${told}`];
  });
  const missing = [...column.cells.keys()].filter((row) => !(row in seen));
  report.expect(
    differing.length === 0 && missing.length === 0,
    [
      `${name} ${version}: ${rows.length - differing.length} of ${rows.length} rows are as the table says`,
      ...differing,
      ...missing.map((row) => `  ${row}: nobody looks`),
    ].join("\n"),
  );
}

/** The same words, and much the same time. */
function agrees(told: string, found: string): boolean {
  const seconds = (text: string): number => Number(/^after (\d+) s/.exec(text)?.[1] ?? 0);
  const words = (text: string): string => text.replace(/^after \d+ s/, "after");
  return words(told) === words(found) && Math.abs(seconds(told) - seconds(found)) <= TOLERANCE_S;
}

function program(file: string, version: string, before: string[] = [], after: string[] = []): Look {
  return async ({ socket }, nobody) => {
    const printed = await inFolder(file, [...before, "run.mjs", socket, nobody, ...after]);
    return { version, seen: JSON.parse(printed) as Seen };
  };
}

function browser(name: "Chromium" | "Firefox"): Look {
  return async ({ http, socket }, nobody) => {
    if (name === "Chromium") findChromium();
    else findFirefox();
    const started = await launch(name);
    try {
      const page = await started.open(http);
      const script = `import("/probe.mjs").then(({ probe }) => probe(WebSocket, ${JSON.stringify(socket)}, ${JSON.stringify(nobody)}))`;
      const seen = (await page.evaluate(script)) as Seen;
      const agent = String(await page.evaluate("navigator.userAgent"));
      return { version: /(?:Chrome|Firefox)\/(\d+)/.exec(agent)?.[1] ?? agent, seen };
    } finally {
      await started.close();
    }
  };
}

async function inFolder(file: string, args: readonly string[]): Promise<string> {
  const path = file.startsWith("node_modules") ? join(folder, file) : file;
  const { stdout } = await run(path, args, { cwd: folder, timeout: PATIENCE_MS });
  return stdout;
}

async function versionOf(name: string): Promise<string> {
  const text = await readFile(join(folder, "node_modules", name, "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

async function freePort(): Promise<number> {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as AddressInfo;
  await new Promise((resolve) => taken.close(resolve));
  return port;
}

interface Column {
  readonly name: string;
  readonly version: string;
  readonly cells: ReadonlyMap<string, string>;
}

/** The first table of the page: a column for each runtime, with its version in the head. */
function tableOf(page: string): { readonly columns: readonly Column[] } {
  const lines = page.split("\n").filter((line) => line.startsWith("| "));
  const [head = [], , ...rows] = lines.map((line) =>
    line
      .slice(2, -2)
      .split(" | ")
      .map((cell) => cell.trim().replaceAll("`", "").replaceAll("**", "")),
  );
  const columns = head.slice(1).map((title, i) => {
    const [, name = "", version = ""] = /^(\S+) (\S+)$/.exec(title) ?? [];
    const cells = rows.map((row): [string, string] => [row[0] ?? "", row[i + 1] ?? ""]);
    return { name, version, cells: new Map(cells) };
  });
  return { columns };
}
