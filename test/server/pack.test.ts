/**
 * The package as others install it: packed out of a copy of the repository, since packing builds
 * anew and other tests use what is built here.
 */
import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli, startCli, startServer, until } from "./process.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
/** What is no source, or of no use to the build. */
const LEFT_OUT = new Set([".git", ".wrangler", "bench", "dist", "node_modules", "test"]);

let folder: string;
/** The unpacked package, beside a node_modules that has what it depends on. */
let unpacked: string;
let cli: string;
let packed: readonly { readonly path: string; readonly mode: number }[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "messageloop-pack-"));
  const copy = join(folder, "copy");
  await mkdir(copy);
  for (const name of await readdir(root)) {
    if (!LEFT_OUT.has(name)) await cp(join(root, name), join(copy, name), { recursive: true });
  }
  await symlink(join(root, "node_modules"), join(copy, "node_modules"));
  // What an earlier build has left must not come along.
  await mkdir(join(copy, "dist/lib/stale"), { recursive: true });
  await writeFile(join(copy, "dist/lib/stale/old.js"), "");
  run("npm", copy, "pack", "--pack-destination", folder);
  const archive = (await readdir(folder)).find((name) => name.endsWith(".tgz")) ?? "";
  run("tar", folder, "-xzf", archive);
  unpacked = join(folder, "package");
  cli = join(unpacked, "dist/lib/server/cli.js");
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  packed = listed(run("tar", folder, "-tvzf", archive));
}, 60_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

test("the package has what it needs and nothing else", () => {
  const paths = packed.map(({ path }) => path);
  expect(paths).toEqual(
    expect.arrayContaining([
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "SPEC.md",
      "config.example.yaml",
      "dist/lib/index.d.ts",
      "dist/lib/index.js",
      "dist/lib/protocol/gen/messageloop/v1/service_pb.js",
      "dist/lib/server/index.d.ts",
      "dist/lib/server/index.js",
      "dist/page/index.html",
      "dist/page/main.js",
      "docs/limits.md",
      "package.json",
      "proto/messageloop/v1/service.proto",
    ]),
  );
  const expected = /^(dist\/(lib|page)|docs|proto)\/|^[\w.]+\.(md|json|yaml)$|^LICENSE$/;
  expect(paths.filter((path) => !expected.test(path))).toEqual([]);
  const unwanted = /\.tsbuildinfo$|\/stale\/|\.test\.|^package-lock/;
  expect(paths.filter((path) => unwanted.test(path))).toEqual([]);
});

test("the command can be run", async () => {
  const { bin } = await manifest();
  expect(bin).toEqual({ messageloop: "./dist/lib/server/cli.js" });
  expect(packed.find(({ path }) => path === "dist/lib/server/cli.js")?.mode).toBe(0o755);
  expect((await readFile(cli, "utf8")).split("\n", 1)).toEqual(["#!/usr/bin/env node"]);
});

test("the built command serves, publishes and subscribes", async () => {
  const { version } = await manifest();
  expect(await runCli(["--version"], { cli })).toEqual({
    code: 0,
    stdout: `${version}\n`,
    stderr: "",
  });
  const server = await startServer(["--config", join(unpacked, "config.example.yaml")], { cli });
  const page = await fetch(`http://127.0.0.1:${server.ports.websocket}/`);
  expect([page.status, page.headers.get("content-type")]).toEqual([
    200,
    "text/html; charset=utf-8",
  ]);
  const target = ["--url", server.url];
  const subscriber = startCli(["subscribe", "room", "--count", "1", ...target], { cli });
  await until(subscriber, () => subscriber.stderr().length === 1);
  const published = await runCli(["publish", "room", "hello", ...target], { cli });
  expect(published).toMatchObject({ code: 0, stderr: "" });
  const { code, stdout } = await subscriber.ended;
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    channel: "room",
    offset: 1,
    event: { data: "hello" },
  });
  server.child.kill("SIGTERM");
  expect((await server.ended).code).toBe(0);
});

test("programs import SDK, server and Worker, and their compilers know the types", async () => {
  await writeFile(
    join(unpacked, "probe.ts"),
    `import { createCloudEvent, dial } from "messageloop";
import { type Backends, createServer, parseConfig, toWireEvent } from "messageloop/server";
import type { PatternRegistration, Proxy, Registration } from "messageloop/server";

const addr = "127.0.0.1:0";
const config = parseConfig({
  server: { http: { addr } },
  transport: { websocket: { addr }, grpc: { addr } },
});
const event = createCloudEvent({ source: "/probe", type: "answer", data: "yes" });
const backends: Backends = { rpc: async () => toWireEvent(event) };
// Names that exports had before.
export type Before = readonly [Proxy, Registration, PatternRegistration];
const server = createServer({ config, backends });
const { websocket } = await server.start();
const client = await dial(\`ws://127.0.0.1:\${websocket}/ws\`);
const answer = await client.rpc("room", "ask", event, { timeoutMs: 5_000 });
const text: string = String(answer.data);
console.log(text);
await client.close();
await server.stop();
`,
  );
  await writeFile(
    join(unpacked, "worker.ts"),
    `import { type Backends, createWorker, GatewayDurableObject as Gateway } from "messageloop/worker";

export { ChannelDurableObject, PatternDurableObject } from "messageloop/worker";

export class GatewayDurableObject extends Gateway {
  protected override backends(): Backends {
    return { authenticate: async ({ token }) => ({ userId: token }) };
  }
}

export default createWorker({ fallback: () => new Response("mine") });
`,
  );
  const strict = ["--strict", "--noEmit", "--target", "es2024"];
  const tsc = join(root, "node_modules/.bin/tsc");
  const node = ["--module", "nodenext", "--types", "node", "--skipLibCheck"];
  run(tsc, unpacked, ...strict, ...node, "probe.ts");
  // Here the libraries' declarations are looked into as well, ours among them.
  const types = join(unpacked, "worker-configuration.d.ts");
  const generated = await readFile(join(root, "worker-configuration.d.ts"), "utf8");
  await writeFile(types, generated.replace('typeof import("./src/worker/index")', "object"));
  const bundled = ["--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2024"];
  run(tsc, unpacked, ...strict, ...bundled, "--types", types, "worker.ts");
  expect(run(process.execPath, unpacked, "probe.ts")).toBe("yes\n");
});

async function manifest(): Promise<{ version: string; bin: unknown }> {
  return JSON.parse(await readFile(join(unpacked, "package.json"), "utf8")) as {
    version: string;
    bin: unknown;
  };
}

/** Files of an archive out of tar's long listing. */
function listed(text: string): { path: string; mode: number }[] {
  return text
    .trim()
    .split("\n")
    .map((line) => ({
      path: line.replace(/^.* package\//, ""),
      mode: [...line.slice(1, 10)].reduce((sum, bit) => sum * 2 + (bit === "-" ? 0 : 1), 0),
    }));
}

/** Runs a tool to its end, with the Node that runs this test; returns what it printed. */
function run(command: string, cwd: string, ...args: string[]): string {
  const path = [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter);
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, PATH: path, npm_config_update_notifier: "false" },
  });
  if (status !== 0) throw new Error(`${command} failed: ${error ?? ""}\n${stdout}${stderr}`);
  return stdout;
}
