/**
 * Clients of server-sent events that are none of npm's: the EventSources of Deno and workerd, httpx-sse for Python and
 * r3labs/sse for Go, used as docs/sse.md says. Each resumes through a cut connection, an expired ticket and a restart of
 * the host without loss or repeat, and hears of what is lost where the host has forgotten it.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { serveWorker } from "../../bench/targets/workerd.ts";
import { wranglerOf } from "../../bench/targets/wrangler.ts";
import { setup as findRedis } from "../../scripts/redis.mjs";
import { redisServer } from "../../test/redis/servers.ts";
import { pause, type Report } from "../report.ts";
import { Between } from "./events/between.ts";
import { call, type DoorHost, type HostOptions, startHost } from "./host.ts";
import { type DoorOptions, type Workshop, workshop } from "./part.ts";

/** How long tickets are good for, in milliseconds: those that are to expire, and the others. */
const SHORT_MS = 3_000;
const LONG_MS = 600_000;
/** The longest that clients may take to hear of something, in milliseconds: the server has them wait up to 10 s. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 50;

/** What a client prints. */
interface Heard {
  readonly event: string;
  readonly text?: string;
  readonly reason?: string;
}

/** A program that reads a channel, to be started with the addresses of its events and of tickets. */
interface Program {
  readonly name: string;
  start(events: string, tickets: string): Promise<Started>;
}

interface Started {
  readonly lines: Readable;
  stop(): Promise<unknown>;
}

interface Reader {
  readonly name: string;
  readonly channel: string;
  readonly heard: readonly Heard[];
  stop(): Promise<unknown>;
}

export async function events(report: Report, { hosts, plant }: DoorOptions): Promise<void> {
  const folders: Workshop[] = [];
  try {
    const programs = await installed(report, folders);
    for (const name of hosts) {
      await keeping(name, (logs) => goOn(report, name, logs, programs, plant));
    }
    // Only a host in memory forgets.
    if (hosts.includes("server")) await miss(report, "server", programs, plant);
  } finally {
    for (const folder of folders) await folder.remove();
  }
}

async function installed(report: Report, folders: Workshop[]): Promise<Program[]> {
  const open = async (name: string): Promise<Workshop> => {
    const folder = await workshop(`events/${name}`);
    folders.push(folder);
    return folder;
  };
  const js = await open("js");
  await js.run("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
  const go = await open("go");
  await go.run("go", ["build", "-mod=readonly", "-buildvcs=false", "-o", "read", "."]);
  const python = await open("python");
  await python.run("python3", ["-m", "venv", "env"]);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  const locked = ["--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt"];
  await python.run("env/bin/python", [...pip, ...locked]);
  report.say("the clients are installed");
  const deno = ["run", "--quiet", "--no-config", "--no-lock", "--allow-net", "deno.mjs"];
  return [
    { name: "Deno", start: program(js.folder, "node_modules/.bin/deno", ...deno) },
    { name: "workerd", start: (...addresses) => inWorker(js.folder, addresses) },
    { name: "httpx-sse", start: program(python.folder, "env/bin/python", "read.py") },
    { name: "r3labs", start: program(go.folder, "./read") },
  ];
}

function program(cwd: string, file: string, ...args: readonly string[]): Program["start"] {
  return async (...addresses) => {
    // Deno's program is started by one of npm's, so both are to be stopped.
    const child = spawn(join(cwd, file), [...args, ...addresses], {
      cwd,
      detached: true,
      stdio: ["ignore", "pipe", "inherit"],
    });
    child.once("spawn", () => running.add(child));
    child.once("exit", () => running.delete(child));
    return { lines: child.stdout, stop: () => ended(child) };
  };
}

/** Programs that would go on without the check, since each is a group of its own. */
const running = new Set<ChildProcess>();
process.once("exit", () => running.forEach(kill));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

async function ended(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  kill(child);
  await exit;
}

function kill({ pid }: ChildProcess): void {
  if (pid !== undefined) process.kill(-pid, "SIGKILL");
}

async function inWorker(folder: string, [events, tickets]: [string, string]): Promise<Started> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const { terms } = wranglerOf(root);
  const modules = {
    "worker.mjs": await readFile(join(folder, "worker.mjs"), "utf8"),
    "read.mjs": await readFile(join(folder, "read.mjs"), "utf8"),
  };
  const worker = await serveWorker({ modules, objects: [], callsOut: true, ...terms });
  const query = new URLSearchParams({ events, tickets });
  const { body } = await fetch(`http://127.0.0.1:${worker.port}/?${query}`);
  return { lines: Readable.from(body ?? []), stop: () => worker.stop() };
}

