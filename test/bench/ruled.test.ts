/** The target of the row about rules of access has them in force, and lets through what the row does. */
import { afterEach, expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Running } from "../../bench/target.ts";
import { openServer, ruledServer } from "../../bench/targets/ruled.ts";
import { ROOT } from "../../bench/trees.ts";
import { Client, kindOf } from "../support/client.ts";

const running: Running[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((target) => target.stop()));
});

async function publishing(target: Running, channel: string): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${target.port}/ws`, ["messageloop+json"]);
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  const client = new Client(socket, { encoding: "json", extended: true });
  await client.connect();
  const value = { id: crypto.randomUUID(), source: "/test", type: "t" };
  const reply = await client.request({ channel, envelope: { case: "publish", value } });
  socket.terminate();
  return kindOf(reply);
}

test("with rules and without, a publish to the row's channel is taken, and one to a denied channel with rules alone", async () => {
  const [ruled, open] = await Promise.all([ruledServer(ROOT).start(), openServer().start()]);
  running.push(ruled, open);
  expect(await publishing(ruled, "bench.channel")).toBe("publishAck");
  expect(await publishing(open, "bench.channel")).toBe("publishAck");
  expect(await publishing(ruled, "admin.users")).toBe("error ACL_ERROR");
  expect(await publishing(open, "admin.users")).toBe("publishAck");
});
