/**
 * The two packages as others install them, unpacked beside what they say that they depend on, and nothing else. What needs
 * tools of its own is in `npm run check:packages`.
 */
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, matchesGlob } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blocks } from "../support/doc-blocks.ts";
import {
  type Archive,
  entriesOf,
  environment,
  importing,
  manifestOf,
  NAMES,
  packInto,
  root,
  run,
  sizeOf,
} from "../support/packed.ts";
import { FREE_PORTS, runCli, startCli, startServer, until } from "./process.ts";

const MB = 1_000_000;
/** A build of all, on a busy machine. */
const PATIENCE_MS = 300_000;
/** What only those install who use the server. */
const SERVER = "messageloop-server";

interface Bom {
  readonly metadata: { readonly component: { readonly purl: string } };
  readonly components: readonly {
    readonly "bom-ref": string;
    readonly name: string;
    readonly version: string;
    readonly hashes?: readonly { readonly content: string }[];
    readonly licenses?: readonly unknown[];
  }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

let folder: string;
let archives: readonly Archive[];
/** A program that has installed the SDK alone, one that has what any of its entries needs, and one with the server. */
let sdkOnly: string;
let whole: string;
let both: string;
let cli: string;

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "messageloop-pack-")));
  archives = await packInto(folder);
  sdkOnly = await program("sdk");
  const archive = join(folder, archiveOf("messageloop").filename);
  run("npm", sdkOnly, "install", "--offline", "--no-audit", "--no-fund", archive);
  whole = await install("whole", ["messageloop"]);
  await linkPeers(whole);
  both = await install("server", NAMES);
  cli = join(both, "node_modules/messageloop-server/lib/server/cli.js");
}, PATIENCE_MS);

afterAll(() => rm(folder, { recursive: true, force: true }), PATIENCE_MS);

/** An empty program. */
async function program(name: string): Promise<string> {
  const place = join(folder, name);
  await mkdir(place);
  await writeFile(join(place, "package.json"), '{ "private": true, "type": "module" }');
  return place;
}

/** A program with packages as npm puts them: unpacked, their commands and what they depend on beside them. */
async function install(name: string, names: readonly string[]): Promise<string> {
  const place = await program(name);
  const modules = join(place, "node_modules");
  await mkdir(join(modules, ".bin"), { recursive: true });
  for (const name of names) {
    run("tar", modules, "-xzf", join(folder, archiveOf(name).filename));
    await rename(join(modules, "package"), join(modules, name));
  }
  for (const name of names) {
    const { bin = {}, dependencies = {} } = await manifestOf(join(modules, name));
    for (const [command, file] of Object.entries(bin)) {
      await symlink(join("..", name, file), join(modules, ".bin", command));
    }
    for (const dependency of Object.keys(dependencies)) await link(modules, dependency);
  }
  return place;
}

/** What the SDK's entries need of others, with its types, as programs install it that use them. */
async function linkPeers(place: string): Promise<void> {
  const modules = join(place, "node_modules");
  const { peerDependencies = {} } = await manifestOf(join(modules, "messageloop"));
  for (const peer of Object.keys(peerDependencies)) {
    if (peer === SERVER) continue;
    await link(modules, peer);
    const types = join("@types", peer);
    if (existsSync(join(root, "node_modules", types))) await link(modules, types);
  }
}

async function link(modules: string, dependency: string): Promise<void> {
  if (existsSync(join(modules, dependency))) return;
  await mkdir(dirname(join(modules, dependency)), { recursive: true });
  await symlink(join(root, "node_modules", dependency), join(modules, dependency));
}

function archiveOf(name: string): Archive {
  const archive = archives.find((one) => one.name === name);
  if (archive === undefined) throw new Error(`nothing was packed for ${name}`);
  return archive;
}

