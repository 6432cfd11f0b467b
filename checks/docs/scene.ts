/** Runs the blocks of one page in their order: `node scene.ts PAGE FOLDER`. Ends with 1 at the first that does not do what it says. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Block, besideOf, blocksOf } from "./blocks.ts";
import { VISITS } from "./visits.ts";

const MOST_MS = 90_000;
const STEP_MS = 50;
const READY = "http://localhost:8080/health/ready";

interface Running {
  readonly command: string;
  readonly child: ChildProcess;
  readonly printed: () => string;
  readonly ended: Promise<number | null>;
}

const [page = "", folder = ""] = process.argv.slice(2);
const running: Running[] = [];
let last: Running | undefined;

try {
  const beside = besideOf(page);
  if (beside !== undefined) {
    launch(beside);
    await until(`${beside} is ready`, isReady);
  }
  for (const block of blocksOf(page)) await play(block);
  await VISITS[page]?.((command) =>
    running
      .filter((one) => one.command.includes(command))
      .map((one) => one.printed())
      .join(""),
  );
} catch (error) {
  console.error((error as Error).message);
  for (const { printed } of running) console.error(`--- printed\n${printed().slice(-2_000)}`);
  process.exitCode = 1;
} finally {
  // Each has a group of its own, so that what a shell has started ends with it.
  for (const { child } of running) {
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
  }
  await Promise.all(running.map(({ ended }) => ended));
}

async function play({ line, text, mark }: Block): Promise<void> {
  const at = `${page}:${line}`;
  switch (mark?.does) {
    case "file": {
      const file = join(folder, mark.value);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
      break;
    }
    case "installed": {
      const missing = packagesOf(text).filter(
        (name) => !existsSync(join(folder, "node_modules", name)),
      );
      if (missing.length > 0) throw new Error(`${at}: ${missing.join()} is not there`);
      break;
    }
    case "run": {
      last = launch(text);
      const code = await Promise.race([
        last.ended,
        pause(MOST_MS, "late" as const, { ref: false }),
      ]);
      if (code !== Number(mark.value || "0")) {
        throw new Error(`${at} ended with ${code}:\n${last.printed()}`);
      }
      break;
    }
    case "start": {
      last = launch(text);
      const { printed } = last;
      const { value } = mark;
      await until(`${at} prints ${value}`, async () =>
        value === "ready" ? await isReady() : printed().includes(value),
      );
      break;
    }
    case "prints": {
      const { printed = () => "" } = last ?? {};
      const pattern = patternOf(text);
      try {
        await until("", async () => pattern.test(printed()));
      } catch {
        throw new Error(`${at}: what is printed is\n${printed()}`);
      }
      break;
    }
  }
}

function launch(command: string): Running {
  const key = join(folder, ".messageloop-dev-key");
  const text = existsSync(key) ? readFileSync(key, "utf8").trim() : undefined;
  const env = text === undefined ? {} : { MESSAGELOOP_API_KEY: text, KEY: text };
  const path = [join(folder, "node_modules/.bin"), process.env["PATH"]].join(delimiter);
  const child = spawn("sh", ["-e", "-c", command], {
    cwd: folder,
    detached: true,
    env: { ...process.env, ...env, PATH: path, npm_config_offline: "true" },
    // Open, as in a terminal: some programs end with it.
    stdio: ["pipe", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (piece: string) => {
      output += piece;
    });
  }
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const one = { command, child, printed: () => output, ended };
  running.push(one);
  return one;
}

async function isReady(): Promise<boolean> {
  try {
    return (await fetch(READY)).ok;
  } catch {
    return false;
  }
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + MOST_MS;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`not in ${MOST_MS / 1_000} s: ${what}`);
    await pause(STEP_MS);
  }
}

/** The lines, each somewhere after the one before, with `…` for anything. */
function patternOf(text: string): RegExp {
  const lines = text.trim().split("\n");
  const escaped = lines.map((line) =>
    line
      .split("…")
      .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"))
      .join(".*"),
  );
  return new RegExp(escaped.join("[^]*"));
}

function packagesOf(text: string): string[] {
  const [, names = ""] = /npm install((?: +\S+)*)/.exec(text.replaceAll("\\\n", " ")) ?? [];
  return names.split(" ").filter((name) => name !== "" && !name.startsWith("-"));
}
