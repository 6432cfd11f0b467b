/** The SDK in a runtime, through a proxy that lets no WebSocket through, loses answers and cuts connections. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { resolve as pathOf } from "node:path";
import { createInterface } from "node:readline";
import { HttpProxy } from "../../test/support/http-proxy.ts";
import type { Sample } from "../doors/clients.ts";
import { call, type DoorHost } from "../doors/host.ts";
import { pause, type Report } from "../report.ts";

const KINDS = ["json", "protobuf", "fallback", "events"] as const;
const ROUNDS = 3;
const BURST = 10;
/** How long the program may take to hear of something, or to end, in milliseconds. */
const PATIENCE_MS = 60_000;
const LOOK_MS = 20;

/** Every message is heard once and in order, and the process ends by itself. */
export async function streams(
  report: Report,
  host: DoorHost,
  sample: Sample,
  plant: boolean,
): Promise<void> {
  for (const kind of KINDS) await talk(report, host, sample, kind, plant);
}

async function talk(
  report: Report,
  host: DoorHost,
  { name, folder, command }: Sample,
  kind: (typeof KINDS)[number],
  plant: boolean,
): Promise<void> {
  const channel = `stream.${name}.${kind}`;
  const proxy = await HttpProxy.to(Number(new URL(host.http).port));
  proxy.upgrades = "refuse";
  const [program, ...args] = command;
  const terms = [kind, `${proxy.origin}/ws`, channel, host.key];
  const child = spawn(pathOf(folder, program), [...args, ...terms], {
    cwd: folder,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  const until = async (count: number): Promise<void> => {
    const deadline = performance.now() + PATIENCE_MS;
    while (lines.length < count && performance.now() < deadline) await pause(LOOK_MS);
  };
  const said: string[] = [];
  try {
    await until(1);
    for (let round = 0; round < ROUNDS; round++) {
      const texts = Array.from({ length: 3 * BURST }, (_, i) => `${round}.${i}`);
      await publish(host, channel, texts.slice(0, BURST));
      // Who only reads has its part said by the application's backend.
      const own = texts.slice(BURST, 2 * BURST);
      if (kind === "events") await publish(host, channel, own);
      else child.stdin.write(`${own.join("\n")}\n`);
      proxy.losing = { path: "/Send", times: round };
      proxy.cut();
      await publish(host, channel, texts.slice(2 * BURST));
      said.push(...texts);
      await until(1 + said.length);
    }
    child.stdin.write("end\n");
    const late = AbortSignal.timeout(PATIENCE_MS);
    late.addEventListener("abort", () => child.kill("SIGKILL"));
    const [exit] = (await ended) as [number | null];
    const heard = lines.slice(1);
    const { messages = [] } = await call<History>(host, "History", { channel });
    const log = messages.map(({ payload }) => payload.text_data);
    if (plant) heard.splice(1, 1);
    const holds =
      heard.join() === log.join() &&
      heard.toSorted().join() === said.toSorted().join() &&
      exit === 0;
    report.expect(
      holds,
      `${name}, ${kind}: heard ${heard.length} of ${said.length} messages in the order of the log, ended with ${exit}`,
    );
    if (!holds) report.say(`log: ${log.join(" ")}; heard: ${heard.join(" ")}`);
  } finally {
    child.kill("SIGKILL");
    await proxy.stop();
  }
}

interface History {
  readonly messages?: readonly { readonly payload: { readonly text_data?: string } }[];
}

async function publish(host: DoorHost, channel: string, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    const payload = { id: text, source: "/check", type: "note", text_data: text };
    await call(host, "Publish", {
      publications: [{ destination: { channels: [channel] }, payload }],
    });
  }
}
