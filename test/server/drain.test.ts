/** SIGTERM under load: everybody is told to come back, and nothing acknowledged is lost. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { codecFor } from "../../src/protocol/codec.ts";
import { Client, type ClientSettings, KINDS, kindOf, textOf } from "../support/client.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { programPath } from "../support/programs.ts";

interface Running {
  readonly url: string;
  readonly http: number;
  terminate(): void;
  readonly exit: Promise<number | null>;
}

async function start(config: Record<string, unknown> = {}): Promise<Running> {
  const listener = { addr: "127.0.0.1:0" };
  const options = {
    backend: "none",
    config: {
      ...config,
      server: { http: listener, ...(config["server"] as object) },
      transport: { websocket: listener, grpc: listener },
    },
  };
  const child = spawn(process.execPath, [programPath("entry"), JSON.stringify(options)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const line = await new Promise<string>((resolve) =>
    createInterface({ input: child.stdout }).once("line", resolve),
  );
  const { websocket, http } = JSON.parse(line) as { websocket: number; http: number };
  return {
    url: `ws://127.0.0.1:${websocket}/ws`,
    http,
    terminate: () => child.kill("SIGTERM"),
    exit,
  };
}

async function open(
  url: string,
  settings: ClientSettings,
  connect: Parameters<Client["connect"]>[0] = {},
): Promise<Client<WebSocket>> {
  const socket = new WebSocket(url, [codecFor(settings.encoding).subprotocol]);
  const client = new Client<WebSocket>(socket, settings);
  await new Promise<void>((resolve, reject) => {
    socket.on("open", resolve);
    socket.on("error", reject);
  });
  expect(kindOf(await client.connect(connect))).toBe("connected");
  return client;
}

test.each([1, 2])(
  "with %i threads under load: 3512 for everyone, every acknowledged publish in every subscriber's frames, exit 0",
  async (workers) => {
    const server = await start({ server: { workers } });
    const subscriptions = [{ channel: "room" }];
    const subscribers = [];
    for (let i = 0; i < 40; i++) {
      const kind = KINDS[i % KINDS.length] as ClientSettings;
      const capabilities = kind.extended ? ["control"] : [];
      subscribers.push(await open(server.url, kind, { subscriptions, capabilities }));
    }
    const publishers = await Promise.all(
      Array.from({ length: 4 }, () => open(server.url, { encoding: "json", extended: true })),
    );
    const acknowledged = new Set<string>();
    let signalled = false;
    const publishing = publishers.map(async (publisher, who) => {
      for (let i = 0; ; i++) {
        const texts = Array.from({ length: 8 }, (_, k) => `${who}/${i}/${k}`);
        await Promise.all(
          texts.map(async (text) => {
            await publisher.publish("room", text.padEnd(2_000, "."));
            if (!signalled) acknowledged.add(text);
          }),
        );
      }
    });
    await sleep(1_000);
    await eventually(() => acknowledged.size > 200, Boolean, 30_000);
    server.terminate();
    signalled = true;
    await Promise.allSettled(publishing);
    for (const client of [...subscribers, ...publishers]) {
      expect(await client.closed(30_000)).toEqual({ code: 3512, reason: "server going away" });
    }
    expect(await server.exit).toBe(0);
    expect(acknowledged.size).toBeGreaterThan(100);
    const delays = new Set<number>();
    for (const client of subscribers) {
      const texts = client.messages.map(({ payload }) => textOf(payload).replaceAll(".", ""));
      const received = new Set(texts);
      expect(received.size).toBe(texts.length);
      expect([...acknowledged].filter((text) => !received.has(text))).toEqual([]);
      if (!client.extended) continue;
      const told = client.replies.find(({ envelope }) => envelope.case === "disconnect");
      if (told?.envelope.case !== "disconnect") throw new Error("not told");
      expect(told.envelope.value).toMatchObject({ code: 3512, reconnect: true });
      expect(told.envelope.value.retryAfterMs).toBeLessThan(5_000);
      delays.add(told.envelope.value.retryAfterMs);
    }
    // Spread out: twenty clients are not all told the same.
    expect(delays.size).toBeGreaterThan(10);
  },
);

test("a client that does not answer holds the server up for the drain timeout at most", async () => {
  const server = await start({ server: { drain_timeout: "1500ms" } });
  const client = await open(server.url, { encoding: "json", extended: true });
  client.socket.pause();
  const began = Date.now();
  server.terminate();
  await eventually(
    async () => (await fetch(`http://127.0.0.1:${server.http}/health/ready`)).status,
    (status) => status === 503,
  );
  await expect(fetch(server.url.replace("ws", "http"))).rejects.toThrow();
  expect(await server.exit).toBe(0);
  const took = Date.now() - began;
  expect(took).toBeGreaterThan(1_400);
  expect(took).toBeLessThan(10_000);
  client.socket.terminate();
});
