/** The machine that measures, and what else it does meanwhile. */
import { readFileSync } from "node:fs";
import { cpus, release, type } from "node:os";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly system: string;
  readonly node: string;
}

export function thisMachine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model ?? "",
    cores: all.length,
    system: `${type()} ${release()}`,
    node: process.versions.node,
  };
}

/** What the kernel counts CPU time in. */
const TICKS_PER_SECOND = 100;

/**
 * Measures what neither this process nor any that it has started takes. These count when they have ended, so that none
 * may run at the beginning or at the end.
 *
 * @returns a function that tells how many cores that took on average
 */
export function watchOthers(): () => number {
  const before = othersTicks();
  const start = performance.now();
  return () => {
    const seconds = (performance.now() - start) / 1_000;
    return Math.max(0, othersTicks() - before) / TICKS_PER_SECOND / seconds;
  };
}

function othersTicks(): number {
  const [user = 0, nice = 0, system = 0, , , , , stolen = 0] = numbersOf("/proc/stat", /^cpu +/);
  // User and system time of the process, and of its children that have ended.
  const own = numbersOf("/proc/self/stat", /^.*\) . /).slice(10, 14);
  return user + nice + system + stolen - own.reduce((sum, ticks) => sum + ticks, 0);
}

/** The numbers of the first line after what the pattern takes. */
function numbersOf(path: string, head: RegExp): readonly number[] {
  const [line = ""] = readFileSync(path, "utf8").split("\n");
  return line.replace(head, "").split(" ").map(Number);
}
