/**
 * `npm run check:packages`: the packages as npm packs them are in order, say the tools that look for mistakes in packages, and a
 * program that installs the SDK works, with old and new compilers, and bundled by Vite and by esbuild.
 */
import { execFile, spawnSync } from "node:child_process";
import { createReadStream } from "node:fs";
import {
  appendFile,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  writeFile,
} from "node:fs/promises";
import { createServer as createFileServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, matchesGlob } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify, stripVTControlCharacters } from "node:util";
import { build } from "esbuild";
import { setup as findChromium } from "../scripts/chromium.mjs";
import { parseConfig } from "../src/server/config/config.ts";
import { createServer } from "../src/server/server.ts";
import { launch } from "../test/e2e/browsers.ts";
import {
  type Archive,
  entriesOf,
  environment,
  importing,
  manifestOf,
  packInto,
  root,
  run,
  sizeOf,
} from "../test/support/packed.ts";
import { COMPONENT, MAIN, MISTAKES, PAGE, RUN, TALK, VITE } from "./packages/program.ts";
import { Report } from "./report.ts";

const MOST_PACKAGES = 2;
const MOST_MB = 4;
const SDK = "messageloop";
/** The compilers that programs may have, by the names of their packages. */
const COMPILERS = ["typescript", "typescript5", "typescript57"] as const;
/** What programs without and with a page tell their compiler. */
const RESOLUTIONS = {
  nodenext: { module: "nodenext", lib: ["es2024"] },
  bundler: { module: "esnext", moduleResolution: "bundler", lib: ["es2024", "dom"] },
} as const;
const STRICT = {
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  noEmit: true,
  target: "es2022",
  types: [],
} as const;
/** Beyond what a bundle takes, in milliseconds. */
const PATIENCE_MS = 60_000;
/** Characters of a difference between two builds. */
const MOST_SAID = 2_000;
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { plant: { type: "boolean", default: false } },
});

/** What a bundle says of itself when it runs. */
interface Told {
  readonly talk: string;
  readonly entries: readonly string[];
}

