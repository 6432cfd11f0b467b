/**
 * The two ways by which connections can reach threads: one thread accepts and moves them, or each listens on the same port
 * and the system chooses (`reusePort`). What a connection costs, and what becomes of new ones while a thread is blocked.
 */
import { spawn } from "node:child_process";
import { get } from "node:http";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { cpuOf } from "../../bench/target.ts";
import { percentile, type Report } from "../report.ts";

const WAYS = ["move", "reusePort"] as const;
const THREADS = 4;
const CONNECTIONS = 1_500;
const TOGETHER = 16;
const ROUNDS = 4;
const BLOCKED_MS = 3_000;
/** New connections while a thread is blocked, one after the other. */
const NEW = 40;
/** One that waits for longer waits for the thread that is blocked, in milliseconds. */
const LATE_MS = 500;

interface Running {
  readonly way: (typeof WAYS)[number];
  readonly port: number;
  readonly pid: number;
  block(ms: number): void;
  stop(): Promise<void>;
  readonly costs: number[];
}

export async function accept(report: Report, plant: boolean): Promise<void> {
  const all = await Promise.all(WAYS.map(start));
  try {
    for (const one of all) await many(one);
    for (let round = 0; round < ROUNDS; round++) {
      for (const one of round % 2 === 0 ? all : all.toReversed()) {
        const before = cpuOf([one.pid]);
        await many(one);
        one.costs.push((cpuOf([one.pid]) - before) / CONNECTIONS / 1_000);
      }
    }
    const late = new Map<string, number>();
    for (const one of all) {
      one.block(BLOCKED_MS);
      await pause(50);
      // The thread that is blocked has one already that nobody has missed yet.
      const waits = await Promise.all(
        Array.from({ length: NEW }, async (_, number) => {
          await pause(number * 20);
          return await request(one.port);
        }),
      );
      late.set(one.way, waits.filter((ms) => ms > LATE_MS).length);
      await pause(BLOCKED_MS);
    }
    for (const { way, costs } of all) {
      report.say(
        `${way}: ${percentile(costs, 0.5).toFixed(0)} µs of CPU for a connection with one request (${costs.map((one) => one.toFixed(0)).join(", ")}); of ${NEW} new ones while one of ${THREADS} threads was blocked ${late.get(way)} waited for it`,
      );
    }
    // Which thread is blocked is seen by its connections, which do not end: it gets no more than the others have.
    const moved = late.get(plant ? "reusePort" : "move") ?? NEW;
    report.expect(moved <= 2, `new connections that a blocked thread keeps waiting: ${moved} (2)`);
  } finally {
    await Promise.all(all.map((one) => one.stop()));
  }
}

async function start(way: Running["way"]): Promise<Running> {
  const program = fileURLToPath(new URL("accept-program.mjs", import.meta.url));
  const child = spawn(process.execPath, [program, way, `${THREADS}`], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const line = await new Promise<string>((resolve) =>
    createInterface({ input: child.stdout }).once("line", resolve),
  );
  return {
    way,
    port: Number(line),
    pid: child.pid ?? 0,
    costs: [],
    block: (ms) => child.stdin.write(`block ${ms}\n`),
    stop: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill();
      await ended;
    },
  };
}

async function many({ port }: Running): Promise<void> {
  let left = CONNECTIONS;
  const client = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await request(port);
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, client));
}

/** One request on a connection of its own. Resolves with how long its answer took, in milliseconds. */
async function request(port: number): Promise<number> {
  const began = performance.now();
  await new Promise<void>((resolve, reject) => {
    get({ host: "127.0.0.1", port, agent: false }, (response) => {
      response.resume().once("end", resolve);
    }).once("error", reject);
  });
  return performance.now() - began;
}
