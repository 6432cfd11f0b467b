/** An application's own Worker around MessageLoop's objects. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { Client, kindOf, textOf, valueAs } from "../support/client.ts";
import { startWorkerd } from "../support/workerd.ts";
import type { RunningServer } from "../support/wrangler.ts";

let server: RunningServer;

beforeAll(async () => {
  server = await startWorkerd({ main: "own-worker" });
});

afterAll(async () => {
  await server?.stop();
});

async function open(): Promise<Client<WebSocket>> {
  const socket = new WebSocket(`${server.url.replace("http", "ws")}/ws`, ["messageloop+json"]);
  const client = new Client<WebSocket>(socket, { encoding: "json", extended: true });
  await new Promise((resolve) => socket.on("open", resolve));
  return client;
}

test("its routes stand beside the endpoint", async () => {
  expect(await (await fetch(`${server.url}/hello`)).text()).toBe("mine: /hello");
  expect((await fetch(`${server.url}/ws`)).status).toBe(400);
});

test("its backends authenticate and answer", async () => {
  const refused = await open();
  expect(kindOf(await refused.connect({ token: "wrong" }))).toBe("error AUTH_ERROR");
  const client = await open();
  expect(valueAs(await client.connect({ token: "sesame" }), "connected").userId).toBe("ali");
  const reply = await client.rpc("now", "soon", "time");
  expect(textOf(valueAs(reply, "rpcReply"))).toBe("it is late, ali, said soon");
  expect(textOf(valueAs(await client.rpc("other", "back"), "rpcReply"))).toBe("back");
  client.socket.close();
});

test("its configuration holds for its gateways", async () => {
  const client = await open();
  await client.connect({ token: "sesame" });
  expect(await client.publish("open", "x".repeat(1_000))).toBe(1);
  await client.publish("open", "x".repeat(3_000)).catch(() => {});
  expect((await client.closed()).code).toBe(1009);
});

test("its authorizer refuses every pattern that stands for a private channel", async () => {
  const client = await open();
  await client.connect({ token: "sesame" });
  const names = ["private", "private.a", "private.*", "*.a", "*.*", "**", "public.*", "open"];
  const ack = valueAs(await client.subscribe(...names), "subscribeAck");
  const granted = ack.subscriptions.filter(({ error }) => error === undefined);
  expect(granted.map(({ channel }) => channel)).toEqual(["public.*", "open"]);
  client.socket.close();
});