const exec = promisify(execFile);
const report = new Report("packages");
const folder = await realpath(await mkdtemp(join(tmpdir(), "messageloop-packages-")));
const program = join(folder, "program");
try {
  const archives = await packInto(folder);
  if (values.plant) await plant(archives);
  const parts: Readonly<Record<string, () => unknown>> = {
    size: () => size(archives),
    publint: () => publint(archives),
    types: () => areTheTypesWrong(archives),
    compilers,
    bundles,
    react: () => olderReact(archives),
    publish: () => publish(archives),
    reproducible: () => reproducible(archives),
  };
  const names = positionals.length > 0 ? positionals : Object.keys(parts);
  const isInstalled = await installProgram(archives);
  for (const name of isInstalled ? names : []) {
    await report.part(name, async () => {
      const part = parts[name];
      if (part === undefined) throw new Error(`there are ${Object.keys(parts).join(", ")}`);
      await part();
    });
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
report.end();

function pathOf({ filename }: Archive): string {
  return join(folder, filename);
}

function sdkOf(archives: readonly Archive[]): Archive {
  return archives.find(({ name }) => name === SDK) as Archive;
}

/** Makes mistakes in the SDK's archive: one that each part has to find. */
async function plant(archives: readonly Archive[]): Promise<void> {
  const path = pathOf(sdkOf(archives));
  run("tar", folder, "-xzf", path);
  const place = join(folder, "package");
  const manifest = JSON.parse(await readFile(join(place, "package.json"), "utf8"));
  manifest.exports["./protobuf"].types = MISTAKES.types;
  await writeFile(join(place, "package.json"), JSON.stringify(manifest));
  const entry = join(place, "lib/index.js");
  await writeFile(entry, MISTAKES.import + (await readFile(entry, "utf8")));
  await appendFile(join(place, "lib/index.d.ts"), MISTAKES.declaration);
  await writeFile(join(place, "lib/more.js"), Buffer.alloc(MISTAKES.bytes));
  run("tar", folder, "-czf", path, "package");
}

/** The tools, what the SDK's entries need of others, and the SDK. */
async function installProgram(archives: readonly Archive[]): Promise<boolean> {
  await report.part("installs", async () => {
    await mkdir(program);
    for (const file of ["package.json", "package-lock.json"]) {
      await cp(fileURLToPath(new URL(`packages/${file}`, import.meta.url)), join(program, file));
    }
    const quiet = ["--no-audit", "--no-fund"];
    run("npm", program, "ci", "--ignore-scripts", ...quiet);
    run(
      "npm",
      program,
      "install",
      "--no-save",
      "--prefer-offline",
      ...quiet,
      pathOf(sdkOf(archives)),
    );
    const { peerDependencies = {} } = await manifestOf(join(program, "node_modules", SDK));
    const { dependencies = {} } = await manifestOf(program);
    const differing = Object.entries(peerDependencies).filter(
      ([name, wanted]) => name !== "messageloop-server" && !meets(dependencies[name], wanted),
    );
    report.expect(
      differing.length === 0,
      `checks/packages has what the SDK's entries need: ${differing.map(String).join(" ") || "all"}`,
    );
    const { modules, scripts } = await entriesOf(join(program, "node_modules", SDK));
    await writeFile(join(program, "entries.ts"), importing(modules));
    await writeFile(join(program, "main.ts"), MAIN);
    await writeFile(join(program, "index.html"), PAGE);
    await writeFile(join(program, "run.mjs"), RUN);
    await writeFile(join(program, "vite.config.js"), VITE);
    report.say(`entries: ${modules.join(" ")}; scripts: ${scripts.join(" ")}`);
  });
  return report.broken.length === 0;
}

/** Whether a version is the one that is wanted, or of a major one from which on all are, such as `>=18`. */
function meets(version: string | undefined, wanted: string): boolean {
  const least = /^>=(\d+)$/.exec(wanted)?.[1];
  if (least === undefined) return version === wanted;
  return Number.parseInt(version ?? "", 10) >= Number(least);
}

/** The tests of the hooks pass with React 18 as well, and a program compiles that has its types. */
async function olderReact(archives: readonly Archive[]): Promise<void> {
  const place = join(folder, "react18");
  await cp(fileURLToPath(new URL("packages/react18", import.meta.url)), place, { recursive: true });
  const quiet = ["--no-audit", "--no-fund"];
  run("npm", place, "ci", "--ignore-scripts", ...quiet);
  run("npm", place, "install", "--no-save", "--prefer-offline", ...quiet, pathOf(sdkOf(archives)));
  const modules = join(place, "node_modules");
  const { version } = await manifestOf(join(modules, "react"));
  await writeFile(join(place, "main.tsx"), COMPONENT);
  const options = { ...STRICT, ...RESOLUTIONS.bundler, jsx: "react-jsx" };
  const settings = { compilerOptions: options, files: ["main.tsx"] };
  await writeFile(join(place, "tsconfig.json"), JSON.stringify(settings));
  const tsc = [join(program, "node_modules/typescript/bin/tsc"), "-p", place];
  const compiled = outcome(process.execPath, ...tsc);
  report.expect(
    compiled.ok,
    `React ${version}, types: ${compiled.ok ? "no complaint" : compiled.said}`,
  );
  const vitest = [join(root, "node_modules/vitest/vitest.mjs"), "run", "--project", "e2e"];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [...vitest, "test/e2e/react.test.ts"],
    { cwd: root, encoding: "utf8", env: { ...environment(), MESSAGELOOP_REACT: modules } },
  );
  const passed = /Tests.* (\d+) passed/.exec(stripVTControlCharacters(stdout))?.[1];
  report.expect(
    status === 0 && passed !== undefined,
    `React ${version}: ${status === 0 ? `${passed} tests of the hooks pass` : `${stdout}${stderr}`}`,
  );
}

/** What comes of an installation of the SDK alone. */
async function size(archives: readonly Archive[]): Promise<void> {
  const alone = join(folder, "alone");
  await mkdir(alone);
  await writeFile(join(alone, "package.json"), '{ "private": true }');
  run("npm", alone, "install", "--no-audit", "--no-fund", pathOf(sdkOf(archives)));
  const modules = join(alone, "node_modules");
  const lock = JSON.parse(await readFile(join(modules, ".package-lock.json"), "utf8"));
  const packages = Object.keys(lock.packages);
  const mb = (await sizeOf(modules)) / 1e6;
  report.expect(
    packages.includes(`node_modules/${SDK}`) && packages.length <= MOST_PACKAGES && mb <= MOST_MB,
    `the SDK alone is ${packages.length} of ${MOST_PACKAGES} packages and ${mb.toFixed(2)} of ${MOST_MB} MB`,
  );
}

/** What `npm publish` would send is what was packed, to everybody and with its provenance. */
async function publish(archives: readonly Archive[]): Promise<void> {
  const listed = JSON.parse(await readFile(join(root, "test/fixtures/packed-files.json"), "utf8"));
  for (const archive of archives) {
    const told = run("npm", folder, "publish", "--dry-run", "--json", pathOf(archive));
    const [{ files = [] } = {}] = Object.values(
      JSON.parse(told) as Record<string, Partial<Archive>>,
    );
    const patterns: readonly string[] = listed[archive.name];
    const strange = files.filter(({ path }) => !patterns.some((one) => matchesGlob(path, one)));
    report.expect(
      files.length === archive.files.length && strange.length === 0,
      `npm publish --dry-run, ${archive.name}: ${files.length} of ${archive.files.length} files, ${strange.length} that are not listed ${strange.map(({ path }) => path).join(" ")}`,
    );
  }
}

/** A second build, of all, in another place and time zone and with another umask, has the same bytes. */
async function reproducible(archives: readonly Archive[]): Promise<void> {
  const place = join(folder, "again");
  await mkdir(place);
  const before = { zone: process.env["TZ"], mask: process.umask(0o077) };
  process.env["TZ"] = "Pacific/Kiritimati";
  let again: readonly Archive[];
  try {
    again = await packInto(place, { anew: true });
  } finally {
    process.umask(before.mask);
    if (before.zone === undefined) delete process.env["TZ"];
    else process.env["TZ"] = before.zone;
  }
  for (const archive of archives) {
    const { filename } = again.find(({ name }) => name === archive.name) as Archive;
    const one = await readFile(pathOf(archive));
    const isSame = one.equals(await readFile(join(place, filename)));
    const difference = isSame
      ? ""
      : `:\n${await differenceOf(pathOf(archive), join(place, filename))}`;
    report.expect(
      isSame,
      `${archive.name} is built twice to the same ${one.length} bytes${difference}`,
    );
  }
}

/** What differs in the files of two archives, at most the beginning. */
async function differenceOf(...archives: [string, string]): Promise<string> {
  const places = archives.map((_, at) => join(folder, `differs-${at}`));
  for (const [at, archive] of archives.entries()) {
    const place = places[at] ?? "";
    await rm(place, { recursive: true, force: true });
    await mkdir(place);
    run("tar", place, "-xpzf", archive);
  }
  const { said } = outcome("diff", "-r", ...places);
  return said === "" ? "modes, times or order of the files differ" : said.slice(0, MOST_SAID);
}

function publint(archives: readonly Archive[]): void {
  for (const archive of archives) {
    const { said } = tool("publint", "run", pathOf(archive), "--strict", "--level", "suggestion");
    report.expect(said.endsWith("All good!"), `publint, ${archive.name}: ${said}`);
  }
}

/** Of modules of ECMAScript alone, which is what the packages have. */
function areTheTypesWrong(archives: readonly Archive[]): void {
  // What has no entry has no types: a command alone.
  for (const archive of archives.filter(({ name }) => name !== "create-messageloop")) {
    const terms = ["--profile", "esm-only", "--no-emoji", "--no-color", "--format", "ascii"];
    const { ok, said } = tool("attw", pathOf(archive), ...terms);
    const seen = said.match(/^bundler: OK/gm)?.length ?? 0;
    report.expect(
      ok && seen > 0,
      `are-the-types-wrong, ${archive.name}: ${ok ? `${seen} entries are OK` : said}`,
    );
  }
}

async function compilers(): Promise<void> {
  for (const [resolution, options] of Object.entries(RESOLUTIONS)) {
    const settings = { compilerOptions: { ...STRICT, ...options }, files: ["main.ts"] };
    await writeFile(join(program, `tsconfig.${resolution}.json`), JSON.stringify(settings));
  }
  for (const name of COMPILERS) {
    const place = join(program, "node_modules", name);
    const { version } = await manifestOf(place);
    for (const resolution of Object.keys(RESOLUTIONS)) {
      const tsc = [join(place, "bin/tsc"), "-p", `tsconfig.${resolution}.json`];
      const { ok, said } = outcome(process.execPath, ...tsc);
      report.expect(ok, `TypeScript ${version}, ${resolution}: ${ok ? "no complaint" : said}`);
    }
  }
}

/** The same program by both bundlers; each bundle talks to a server, that of esbuild in Node and both in Chromium. */
async function bundles(): Promise<void> {
  const { modules: entries } = await entriesOf(join(program, "node_modules", SDK));
  const web = await serveFiles(program);
  const any = { addr: "127.0.0.1:0" };
  const server = createServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s" },
      transport: { websocket: { ...any, allowed_origins: [web.origin] }, grpc: any },
    }),
  });
  const { websocket } = await server.start();
  const url = `ws://127.0.0.1:${websocket}/ws`;
  const judge = (where: string, { talk, entries: its }: Told): void => {
    report.expect(
      talk === TALK && its.join() === entries.join(),
      `${where}: says "${talk}", with ${its.length} of ${entries.length} entries`,
    );
  };
  try {
    await report.part("esbuild", async () => {
      await build({
        entryPoints: [join(program, "main.ts")],
        outfile: join(program, "esbuild/main.js"),
        bundle: true,
        format: "esm",
        platform: "browser",
        logLevel: "silent",
      });
      const text = await readFile(join(program, "esbuild/main.js"), "utf8");
      report.expect(!ofNode(text), "esbuild: the bundle has nothing of Node");
      await writeFile(join(program, "esbuild/index.html"), PAGE.replace("main.ts", "main.js"));
      const args = ["run.mjs", "esbuild/main.js", url];
      const inNode = await exec(process.execPath, args, { cwd: program, timeout: PATIENCE_MS });
      judge("esbuild, Node", JSON.parse(inNode.stdout) as Told);
      judge("esbuild, Chromium", await inChromium(`${web.origin}/esbuild/index.html`, url));
    });
    await report.part("Vite", async () => {
      const { ok, said } = tool(
        "vite",
        "build",
        "--base",
        "./",
        "--outDir",
        "vite",
        "--logLevel",
        "warn",
      );
      const assets = await readdir(join(program, "vite/assets"));
      const texts = await Promise.all(
        assets.map((name) => readFile(join(program, "vite/assets", name), "utf8")),
      );
      report.expect(
        ok && !said.includes("externalized") && texts.length > 0 && !texts.some(ofNode),
        `Vite: the bundle has nothing of Node: ${said || "no warning"}`,
      );
      judge("Vite, Chromium", await inChromium(`${web.origin}/vite/index.html`, url));
    });
  } finally {
    await server.stop();
    web.stop();
  }
}

