/** Pages whose commands are run as they stand, each in a folder and, where the system allows it, a network of its own. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, symlink } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { environment } from "../../test/support/packed.ts";
import type { Report } from "../report.ts";
import { blocksOf, isRun, PAGES, read, root } from "./blocks.ts";
import { listed } from "./links.ts";

/** What the documents have servers listen on. */
const PORTS = [8080, 9080, 9090, 9300, 5173];
const SCENE = fileURLToPath(new URL("scene.ts", import.meta.url));
const MOST_MS = 240_000;

/** @param only pages whose path contains it */
export async function scenes(report: Report, folder: string, only: string): Promise<void> {
  const own = spawnSync("unshare", ["-rn", "ip", "link", "set", "lo", "up"]).status === 0;
  if (!own) await expectFree();
  for (const page of PAGES.filter((one) => one.includes(only))) {
    const blocks = blocksOf(page);
    if (!isRun(blocks)) continue;
    const place = join(folder, page.replace(/\W/g, "-"));
    await mkdir(place, { recursive: true });
    for (const name of ["node_modules", "package.json"]) {
      if (!existsSync(join(place, name))) await symlink(join(folder, name), join(place, name));
    }
    const { code, said } = await play(page, place, own);
    const count = blocks.filter(({ mark }) =>
      /^(?:run|start|prints)$/.test(mark?.does ?? ""),
    ).length;
    report.expect(
      code === 0,
      `${page}: ${count} blocks do what they say${code === 0 ? "" : `\n${said}`}`,
    );
  }
}

/** Of all commands those that nobody runs, and by what they are kept from it. */
export function marks(report: Report): void {
  const shell = PAGES.flatMap(blocksOf).filter(({ language }) => language === "sh");
  const open = shell.filter(({ mark }) => mark === undefined);
  const where = open.map(({ page, line }) => `${page}:${line} is not marked`);
  const strangers = shell.flatMap(({ page, line, mark }) => {
    if (mark?.does !== "run by") return [];
    const file = join(root, mark.value);
    const named = existsSync(file) && namesPage(read(mark.value), page);
    return named ? [] : [`${page}:${line}: ${mark.value} does not run it`];
  });
  const of = (does: string) => shell.filter(({ mark }) => mark?.does === does);
  const needs = of("needs");
  for (const { page, line, mark } of needs)
    report.say(`not run: ${page}:${line} needs ${mark?.value}`);
  report.expect(
    where.length + strangers.length === 0,
    `${shell.length} blocks of commands: ${of("run").length + of("start").length} run, ${of("installed").length} installed, ` +
      `${of("run by").length} run by tests and checks, ${needs.length} need what is not here${listed([...where, ...strangers])}`,
  );
}

function namesPage(text: string, page: string): boolean {
  const name = page.replace(/^docs\//, "").replace(/\.md$/, "");
  return (
    text.includes(name) || (name.startsWith("migrate-from-") && text.includes("migrate-from-*"))
  );
}

async function play(page: string, place: string, own: boolean) {
  const node = [process.execPath, SCENE, page, place];
  const [command = "", ...args] = own
    ? ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$0" "$@"', ...node]
    : node;
  const child = spawn(command, args, {
    env: environment(),
    stdio: ["ignore", "pipe", "pipe"],
    timeout: MOST_MS,
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, said };
}

async function expectFree(): Promise<void> {
  for (const port of PORTS) {
    const taken = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      socket.once("close", () => socket.destroy());
    });
    if (taken) throw new Error(`the documents use port ${port}: end what listens there`);
  }
}
