/** The program of docs/embedding.md does what the page says. */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  createCloudEvent,
  dial,
  type ReceivedMessage,
  withToken,
} from "../../src/client/v0/index.ts";
import { FREE_PORTS } from "./process.ts";

const root = new URL("../../", import.meta.url);

test("the program serves with its own broker and backends", async () => {
  const page = await readFile(new URL("docs/embedding.md", root), "utf8");
  const program = /```ts\n(import [^`]*createServer\(\{[\s\S]*?)```/.exec(page)?.[1] ?? "";
  const folder = await mkdtemp(join(tmpdir(), "messageloop-embedding-"));
  const file = join(folder, "program.ts");
  const here = (path: string): string => JSON.stringify(new URL(path, root).href);
  await writeFile(
    file,
    program
      .replace('"messageloop"', here("src/index.ts"))
      .replace('"messageloop-server"', here("src/server/index.ts")),
  );
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, ...FREE_PORTS },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    const websocket = await new Promise<number>((resolve, reject) => {
      let output = "";
      child.stdout.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        const port = /^listening .*"websocket":(\d+)/m.exec(output)?.[1];
        if (port !== undefined) resolve(Number(port));
      });
      child.once("exit", () => reject(new Error("the program has ended")));
    });
    const url = `ws://127.0.0.1:${websocket}/ws`;
    await expect(dial(url)).rejects.toMatchObject({ code: "AUTH_ERROR", message: "wrong token" });
    const client = await dial(url, [withToken("let me in")]);
    const received: ReceivedMessage[] = [];
    client.onMessage((messages) => received.push(...messages));
    await expect(client.subscribe("user.bob")).rejects.toMatchObject({ code: "ACL_ERROR" });
    await expect(client.subscribe("*.bob")).rejects.toMatchObject({ code: "ACL_ERROR" });
    await client.subscribe("user.ann", "public.news", "public.**");
    const event = createCloudEvent({ source: "/c", type: "t", data: 1 });
    const answer = await client.rpc("any", "sum", event);
    expect(answer.data).toEqual({ method: "sum", data: 1, user: "ann" });
    // The program's own event is the first of the channel.
    expect((await client.publish("public.news", event)).offset).toBe(2n);
    await expect.poll(() => received).toMatchObject([{ channel: "public.news", offset: 2n }]);
    const closed = new Promise((resolve) => client.onClosed(resolve));
    child.kill("SIGTERM");
    expect(await closed).toMatchObject({ code: 3512, reconnect: true });
    expect(await ended).toBe(0);
  } finally {
    child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }
});