test.each(NAMES)(
  "%s has what test/fixtures/packed-files.json lists and nothing else",
  async (name) => {
    const lists = JSON.parse(await readFile(join(root, "test/fixtures/packed-files.json"), "utf8"));
    const patterns: readonly string[] = lists[name];
    const paths = archiveOf(name).files.map(({ path }) => path);
    const matches = (path: string) => patterns.some((pattern) => matchesGlob(path, pattern));
    expect(paths.filter((path) => !matches(path))).toEqual([]);
    expect(patterns.filter((pattern) => !paths.some((path) => matchesGlob(path, pattern)))).toEqual(
      [],
    );
    // What a program needs, and what an earlier build or the tests have left.
    expect(
      paths.filter((path) => /\/stale\/|\.test\.|^lib\/.*(?:console|showcase)\//.test(path)),
    ).toEqual([]);
  },
);

test.each(NAMES)("each module of %s has a map with its source inside", async (name) => {
  const lib = join(both, "node_modules", name, "lib");
  const modules = (await readdir(lib, { recursive: true })).filter((path) => path.endsWith(".js"));
  expect(modules.length).toBeGreaterThan(3);
  for (const path of modules) {
    const text = await readFile(join(lib, path), "utf8");
    expect(text, path).toMatch(new RegExp(`^//# sourceMappingURL=${basename(path)}\\.map$`, "m"));
    const map = JSON.parse(await readFile(join(lib, `${path}.map`), "utf8"));
    const own = basename(path, ".js");
    const sources = await Promise.all(
      [`${own}.ts`, `${own}.tsx`].map(async (source) => {
        const file = join(root, "src", dirname(path), source);
        return existsSync(file) ? [{ source, text: await readFile(file, "utf8") }] : [];
      }),
    );
    // What has been generated, and names from before there were two packages, are their own source.
    const [{ source, text: content } = { source: basename(path), text: undefined }] =
      sources.flat();
    expect(map.sources, path).toEqual([source]);
    expect(map.sourcesContent, path).toEqual([content ?? expect.stringMatching(/./)]);
  }
});

test("an error that the SDK throws names its line of the source", async () => {
  const script = `import { createCloudEvent } from "messageloop";
try { createCloudEvent({ source: "/a" }); } catch ({ stack }) { console.log(stack); }`;
  await writeFile(join(sdkOnly, "throws.mjs"), script);
  const stack = run(process.execPath, sdkOnly, "--enable-source-maps", "throws.mjs");
  const [, path = "", line = ""] = /\/messageloop\/lib\/(\S+\.ts):(\d+):\d+/.exec(stack) ?? [];
  expect(path).toBe("client/core/create-event.ts");
  const source = await readFile(join(root, "src", path), "utf8");
  expect(source.split("\n")[Number(line) - 1]).toContain("throw new ");
});

test.each(NAMES)("the bill of materials of %s has what npm installs with it", async (name) => {
  const place = join(both, "node_modules", name);
  const { version, dependencies = {} } = await manifestOf(place);
  const { packages } = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"));
  const text = await readFile(join(place, "sbom.cdx.json"), "utf8");
  const bom = JSON.parse(text) as Bom;
  expect(bom).toMatchObject({ bomFormat: "CycloneDX", metadata: { component: { name, version } } });
  expect(bom.metadata.component.purl).toBe(`pkg:npm/${name}@${version}`);
  // Nothing of when or where it was made.
  expect(text).not.toMatch(/serialNumber|timestamp|sbom-/);
  const bundled = name === SERVER ? ["preact"] : [];
  const direct = [...Object.keys(dependencies), ...bundled];
  const [own] = bom.dependencies;
  expect(own?.dependsOn.map((ref) => ref.replace(/@[^@]+$/, "")).sort()).toEqual(direct.sort());
  for (const { name: one, version: its, hashes = [], licenses = [] } of bom.components) {
    expect(licenses, one).toHaveLength(1);
    const ours = NAMES.some((other) => other === one);
    const { version: locked, integrity } = ours ? { version } : packages[`node_modules/${one}`];
    expect([one, its]).toEqual([one, locked]);
    const digest = Buffer.from(hashes[0]?.content ?? "", "hex").toString("base64");
    expect(`sha512-${digest}`).toBe(integrity ?? "sha512-");
  }
  // Each of them is needed by another one, and each that is needed is there.
  const needed = bom.dependencies.flatMap(({ dependsOn }) => dependsOn);
  expect([...new Set(needed)].sort()).toEqual(bom.components.map((one) => one["bom-ref"]).sort());
});

test.each(NAMES)("%s says who it is and where it comes from", async (name) => {
  const own = await manifestOf(join(both, "node_modules", name));
  const { version, license, repository, homepage, keywords } = await manifestOf(root);
  expect(own).toMatchObject({ name, version, license, repository, homepage, keywords });
  expect(own["private"]).toBeUndefined();
  // What the registry compares with the place that a package was built in.
  expect(own).toMatchObject({
    repository: { url: "git+https://github.com/messageloop/messageloop.git" },
    publishConfig: { access: "public", provenance: true },
  });
  expect(homepage).toMatch(/^https:/);
  expect(keywords).toContain("realtime");
});

test("npm installs at most two packages and 4 MB for the SDK alone", async () => {
  const modules = join(sdkOnly, "node_modules");
  const lock = await readFile(join(modules, ".package-lock.json"), "utf8");
  const { packages } = JSON.parse(lock) as { packages: Readonly<Record<string, unknown>> };
  expect(Object.keys(packages)).toContain("node_modules/messageloop");
  expect(Object.keys(packages).length).toBeLessThanOrEqual(2);
  expect(await sizeOf(modules)).toBeLessThan(4 * MB);
});

test("each entry of the SDK has types by both ways of finding them, and runs in Node", async () => {
  const { modules: entries } = await entriesOf(join(whole, "node_modules/messageloop"));
  expect(entries).toEqual(expect.arrayContaining(["messageloop", "messageloop/v0"]));
  await writeFile(join(whole, "entries.ts"), importing(entries));
  await writeFile(
    join(whole, "names.mjs"),
    'import { all } from "./entries.ts";\nfor (const [entry, its] of Object.entries(all)) console.log(entry, Object.keys(its).length > 0);\n',
  );
  check(whole, ["--module", "nodenext", "--lib", "es2024", "--types", ""], "entries.ts");
  const bundler = ["--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2024,dom"];
  check(whole, [...bundler, "--types", ""], "entries.ts");
  const told = run(process.execPath, whole, "names.mjs").trim().split("\n");
  expect(told).toEqual(entries.map((entry) => `${entry} true`));
});

test("the tests of the client pass with the SDK as it is packed", async () => {
  const vitest = join(root, "node_modules/vitest/vitest.mjs");
  const env = {
    ...environment(),
    MESSAGELOOP_SDK: join(whole, "node_modules/messageloop"),
    // Random steps are about what the sources say, and are all taken there.
    MESSAGELOOP_TEST_SCALE: "0.1",
  };
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [vitest, "run", "--project", "neutral", "test/client"],
    { cwd: root, env },
  );
  // A test that prints an error says where that was thrown.
  expect(stdout + stderr).toMatch(/\/lib\/client\/core\/client\.[jt]s:/);
}, 120_000);

