/** The program of docs/quickstart.md, which runs in Node as the page says. */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { blocks, bundled } from "../support/doc-blocks.ts";
import { eventually } from "../support/eventually.ts";
import { startServer } from "./process.ts";

const PAGE = "docs/quickstart.md";
const SHOWN = '"ws://localhost:9080/ws"';

test("the quickstart's program prints what was published, also by another one", async () => {
  const [program = ""] = blocks(PAGE, "js");
  expect(program).toContain(SHOWN);
  expect(program.trim().split("\n").length).toBeLessThanOrEqual(10);
  const folder = await mkdtemp(join(tmpdir(), "messageloop-quickstart-"));
  const server = await startServer();
  const file = join(folder, "hello.mjs");
  await writeFile(file, await bundled(program.replace(SHOWN, JSON.stringify(server.url))));
  const first = start(file);
  try {
    await eventually(() => first.printed() === "1 hello\n");
    const second = start(file);
    try {
      await eventually(() => first.printed() === "1 hello\n2 hello\n");
      await eventually(() => second.printed() === "2 hello\n");
    } finally {
      second.child.kill();
    }
  } finally {
    first.child.kill();
    server.child.kill("SIGTERM");
    await server.ended;
    await rm(folder, { recursive: true });
  }
});

function start(file: string) {
  const child = spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  return { child, printed: () => text };
}
