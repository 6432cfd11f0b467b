/** Frames that arrive at once are taken in several turns of the event loop: nobody keeps the others waiting. */
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import type { Frame } from "../../src/protocol/codec.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { FrameReader, Turns } from "../../src/server/transport/turn-taking.ts";
import { Client, texts } from "../support/client.ts";

/** What a frame costs, in milliseconds. */
const COST_MS = 3;

function stage(names: readonly string[]) {
  const turns = new Turns();
  const taken: string[] = [];
  const states = new Map<string, string>();
  const readers = names.map((name) => {
    const source = {
      hold: () => {
        states.set(name, "held");
      },
      release: () => {
        states.set(name, "released");
      },
    };
    return new FrameReader(turns, source, (frame: Frame) => {
      for (const end = performance.now() + COST_MS; performance.now() < end; ) Math.random();
      taken.push(`${name}${frame}`);
    });
  });
  return { readers, taken, states };
}

async function turn(): Promise<void> {
  await new Promise<void>((resolve) => setImmediate(resolve));
}

test("who sends much waits, and who sends little is taken in between", async () => {
  const { readers, taken, states } = stage(["a", "b", "c"]);
  const [many, ...others] = readers;
  for (let i = 0; i < 20; i++) many?.receive(`${i}`);
  for (const other of others) other.receive("0");
  const first = taken.length;
  expect(first).toBeLessThan(10);
  expect(states.get("a")).toBe("held");
  let turns = 0;
  for (; taken.length < 22; turns++) await turn();
  expect(turns).toBeGreaterThan(3);
  const own = taken.filter((name) => name.startsWith("a"));
  expect(own).toEqual(Array.from({ length: 20 }, (_, i) => `a${i}`));
  // The others have one frame each: they are not behind all of the first one's.
  expect(taken.indexOf("b0")).toBeLessThan(first + 4);
  expect(taken.indexOf("c0")).toBeLessThan(first + 4);
  // Who has one small frame that waits is read on.
  expect([...states]).toEqual([["a", "released"]]);
});

test("a client is not read while a large frame of it waits, or a second one", async () => {
  const { readers, states } = stage(["a", "b", "c"]);
  const [many, ...others] = readers;
  for (let i = 0; i < 8; i++) many?.receive(`${i}`);
  others[0]?.receive("x".repeat(5_000));
  expect(states.get("b")).toBe("held");
  others[1]?.receive("0");
  expect(states.get("c")).toBeUndefined();
  others[1]?.receive("1");
  expect(states.get("c")).toBe("held");
  for (const reader of readers) reader.finish();
  expect([...states.values()]).toEqual(["released", "released", "released"]);
});

test("what waits is taken at once where nothing more arrives", async () => {
  const { readers, taken, states } = stage(["a"]);
  for (let i = 0; i < 8; i++) readers[0]?.receive(`${i}`);
  readers[0]?.finish();
  expect(taken).toHaveLength(8);
  expect(states.get("a")).toBe("released");
  await turn();
  expect(taken).toHaveLength(8);
});

test("a client that publishes much and closes at once has published all of it", async () => {
  const listener = { addr: "127.0.0.1:0" };
  const server = createServer({
    config: parseConfig({
      server: { http: listener },
      transport: { websocket: listener, grpc: listener },
    }),
  });
  const { websocket } = await server.start();
  const open = async (): Promise<Client<WebSocket>> => {
    const socket = new WebSocket(`ws://127.0.0.1:${websocket}/ws`, ["messageloop+json"]);
    await new Promise((resolve) => socket.once("open", resolve));
    return new Client(socket, { encoding: "json", extended: true });
  };
  try {
    const [listening, publisher] = [await open(), await open()];
    await listening.connect({ subscriptions: [{ channel: "a" }] });
    await publisher.connect();
    const sent = Array.from({ length: 400 }, (_, i) => `${i} ${"x".repeat(5_000)}`);
    for (const [i, value] of sent.entries()) {
      const event = { id: `${i}`, source: "/t", type: "t" };
      const data = { case: "textData" as const, value };
      publisher.send({ channel: "a", envelope: { case: "publish", value: { ...event, data } } });
    }
    publisher.socket.close(1000);
    expect(texts(await listening.received(sent.length))).toEqual(sent);
    listening.socket.close();
  } finally {
    await server.stop();
  }
});