test("a bundle of every entry of the SDK for browsers contains nothing of Node", async () => {
  const { modules, scripts } = await entriesOf(join(whole, "node_modules/messageloop"));
  const { outputFiles, metafile } = await build({
    stdin: { contents: importing([...modules, ...scripts]), resolveDir: whole, loader: "ts" },
    bundle: true,
    format: "esm",
    platform: "browser",
    metafile: true,
    write: false,
  });
  expect(outputFiles[0]?.text).not.toMatch(/["'`]node:/);
  const imported = Object.values(metafile.outputs).flatMap(({ imports }) => imports);
  expect(imported).toEqual([]);
});

test("a program imports the SDK alone, and its compiler knows the types", async () => {
  await writeFile(
    join(sdkOnly, "probe.ts"),
    `import { createCloudEvent, dial, MessagingError } from "messageloop";
import { protobuf } from "messageloop/protobuf";

const event = createCloudEvent({ source: "/probe", type: "question" });
const refused = await dial("ws://127.0.0.1:1/ws", { connectTimeoutMs: 5_000, encoding: protobuf }).catch(
  (error: unknown) => error,
);
const code: string = refused instanceof MessagingError ? refused.code : "none";
const answer: readonly [string, string] = [event.specversion, code];
declare const console: { log(text: string): void };
console.log(answer.join(" "));
`,
  );
  // Nothing but the language: no names of a browser, and none of Node.
  check(sdkOnly, ["--module", "nodenext", "--lib", "es2024", "--types", ""], "probe.ts");
  expect(run(process.execPath, sdkOnly, "probe.ts")).toBe("1.0 UNAVAILABLE\n");
});

test("a program with React has hooks, which a server renders without connecting", async () => {
  const modules = join(whole, "node_modules");
  for (const name of ["react-dom", "@types/react-dom"]) await link(modules, name);
  await writeFile(
    join(whole, "react-probe.ts"),
    `import { createHooks } from "messageloop/react";
import { createElement } from "react";
import { renderToString } from "react-dom/server";

const { MessageLoopProvider, useChannel } = createHooks<{ "chat.*": { text: string } }>();

function Room() {
  const { messages, state } = useChannel("chat.lobby", { rewind: 5 });
  const texts: string[] = messages.map(({ data }) => data.text);
  return createElement("p", null, state, ...texts);
}

declare const console: { log(text: string): void };
console.log(renderToString(createElement(MessageLoopProvider, { url: "ws://127.0.0.1:1/ws" }, createElement(Room))));
`,
  );
  // The declarations of react-dom name what browsers and servers have.
  check(whole, ["--module", "nodenext", "--lib", "es2024,dom", "--types", ""], "react-probe.ts");
  expect(run(process.execPath, whole, "react-probe.ts")).toBe("<p>subscribing</p>\n");
  const { peerDependencies, peerDependenciesMeta } = await manifestOf(join(modules, "messageloop"));
  expect(peerDependencies).toMatchObject({ react: ">=18" });
  expect(peerDependenciesMeta).toMatchObject({ react: { optional: true } });
});

test("the built command serves, publishes and subscribes", async () => {
  const { version } = await manifestOf(join(both, "node_modules/messageloop-server"));
  const options = { cli };
  const stdout = `${version}\n`;
  expect(await runCli(["--version"], options)).toEqual({ code: 0, stdout, stderr: "" });
  const example = join(both, "node_modules/messageloop-server/config.example.yaml");
  const server = await startServer(["--config", example], options);
  const page = await fetch(`http://127.0.0.1:${server.ports.websocket}/`);
  expect([page.status, page.headers.get("content-type")]).toEqual([
    200,
    "text/html; charset=utf-8",
  ]);
  const target = ["--url", server.url];
  const subscriber = startCli(["subscribe", "room", "--count", "1", ...target], options);
  await until(subscriber, () => subscriber.stderr().length === 1);
  const published = await runCli(["publish", "room", "hello", ...target], options);
  expect(published).toMatchObject({ code: 0, stderr: "" });
  const told = await subscriber.ended;
  expect(told.code).toBe(0);
  expect(told.stdout).toMatch(/ {2}room {2}\w+-1 {2}message {2}hello\n$/);
  server.child.kill("SIGTERM");
  expect((await server.ended).code).toBe(0);
});

test.each(["npx messageloop serve", blocks("docs/quickstart.md", "sh")[0]?.trim() ?? ""])(
  "%s",
  async (command) => {
    const { files } = archiveOf(SERVER);
    expect(files.find(({ path }) => path === "lib/server/cli.js")?.mode).toBe(0o755);
    const [program = "", ...args] = command.split(" ");
    // A group of its own: npx hands no signal on to what it runs.
    const child = spawn(program, args, {
      cwd: both,
      env: { ...environment(), ...FREE_PORTS, npm_config_offline: "true" },
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    try {
      const port = await new Promise<string>((resolve, reject) => {
        let output = "";
        child.stdout.on("data", (chunk: Buffer) => {
          output += chunk.toString();
          const found = /"listener":"http".*?"port":(\d+)/.exec(output)?.[1];
          if (found !== undefined) resolve(found);
        });
        child.once("close", () => reject(new Error(`it has ended: ${output}`)));
      });
      await expect
        .poll(async () => (await fetch(`http://127.0.0.1:${port}/health/ready`)).status)
        .toBe(200);
    } finally {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
    }
    await ended;
  },
);

test("programs import the server, its ports and the Worker, and their compilers know the types", async () => {
  await writeFile(
    join(both, "probe.ts"),
    `import { createCloudEvent, dial, MessagingError } from "messageloop";
import {
  type Backends,
  createServer,
  MemoryBroker,
  MessagingError as ServerError,
  parseConfig,
  toWireEvent,
} from "messageloop-server";
import type { Broker, BrokerHandler, Cluster, Transport } from "messageloop-server/ports";
// Names and paths that exports had before.
import { createServer as before } from "messageloop/server";
import type { PatternRegistration, Proxy, Registration, Transport as Old } from "messageloop/server";

export type Before = readonly [Proxy, Registration, PatternRegistration, Old];
export type Ports = readonly [BrokerHandler, Cluster, Transport];

const addr = "127.0.0.1:0";
const config = parseConfig({
  server: { http: { addr } },
  transport: { websocket: { addr }, grpc: { addr } },
});
const broker: Broker = new MemoryBroker({
  clock: { now: () => Date.now() },
  random: { epoch: () => crypto.randomUUID() },
  nextTurn: (callback) => {
    setImmediate(callback);
  },
  timers: {
    after: (ms, callback) => {
      const timer = setTimeout(callback, ms).unref();
      return () => clearTimeout(timer);
    },
  },
});
const event = createCloudEvent({ source: "/probe", type: "answer", data: "yes" });
const backends: Backends = {
  // Whichever package a program takes it from, it is the same error.
  authorizeSubscribe: async () => {
    throw new MessagingError("ACL_ERROR", "no");
  },
  rpc: async () => toWireEvent(event),
};
const server = createServer({ config, broker, backends });
const { websocket } = await server.start();
const client = await dial(\`ws://127.0.0.1:\${websocket}/ws\`);
const answer = await client.rpc("room", "ask", event, { timeoutMs: 5_000 });
const text: string = String(answer);
const refused = await client.subscribe("room").ready.catch((error: unknown) => error);
console.log(text, refused instanceof ServerError && refused.code, before === createServer);
await client.close();
await server.stop();
`,
  );
  await writeFile(join(both, "worker.ts"), workerOf("messageloop-server/worker"));
  await writeFile(join(both, "old-worker.ts"), workerOf("messageloop/worker"));
  const node = ["--module", "nodenext", "--types", join(root, "node_modules/@types/node")];
  check(both, [...node, "--lib", "es2024"], "probe.ts");
  // What wrangler writes is no declaration of an ES module, as far as Node's rules go.
  await mkdir(join(both, "types"));
  await writeFile(join(both, "types/package.json"), '{ "type": "commonjs" }');
  const types = join(both, "types/worker-configuration.d.ts");
  const generated = await readFile(join(root, "worker-configuration.d.ts"), "utf8");
  await writeFile(types, generated.replace('typeof import("./src/worker/index")', "object"));
  const worker = ["--lib", "es2024", "--types", types, "worker.ts", "old-worker.ts"];
  check(both, ["--module", "nodenext"], ...worker);
  check(both, ["--module", "esnext", "--moduleResolution", "bundler"], ...worker);
  expect(run(process.execPath, both, "probe.ts")).toBe("yes ACL_ERROR true\n");
}, 120_000);

function workerOf(name: string): string {
  return `import { type Backends, createWorker, GatewayDurableObject as Gateway } from "${name}";

export {
  ChannelDurableObject,
  PatternDurableObject,
  StatsDurableObject,
  UserDurableObject,
} from "${name}";

export class GatewayDurableObject extends Gateway {
  protected override backends(): Backends {
    return { authenticate: async ({ token }) => ({ userId: token }) };
  }
}

export default createWorker({ fallback: () => new Response("mine") });
`;
}

/** Compiles a program strictly, the declarations that it imports included. */
function check(cwd: string, options: readonly string[], ...rest: string[]): void {
  // One checker: each of several would find out the types of all libraries by itself.
  const once = ["--noEmit", "--checkers", "1"];
  const strict = ["--strict", "--exactOptionalPropertyTypes", "--target", "es2024"];
  const libraries = ["--skipLibCheck", "false"];
  run(
    join(root, "node_modules/.bin/tsc"),
    cwd,
    ...once,
    ...strict,
    ...libraries,
    ...options,
    ...rest,
  );
}
