/**
 * The sample clients of docs/clients.md, in Go and Python: what they publish and what they are sent arrives once and in the
 * order of the log, through a connection that is cut in the middle, a time without one, and a close that says to come back.
 * They stay away after one that says so.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { resolve as pathOf } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { eventually } from "../../test/support/eventually.ts";
import { pause, type Report } from "../report.ts";
import { Between } from "./events/between.ts";
import { call, type DoorHost, startHost } from "./host.ts";
import { type DoorOptions, type Workshop, workshop } from "./part.ts";

/** How long a client may take to hear of something, in milliseconds. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 20;
/** Messages of each burst. All of them fit into a channel's history, which holds 256. */
const BURST = 50;
const TOTAL = 4 * BURST + 2;

/** A program that is called with the address of the server and a channel. */
export interface Sample {
  readonly name: string;
  readonly folder: string;
  readonly command: readonly [string, ...string[]];
}

export async function clients(report: Report, { hosts, plant }: DoorOptions): Promise<void> {
  const folders: Workshop[] = [];
  try {
    const samples = await installed(report, folders);
    for (const name of hosts) {
      const host = await startHost(name);
      try {
        for (const sample of samples) await live(report, host, sample, plant);
      } finally {
        await host.stop();
      }
    }
  } finally {
    for (const folder of folders) await folder.remove();
  }
}

async function installed(report: Report, folders: Workshop[]): Promise<Sample[]> {
  const open = async (name: string): Promise<Workshop> => {
    const folder = await workshop(`../../examples/clients/${name}`);
    folders.push(folder);
    return folder;
  };
  const go = await open("go");
  await go.run("go", ["vet", "."]);
  await go.run("go", ["build", "-mod=readonly", "-buildvcs=false", "-o", "client", "."]);
  const python = await open("python");
  await python.run("python3", ["-m", "venv", "env"]);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  const locked = ["--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt"];
  await python.run("env/bin/python", [...pip, ...locked]);
  report.say("the samples are built");
  return [
    { name: "Go", folder: go.folder, command: ["./client"] },
    { name: "Python", folder: python.folder, command: ["env/bin/python", "client.py"] },
  ];
}

export async function live(
  report: Report,
  host: DoorHost,
  sample: Sample,
  plant: boolean,
): Promise<void> {
  const life = new Life(host, sample);
  try {
    await life.begin();
    // Whoever has heard one message publishes too.
    await life.publish("first", 1);
    await life.catchUp();
    // Both publish, and the connection is cut before the client has heard of any of it.
    life.between.mute();
    life.write("a");
    await life.publish("b", BURST);
    await life.logged(1 + 2 * BURST);
    life.between.cut();
    await life.catchUp();
    // Nobody answers for a while, and meanwhile both go on.
    await life.between.close();
    life.write("c");
    await life.publish("d", BURST);
    if (plant) await life.call("RemoveHistory", {});
    await life.between.open(host.http);
    await life.logged(1 + 4 * BURST);
    await life.catchUp();
    const before = life.between.joined;
    await life.disconnect(3000);
    await life.publish("last", 1);
    await life.logged(TOTAL);
    await life.catchUp();
    const back = life.between.joined - before;
    await life.disconnect(4500);
    const exit = await life.exit();
    const log = await life.log();
    const { heard } = life;
    const twice = heard.length - new Set(heard).size;
    const holds = log.length === TOTAL && heard.join() === log.join() && back === 1 && exit === 1;
    report.expect(
      holds,
      [
        `${host.name}, ${sample.name}: heard ${heard.length} of ${TOTAL} messages in the order of the log, ${twice} of them twice, through ${life.between.joined} connections`,
        `came back ${back} times after 3000; ended with ${exit} after 4500`,
        ...(holds ? [] : [`log: ${log.join(" ")}`, `heard: ${heard.join(" ")}`, life.errors]),
      ].join("; "),
    );
  } finally {
    await life.end();
  }
}

/** A sample that runs, the network between it and the host, and the application's backend. */
class Life {
  readonly between = new Between(false);
  readonly channel: string;
  readonly heard: string[] = [];
  errors = "";
  readonly #host: DoorHost;
  readonly #sample: Sample;
  #child: ChildProcessByStdio<Writable, Readable, Readable> | undefined;
  #exit: Promise<number | null> | undefined;

  constructor(host: DoorHost, sample: Sample) {
    this.#host = host;
    this.#sample = sample;
    this.channel = `check.${sample.name}`;
  }

  async begin(): Promise<void> {
    await this.between.open(this.#host.http);
    const { folder, command } = this.#sample;
    const [program, ...args] = command;
    const address = `${this.between.origin.replace("http", "ws")}/ws`;
    const child = spawn(pathOf(folder, program), [...args, address, this.channel], {
      cwd: folder,
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child = child;
    this.#exit = new Promise((resolve, reject) => {
      child.once("exit", resolve).once("error", reject);
    });
    createInterface({ input: child.stdout }).on("line", (line) => this.heard.push(line));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text;
    });
    await eventually(() => this.#sessions(), isFilled, PATIENCE_MS);
  }

  /** Has the client publish a burst. */
  write(name: string): void {
    this.#child?.stdin.write(texts(name, BURST).join("\n").concat("\n"));
  }

  /** Has the application's backend publish. */
  async publish(name: string, count: number): Promise<void> {
    for (const text of texts(name, count)) {
      const payload = { id: text, source: "/check", type: "note", text_data: text };
      const destination = { channels: [this.channel] };
      await call(this.#host, "Publish", { publications: [{ destination, payload }] });
    }
  }

  async call<T>(method: string, request: object): Promise<T> {
    return await call<T>(this.#host, method, { channel: this.channel, ...request });
  }

  /** Waits until so many messages have been published. */
  async logged(count: number): Promise<void> {
    const look = (): Promise<Page> => this.call("History", { limit: 0 });
    await eventually(look, (page) => Number(page.position?.offset ?? 0) >= count, PATIENCE_MS);
  }

  /** Waits until the client has heard everything, or for as long as it may take; the verdict comes later. */
  async catchUp(): Promise<void> {
    const { position } = await this.call<Page>("History", { limit: 0 });
    const deadline = performance.now() + PATIENCE_MS;
    const all = Number(position?.offset ?? 0);
    while (this.heard.length < all && performance.now() < deadline) await pause(LOOK_MS);
  }

  async disconnect(code: number): Promise<void> {
    const sessions = await this.#sessions();
    await call(this.#host, "Disconnect", { sessions, code, reason: "check" });
  }

  /** Exit code of the client. */
  async exit(): Promise<number | null | undefined> {
    const late = AbortSignal.timeout(PATIENCE_MS);
    late.addEventListener("abort", () => this.#child?.kill("SIGKILL"));
    return await this.#exit;
  }

  async log(): Promise<(string | undefined)[]> {
    const { messages = [] } = await this.call<Page>("History", {});
    return messages.map(({ payload }) => payload.text_data);
  }

  async end(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.between.close();
  }

  async #sessions(): Promise<string[]> {
    const { members = [] } = await this.call<Members>("Presence", {});
    return members.map(({ session_id }) => session_id);
  }
}

interface Page {
  readonly messages?: readonly { readonly payload: { readonly text_data?: string } }[];
  readonly position?: { readonly offset?: string };
}

interface Members {
  readonly members?: readonly { readonly session_id: string }[];
}

function isFilled(list: readonly unknown[]): boolean {
  return list.length > 0;
}

function texts(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${name}${i + 1}`);
}
