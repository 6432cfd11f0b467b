/**
 * `npm run check:templates`: the path of a stranger, from the packed files and in a fresh folder. `create-messageloop` makes a
 * project of each template, two commands install and start it, two talk, the server is restarted, and nothing is lost.
 */
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { setup as findChromium } from "../scripts/chromium.mjs";
import { setup as findRedis } from "../scripts/redis.mjs";
import { redisServer } from "../test/redis/servers.ts";
import { type Archive, packInto, run } from "../test/support/packed.ts";
import { settledPort } from "../test/support/ports.ts";
import { Report } from "./report.ts";
import { browsers, type People, programs } from "./templates/people.ts";
import { installed, make, pin, start } from "./templates/project.ts";

/** What a template runs on, and who talks there. */
interface Host {
  /** Of the page, of the WebSocket and of health. */
  readonly urls: { readonly page: string; readonly socket: string; readonly health: string };
  readonly env?: Readonly<Record<string, string>>;
  /** What somebody changes in package.json who wants other ports. */
  change?(text: string): string;
  enter(place: string): Promise<People>;
  /** Loses all that the server has kept: a planted fault. */
  forget(place: string): Promise<unknown>;
  stop?(): Promise<void>;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { plant: { type: "boolean", default: false } },
});

const HOSTS: Readonly<Record<string, () => Promise<Host>>> = {
  worker: async () => await onWorkers((place, { socket }) => programs(place, socket)),
  "self-hosted": onRedis,
  chat: async () => {
    findChromium();
    return await onWorkers((_, { page }) => browsers(page));
  },
};

const report = new Report("templates");
const folder = await realpath(await mkdtemp(join(tmpdir(), "messageloop-templates-")));
try {
  const archives = await packInto(folder);
  report.say(`packed  ${archives.map(({ filename }) => filename).join(" ")}`);
  for (const name of positionals.length > 0 ? positionals : Object.keys(HOSTS)) {
    await report.part(name, async () => {
      const host = HOSTS[name];
      if (host === undefined) throw new Error(`there are ${Object.keys(HOSTS).join(", ")}`);
      await walk(archives, name, await host());
    });
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
report.end();

async function onWorkers(
  enter: (place: string, urls: Host["urls"]) => Promise<People>,
): Promise<Host> {
  const port = await settledPort("worker");
  const page = `http://127.0.0.1:${port}/`;
  const urls = { page, socket: `ws://127.0.0.1:${port}/ws`, health: `${page}health/ready` };
  return {
    urls,
    change: (text) => text.replace("--port 9080", `--port ${port} --inspector-port 0`),
    enter: (place) => enter(place, urls),
    forget: (place) => rm(join(place, ".wrangler"), { recursive: true }),
  };
}

async function onRedis(): Promise<Host> {
  findRedis();
  const redis = await redisServer({ appendonly: "yes", appendfsync: "always" });
  const [socket, grpc, http] = await Promise.all([1, 2, 3].map(() => settledPort("serve")));
  const urls = {
    page: `http://127.0.0.1:${socket}/`,
    socket: `ws://127.0.0.1:${socket}/ws`,
    health: `http://127.0.0.1:${http}/health/ready`,
  };
  return {
    urls,
    env: {
      MESSAGELOOP_BROKER_REDIS_ADDR: `127.0.0.1:${redis.port}`,
      MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR: `127.0.0.1:${socket}`,
      MESSAGELOOP_TRANSPORT_GRPC_ADDR: `127.0.0.1:${grpc}`,
      MESSAGELOOP_SERVER_HTTP_ADDR: `127.0.0.1:${http}`,
    },
    enter: (place) => programs(place, urls.socket),
    forget: () => redis.command("FLUSHALL"),
    stop: () => redis.stop(),
  };
}

/** Create, install, start, talk, restart, and look whether all is there. */
async function walk(archives: readonly Archive[], template: string, host: Host): Promise<void> {
  try {
    const terms = { archives, folder, template };
    const place = make(terms);
    const differing = await pin(place, terms, host.change ?? ((text) => text));
    report.expect(
      differing.length === 0,
      `${template} names the versions that were packed: ${differing.join(" ") || "all"}`,
    );
    run("npm", place, "install", "--no-audit", "--no-fund");
    report.say(`installed  ${(await installed(place)).join(" ")}`);
    run("npm", place, "run", "check");
    report.expect(true, `${template}: npm run check has no complaint`);
    await talk(place, template, host);
  } finally {
    await host.stop?.();
  }
}

async function talk(place: string, template: string, host: Host): Promise<void> {
  const { health, page } = host.urls;
  const env = host.env ?? {};
  const judge = (who: string, seen: readonly string[], wanted: readonly string[]): void =>
    report.expect(
      seen.join() === wanted.join(),
      `${template}: ${who} has ${seen.length} of ${wanted.length} messages, in order: ${seen.join(", ")}`,
    );
  let server = await start(place, health, env);
  let people: People | undefined;
  try {
    report.expect(true, `${template}: npm start, and ${new URL(health).pathname} answers 200`);
    const html = await (await fetch(page)).text();
    report.expect(html.startsWith("<!doctype html>"), `${template}: there is a page`);
    people = await host.enter(place);
    const [ann, ben] = [await people.enter("ann"), await people.enter("ben")];
    await ann.say("one");
    judge("ben, before the restart,", await ben.seen(1), ["one"]);
    await ben.say("two");
    judge("ann, before the restart,", await ann.seen(2), ["one", "two"]);
    await server.stop();
    await ann.say("three");
    if (values.plant) await host.forget(place);
    server = await start(place, health, env);
    judge("ben, after the restart,", await ben.seen(3), ["one", "two", "three"]);
    await ben.say("four");
    const all = ["one", "two", "three", "four"];
    judge("ann, after the restart,", await ann.seen(4), all);
    judge("ben, in the end,", await ben.seen(4), all);
    const cat = await people.enter("cat");
    judge("cat, who comes in last,", await cat.seen(4), all);
  } finally {
    await people?.leave();
    await server.stop();
  }
}
