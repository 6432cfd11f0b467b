/** The SDK from Node against the Worker. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, inject, test } from "vitest";
import { WebSocket } from "ws";
import {
  createCloudEvent,
  dial,
  type ReceivedMessage,
  withAutoSubscribe,
  withClientId,
  withEncoding,
  withWebSocket,
} from "../../src/client/v0/index.ts";
import { example } from "./example.ts";

const wsUrl = `${inject("url").replace("http", "ws")}/ws`;

test("the README's first program runs in Node", async () => {
  const folder = await mkdtemp(join(tmpdir(), "messageloop-example-"));
  try {
    const file = join(folder, "example.mjs");
    await writeFile(file, await example());
    const program = (await import(pathToFileURL(file).href)) as {
      run(url: string): Promise<string[]>;
    };
    expect(await program.run(wsUrl)).toEqual(["Message: chat.message"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test.each(["json", "proto"] as const)("%s: what is published arrives whole", async (encoding) => {
  const channel = `sdk.${crypto.randomUUID()}`;
  const client = await dial(wsUrl, [
    withClientId("me"),
    withEncoding(encoding),
    withAutoSubscribe(channel),
    withWebSocket(WebSocket as never),
  ]);
  const received: ReceivedMessage[] = [];
  const { promise: three, resolve } = Promise.withResolvers<void>();
  client.onMessage((messages) => {
    received.push(...messages);
    if (received.length === 3) resolve();
  });
  const events = [
    createCloudEvent({ source: "/s", type: "t", data: { a: [1, "\u00fc", null] }, subject: "x" }),
    createCloudEvent({ source: "/s", type: "t", data: "text", extensions: { count: 3, ok: true } }),
    createCloudEvent({
      source: "/s",
      type: "t",
      data: new Uint8Array([0, 255]),
      time: new Date(0),
    }),
  ];
  const results = [];
  for (const event of events) results.push(await client.publish(channel, event));
  await three;
  expect(received.map(({ event }) => event)).toEqual(events);
  expect(results.map(({ offset }) => offset)).toEqual([1n, 2n, 3n]);
  expect(received.map(({ offset, epoch, id }) => ({ offset, epoch, id }))).toEqual(
    results.map(({ offset, epoch }) => ({ offset, epoch, id: `${epoch}-${offset}` })),
  );
  expect(received[0]?.publisher).toEqual({
    clientId: "me",
    userId: "",
    sessionId: client.getSessionId(),
  });
  await client.unsubscribe(channel);
  expect(client.getSubscribedChannels()).toEqual([]);
  await client.close();
  expect(client.isConnected()).toBe(false);
});

test("a client that keeps up receives more than its credit of 8 MiB", async () => {
  const channel = `sdk.${crypto.randomUUID()}`;
  const webSocket = withWebSocket(WebSocket as never);
  const reader = await dial(wsUrl, [webSocket, withAutoSubscribe(channel)]);
  const writer = await dial(wsUrl, [webSocket]);
  const data = "x".repeat(32 * 1024);
  const count = 330;
  let received = 0;
  const { promise: all, resolve, reject } = Promise.withResolvers<void>();
  reader.onClosed(({ code, reason }) => reject(new Error(`closed: ${code} ${reason}`)));
  reader.onMessage((messages) => {
    received += messages.length;
    if (received === count) resolve();
  });
  const event = () => createCloudEvent({ source: "/s", type: "t", data });
  // Acknowledgements pace the writer: the gateway refuses what waits for a channel beyond 4 MiB.
  for (let sent = 0; sent < count; sent += 10) {
    await Promise.all(Array.from({ length: 10 }, () => writer.publish(channel, event())));
  }
  await all;
  expect(reader.isConnected()).toBe(true);
  await Promise.all([reader.close(), writer.close()]);
});

test.each(["json", "proto"] as const)(
  "%s: a survey that the server refuses rejects with its error, and the connection goes on",
  async (encoding) => {
    const channel = `sdk.${crypto.randomUUID()}`;
    const client = await dial(wsUrl, [
      withEncoding(encoding),
      withAutoSubscribe(channel),
      withWebSocket(WebSocket as never),
    ]);
    // No channel has surveys of clients by default.
    const refused = client.survey(channel, createCloudEvent({ source: "/s", type: "t" }));
    await expect(refused).rejects.toMatchObject({ code: "BAD_REQUEST" });
    expect(client.isConnected()).toBe(true);
    await client.close();
  },
);
