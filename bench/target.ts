/** A program under test, in a process of its own, and what its processes have taken from the machine. */
import type { ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type { DialectSpec } from "./dialect.ts";

export interface Target {
  /** As in the table: "messageloop", "bare-turns", "room", "socket.io". */
  readonly name: string;
  /** What its clients speak, unless a row says something else. */
  readonly dialect: DialectSpec;
  /** Starts it afresh on free loopback ports. */
  start(): Promise<Running>;
}

export interface Running {
  readonly port: number;
  /** All its processes, for CPU and memory. */
  readonly pids: readonly number[];
  /** Of a target of two nodes: what it has beside the first one, which has `port`. */
  readonly nodes?: Nodes;
  /** SIGTERM, and SIGKILL after 5 s. */
  stop(): Promise<void>;
  /** Keeps it busy for so long before each publish, in nanoseconds. Only of a server that is made to be slowed down. */
  burden?(ns: number): Promise<void>;
}

export interface Nodes {
  /** Port of the second node. */
  readonly second: number;
  /** Ends the first node as `stop` does. */
  stopFirst(): Promise<void>;
  /** Starts it again on its port, with what it shares with the second one. */
  startFirst(): Promise<void>;
}

/** @throws Error where the target has one node */
export function nodesOf({ nodes }: Running): Nodes {
  if (nodes === undefined) throw new Error("the target has no second node");
  return nodes;
}

const STOP_MS = 5_000;

/** Time on a CPU of all threads of the processes: the scheduler's own count, in nanoseconds. */
export function cpuOf(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids) {
    const tasks = `/proc/${pid}/task`;
    for (const task of readdirSync(tasks)) {
      sum += Number(readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ")[0]);
    }
  }
  return sum;
}

/** Resident memory of the processes, in bytes. */
export function residentOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return sum + Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1_024;
  }, 0);
}

/** Ends a process as `Running.stop` says, and resolves when it is gone. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await gone;
  clearTimeout(late);
}

/** The port that a program prints, by the first line in which it is found. */
export async function told(
  child: ChildProcess,
  find: (line: string) => number | undefined,
): Promise<number> {
  const { stdout } = child;
  if (stdout === null) throw new Error("what the program prints is not read");
  return await new Promise<number>((resolve, reject) => {
    createInterface({ input: stdout }).on("line", (line) => {
      const port = find(line);
      if (port !== undefined) resolve(port);
    });
    child.once("exit", (code) => reject(new Error(`${child.spawnargs.join(" ")}: ended, ${code}`)));
  });
}
