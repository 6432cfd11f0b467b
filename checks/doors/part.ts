/** What parts of check:doors have in common. */
import { spawn } from "node:child_process";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Report } from "../report.ts";

export interface DoorOptions {
  /** Which hosts are looked at: `server`, `worker`. */
  readonly hosts: readonly string[];
  /** Builds in a fault, which the part has to find. */
  readonly plant: boolean;
}

export type DoorPart = (report: Report, options: DoorOptions) => Promise<void>;

/** A copy of a folder beside this file, where things may be installed. */
export interface Workshop {
  readonly folder: string;
  /** Runs a program in it, and resolves with what it prints. @throws Error where it fails */
  run(
    program: string,
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Promise<string>;
  /** The same, in a folder inside of it, and what it prints on both ways, however it ends. */
  outcome(
    program: string,
    args: readonly string[],
    where?: { readonly folder?: string; readonly env?: Readonly<Record<string, string>> },
  ): Promise<Outcome>;
  remove(): Promise<void>;
}

export interface Outcome {
  /** Exit code; null where a signal has ended it. */
  readonly code: number | null;
  readonly output: string;
}

/** @param name of the folder beside this file, such as `cloudevents/go` */
export async function workshop(name: string): Promise<Workshop> {
  const folder = await mkdtemp(join(tmpdir(), "messageloop-doors-"));
  await cp(fileURLToPath(new URL(name, import.meta.url)), folder, { recursive: true });
  return {
    folder,
    run: async (program, args, env) => {
      const { code, stdout, stderr } = await run(program, args, folder, env);
      if (code === 0) return stdout;
      const command = [program, ...args].join(" ");
      throw new Error(`${command} ended with ${code}:\n${stderr || stdout}`);
    },
    outcome: async (program, args, { folder: inner = ".", env = {} } = {}) => {
      const { code, output } = await run(program, args, join(folder, inner), env);
      return { code, output };
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function run(
  program: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome & { readonly stdout: string; readonly stderr: string }> {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr, output] = ["", "", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    output += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    output += text;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve);
    child.once("error", () => reject(new Error(`${program} is needed for this part`)));
  });
  return { code, stdout, stderr, output };
}
