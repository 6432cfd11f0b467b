/** The target of the rows about threads has as many as it is asked for. */
import { afterEach, expect, test } from "vitest";
import type { Running } from "../../bench/target.ts";
import { ONE_THREAD, threadsServer } from "../../bench/targets/threads.ts";
import { ROOT } from "../../bench/trees.ts";
import { open } from "../server/threads-process.ts";

const running: Running[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((target) => target.stop()));
});

/** What the ids of so many sessions begin with. */
async function nodes({ port }: Running, sessions: number): Promise<number> {
  const clients = [];
  for (let i = 0; i < sessions; i++) clients.push(await open(`ws://127.0.0.1:${port}/ws`));
  const ids = clients.map((client) => client.all("connected")[0]?.sessionId.split(".")[0]);
  for (const { socket } of clients) socket.terminate();
  return new Set(ids).size;
}

test("with two threads two clients are on two of them, and with one on one", async () => {
  running.push(...(await Promise.all([threadsServer(ROOT, 2).start(), ONE_THREAD.start()])));
  const [two, one] = running as [Running, Running];
  expect([await nodes(two, 2), await nodes(one, 2)]).toEqual([2, 1]);
});
