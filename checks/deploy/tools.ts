/** Programs that the check runs. */
import { spawnSync } from "node:child_process";

export interface Outcome {
  readonly ok: boolean;
  /** What it printed, on both ways. */
  readonly said: string;
}

/** Runs a program, however it ends. */
export function outcome(program: string, args: readonly string[], cwd?: string): Outcome {
  const options = { encoding: "utf8", maxBuffer: 64 << 20, ...(cwd === undefined ? {} : { cwd }) };
  const { status, stdout, stderr, error } = spawnSync(program, [...args], options as never);
  return { ok: status === 0, said: `${stdout ?? ""}${stderr ?? ""}${error ?? ""}`.trim() };
}

/** Runs a program, and returns what it prints. @throws Error where it fails */
export function output(program: string, args: readonly string[], cwd?: string): string {
  const { ok, said } = outcome(program, args, cwd);
  if (!ok) throw new Error(`${[program, ...args].join(" ")}:\n${said}`);
  return said;
}
