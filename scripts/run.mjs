/** Runs the project's tools with the Node that runs this script. */
import { spawn, spawnSync } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
const bin = join(root, "node_modules", ".bin");

/** Runs a command from node_modules/.bin; returns whether it succeeded. */
export function run(name, ...args) {
  return runProgram(join(bin, name), args);
}

/** Runs a script of this folder; returns whether it succeeded. */
export function script(name, ...args) {
  return runProgram(process.execPath, [join(root, "scripts", name), ...args]);
}

/** As `run`, beside others: resolves with whether it succeeded, and with all that it has printed. */
export function start(name, ...args) {
  return startProgram(join(bin, name), args);
}

/** As `script`, beside others: resolves with whether it succeeded, and with all that it has printed. */
export function startScript(name, ...args) {
  return startProgram(process.execPath, [join(root, "scripts", name), ...args]);
}

function runProgram(program, args) {
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    stdio: "inherit",
    env: environment(),
  });
  if (error !== undefined) console.error(`${program}: ${error.message}`);
  return status === 0;
}

async function startProgram(program, args) {
  const child = spawn(program, args, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: environment(),
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  return await new Promise((resolve) => {
    child.once("error", ({ message }) => {
      resolve({ succeeded: false, output: `${program}: ${message}\n` });
    });
    child.once("close", (status) => resolve({ succeeded: status === 0, output }));
  });
}

/** Tools start with `env node`: the Node of this process has to be the first on the path. */
function environment() {
  const path = [dirname(process.execPath), bin, process.env.PATH ?? ""].join(delimiter);
  return { ...process.env, PATH: path };
}
