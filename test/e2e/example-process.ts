/** An example as its README starts it: a process of its own, beside a server that is there. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { eventually } from "../support/eventually.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const PATIENCE_MS = 60_000;

export interface RunningExample {
  /** Of its page. */
  readonly url: string;
  /** What it has printed so far. */
  output(): string;
  stop(): Promise<void>;
}

/** @param env where MessageLoop is, among others */
export async function startExample(
  name: string,
  port: number,
  env: Readonly<Record<string, string>>,
): Promise<RunningExample> {
  const child = spawn(process.execPath, ["examples/start.ts", name], {
    cwd: root,
    env: { ...process.env, CI: "1", ...env, PORT: `${port}` },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
  };
  const url = `http://localhost:${port}`;
  const answers = async (): Promise<boolean> => {
    if (child.exitCode !== null) throw new Error(`the example ${name} has ended:\n${output}`);
    return (await fetch(url).catch(() => undefined))?.status === 200;
  };
  try {
    await eventually(answers, Boolean, PATIENCE_MS);
  } catch (error) {
    await stop();
    throw new Error(`the example ${name} does not answer:\n${output}`, { cause: error });
  }
  return { url, output: () => output, stop };
}