/** Whether a bundle imports, or was given an empty module in the place of, what only Node has. */
function ofNode(text: string): boolean {
  return /["'`]node:|__vite-browser-external/.test(text);
}

async function inChromium(page: string, url: string): Promise<Told> {
  findChromium();
  const browser = await launch("Chromium");
  try {
    const opened = await browser.open(page);
    // A page is loaded before modules have run that await others.
    const script = `(async () => {
      const over = performance.now() + ${PATIENCE_MS};
      while (!globalThis.check && performance.now() < over) await new Promise((go) => setTimeout(go, 10));
      return { talk: await check.talk(${JSON.stringify(url)}), entries: check.entries };
    })()`;
    return (await opened.evaluate(script)) as Told;
  } finally {
    await browser.close();
  }
}

async function serveFiles(place: string): Promise<{ readonly origin: string; stop(): void }> {
  const files = createFileServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const stream = createReadStream(join(place, pathname));
    response.setHeader("Content-Type", CONTENT_TYPES[extname(pathname)] ?? "text/plain");
    stream.on("error", () => response.writeHead(404).end()).pipe(response);
  });
  await new Promise<void>((resolve) => files.listen(0, "127.0.0.1", resolve));
  const { port } = files.address() as AddressInfo;
  const stop = (): void => {
    files.close();
    files.closeAllConnections();
  };
  return { origin: `http://127.0.0.1:${port}`, stop };
}

interface Outcome {
  readonly ok: boolean;
  readonly said: string;
}

/** What an installed command says, however it ends. */
function tool(name: string, ...args: string[]): Outcome {
  return outcome(process.execPath, join(program, "node_modules/.bin", name), ...args);
}

function outcome(command: string, ...args: string[]): Outcome {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: program,
    encoding: "utf8",
    env: environment(),
  });
  return { ok: status === 0, said: `${stdout}${stderr}`.trim() };
}