/** Has a host that keeps its logs. */
async function keeping(name: string, work: (logs: HostOptions) => Promise<void>): Promise<void> {
  if (name === "worker") {
    const folder = await mkdtemp(join(tmpdir(), "messageloop-doors-"));
    try {
      await work({ folder });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    return;
  }
  findRedis();
  const redis = await redisServer();
  try {
    await work({ redis: redis.url });
  } finally {
    await redis.stop();
  }
}

/** A cut, an expired ticket and a restart, and a message in each of them. */
async function goOn(
  report: Report,
  name: string,
  logs: HostOptions,
  programs: readonly Program[],
  plant: boolean,
): Promise<void> {
  await scene(name, logs, programs, plant, async (world) => {
    world.ticketMs = SHORT_MS;
    await world.begin();
    await world.publish("1", "2");
    await pause(SHORT_MS);
    world.ticketMs = LONG_MS;
    // A request with the same ticket gets 204 and stops, and one with another ticket goes on.
    world.between.cut();
    await world.publish("3");
    world.between.cut();
    await world.publish("4");
    await world.restart("5");
    await world.publish("6");
    for (const { name: client, channel, heard } of world.readers) {
      const texts = textsOf(heard);
      const asked = world.between.asked.filter((one) => one.channel === channel);
      const header = asked.filter(({ byHeader }) => byHeader !== undefined).length;
      const address = asked.filter(({ byAddress }) => byAddress !== undefined).length;
      const stopped = asked.filter(({ status }) => status === 204).length;
      const gaps = heard.filter(({ event }) => event === "gap");
      const holds =
        texts.join() === "1,2,3,4,5,6" && gaps.length === 0 && header > 0 && stopped > 0;
      report.expect(
        holds,
        [
          `${name}, ${client}: heard ${texts.join(" ")} of 1 to 6 through an expired ticket, a cut and a restart`,
          `in ${asked.length} requests, ${header} with a position in the header and ${address} with one in the address, ${stopped} answered 204`,
          ...(holds ? [] : [JSON.stringify({ heard, asked })]),
        ].join("; "),
      );
    }
  });
}

/** A restart of a host that forgets. */
async function miss(
  report: Report,
  name: string,
  programs: readonly Program[],
  plant: boolean,
): Promise<void> {
  await scene(name, {}, programs, plant, async (world) => {
    await world.begin();
    await world.publish("1");
    await world.restart();
    await world.hear(({ heard }) => heard.some(({ event }) => event === "gap"));
    await world.publish("2");
    for (const { name: client, heard } of world.readers) {
      const texts = textsOf(heard);
      const gaps = heard.flatMap(({ event, reason }) => (event === "gap" ? [reason] : []));
      const after = heard.slice(heard.findIndex(({ event }) => event === "gap"));
      const holds = texts.join() === "1,2" && gaps.length === 1 && textsOf(after).join() === "2";
      const told = `${name} in memory, ${client}: a restart is told of by ${gaps.length} gap (${gaps.join()}), heard ${texts.join(" ")}`;
      report.expect(holds, holds ? told : `${told}; ${JSON.stringify(heard)}`);
    }
  });
}

function textsOf(heard: readonly Heard[]): (string | undefined)[] {
  return heard.flatMap(({ event, text }) => (event === "message" ? [text] : []));
}

async function scene(
  name: string,
  logs: HostOptions,
  programs: readonly Program[],
  plant: boolean,
  play: (world: World) => Promise<void>,
): Promise<void> {
  const world = new World(name, logs, programs, plant);
  try {
    await play(world);
  } finally {
    await world.end();
  }
}

/** A host, the clients, the network between them, and where clients get tickets. */
class World {
  ticketMs = LONG_MS;
  readonly between: Between;
  readonly readers: Reader[] = [];
  readonly #name: string;
  readonly #logs: HostOptions;
  readonly #programs: readonly Program[];
  readonly #tickets = createServer((request, response) => {
    const channel = new URL(request.url ?? "", "http://check").searchParams.get("channel");
    const call = { user_id: "ada", channels: [channel], ttl_ms: this.ticketMs };
    this.#call("CreateTicket", call).then(
      ({ ticket }) => response.end(ticket),
      // The host is away.
      () => response.writeHead(503).end(),
    );
  });
  #host: DoorHost | undefined;
  #sent = 0;

  constructor(name: string, logs: HostOptions, programs: readonly Program[], plant: boolean) {
    this.#name = name;
    this.#logs = logs;
    this.#programs = programs;
    this.between = new Between(plant);
  }

  async begin(): Promise<void> {
    await new Promise<void>((resolve) => this.#tickets.listen(0, "127.0.0.1", resolve));
    await this.#start();
    const { port } = this.#tickets.address() as AddressInfo;
    for (const { name, start } of this.#programs) {
      const channel = `check.${name}`;
      const path = `/channels/${encodeURIComponent(channel)}/events`;
      const tickets = `http://127.0.0.1:${port}/?channel=${channel}`;
      const { lines, stop } = await start(this.between.origin + path, tickets);
      const heard: Heard[] = [];
      createInterface({ input: lines })
        .on("line", (line) => heard.push(JSON.parse(line)))
        // The end of a program that is answered by a Worker.
        .on("error", () => {});
      this.readers.push({ name, channel, heard, stop });
    }
    await this.hear(({ heard }) => heard.some(({ event }) => event === "subscribed"));
  }

  /** Has everybody hear texts, one after the other. */
  async publish(...texts: readonly string[]): Promise<void> {
    await this.#publish(texts);
    await this.#heardAll();
  }

  /** @param texts published before anybody is back */
  async restart(...texts: readonly string[]): Promise<void> {
    await this.between.close();
    await this.#host?.stop();
    this.#host = undefined;
    await this.#start(async () => {
      await this.#publish(texts);
    });
    await this.#heardAll();
  }

  /** Waits until it holds for everybody, or for as long as it may take; verdicts come later. */
  async hear(holds: (reader: Reader) => boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!this.readers.every(holds) && performance.now() < deadline) await pause(LOOK_MS);
  }

  async end(): Promise<void> {
    for (const { stop } of this.readers) await stop();
    if (this.#host !== undefined) await this.between.close();
    await this.#host?.stop();
    this.#tickets.closeAllConnections();
    await new Promise((resolve) => this.#tickets.close(resolve));
  }

  async #start(before: () => Promise<void> = async () => {}): Promise<void> {
    this.#host = await startHost(this.#name, this.#logs);
    await before();
    await this.between.open(this.#host.http);
  }

  async #publish(texts: readonly string[]): Promise<void> {
    for (const text of texts) {
      this.#sent += 1;
      const payload = { id: text, source: "/check", type: "note", text_data: text };
      await this.#call("Publish", {
        publications: this.readers.map(({ channel }) => ({
          destination: { channels: [channel] },
          payload,
        })),
      });
    }
  }

  async #heardAll(): Promise<void> {
    await this.hear(({ heard }) => textsOf(heard).length >= this.#sent);
  }

  async #call(method: string, request: unknown): Promise<{ ticket?: string }> {
    if (this.#host === undefined) throw new Error("the host is away");
    return await call(this.#host, method, request);
  }
}
