/** The load generator against servers that deliver what they should, and against some that do not. */
import { connect, createServer } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { Histogram } from "../../bench/generator/histogram.ts";
import { Load, type LoadOptions } from "../../bench/generator/load.ts";

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** What a server does with its n-th publish for a subscriber. */
type Deliver = (subscriber: WebSocket, text: string, count: number) => void;

/** A server of the bare dialect, in this process. */
async function bareServer(deliver: Deliver): Promise<number> {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  ends.push(() => server.close());
  const channels = new Map<string, Set<WebSocket>>();
  let count = 0;
  server.on("connection", (ws) => {
    ws.on("message", (data) => {
      const text = String(data);
      const [first = "", second = ""] = text.split(" ");
      if (first === "join") channels.set(second, (channels.get(second) ?? new Set()).add(ws));
      if (first === "setup" || first === "join") {
        ws.send(first);
        return;
      }
      count += 1;
      for (const subscriber of channels.get(first) ?? []) {
        deliver(subscriber, text, count);
      }
    });
  });
  await new Promise((resolve) => server.once("listening", resolve));
  return portOf(server);
}

function portOf(server: { address(): unknown }): number {
  return (server.address() as { port: number }).port;
}

async function open(port: number, options: Partial<LoadOptions> = {}): Promise<Load> {
  const { load } = await Load.open({
    ports: [port],
    dialects: [{ name: "bare" }],
    channel: "test",
    subscribers: 3,
    ...options,
  });
  ends.push(() => load.close());
  return load;
}

const once: Deliver = (subscriber, text) => subscriber.send(text);
const FAULTY_AT = 20;
const PUBLISHES = 100;

describe("a load", () => {
  test("in a closed loop counts every delivery", async () => {
    const load = await open(await bareServer(once));
    const { operations, deliveries, seconds } = await load.closed({ window: 8, seconds: 0.2 });
    expect(operations).toBeGreaterThan(8);
    expect(deliveries).toBe(3 * operations);
    expect(seconds).toBeGreaterThanOrEqual(0.2);
  });

  test("at a fixed rate publishes as often as it should, and takes the latency of each delivery", async () => {
    const load = await open(await bareServer(once));
    const sample = await load.paced({ rate: 200, seconds: 0.5 });
    expect(sample.operations).toBe(100);
    expect(sample.deliveries).toBe(300);
    const latency = new Histogram(sample.latency);
    expect(latency.count).toBe(300);
    expect(latency.percentile(0.5)).toBeLessThan(400);
  });

  test.for([
    { channels: 1, publishers: 4, apart: false },
    { channels: 4, publishers: 4, apart: false },
    { channels: 4, publishers: 1, apart: true },
    { channels: 1, publishers: 2, apart: true },
    { channels: 2, publishers: 6, apart: true },
  ])("$publishers publishers, $channels channels, apart: $apart", async (shape) => {
    const port = await bareServer(once);
    const { channels, publishers, apart } = shape;
    const load = await open(port, {
      subscribers: 8,
      channels,
      publishers,
      ...(apart ? { apart: [port] } : {}),
    });
    const { operations, deliveries } = await load.closed({ window: 8, seconds: 0.1 });
    expect(operations).toBeGreaterThan(8);
    expect(deliveries).toBe((operations * 8) / channels);
  });

  test("takes what is answered out of order where any order will do", async () => {
    const held: (() => void)[] = [];
    const port = await bareServer((subscriber, text, count) => {
      if (count % 5 === 0) held.push(() => subscriber.send(text));
      else {
        subscriber.send(text);
        for (const send of held.splice(0)) send();
      }
    });
    const load = await open(port, { subscribers: 1, unordered: true });
    const { operations, deliveries } = await load.paced({ rate: 500, seconds: 0.203 });
    expect(operations).toBe(102);
    expect(deliveries).toBe(102);
  });

  test("finds marks in base64 as well", async () => {
    const port = await bareServer((subscriber, text) => {
      const [, , data = ""] = text.split(" ");
      subscriber.send(JSON.stringify({ data: Buffer.from(data).toString("base64") }));
    });
    const load = await open(port);
    const { operations, deliveries } = await load.closed({ window: 8, seconds: 0.1 });
    expect(deliveries).toBe(3 * operations);
  });

  test("finds marks in messages of different lengths that share a frame", async () => {
    const waiting = new Map<WebSocket, string[]>();
    const port = await bareServer((subscriber, text, count) => {
      const texts = waiting.get(subscriber) ?? [];
      texts.push(text.slice(0, text.length - ((count * 31) % 50)));
      waiting.set(subscriber, texts);
      if (texts.length === 5) subscriber.send(texts.splice(0).join(","));
    });
    const load = await open(port);
    const { operations, deliveries } = await load.paced({ rate: 500, seconds: 0.2 });
    expect(operations).toBe(100);
    expect(deliveries).toBe(300);
  });

  test("finds marks that come in parts", async () => {
    const port = await inParts(await bareServer(once));
    const load = await open(port);
    const { operations, deliveries } = await load.paced({ rate: 100, seconds: 0.2 });
    expect(operations).toBe(20);
    expect(deliveries).toBe(60);
  });
});

/** A proxy that hands over what a server sends in parts of a few bytes, each read alone. */
async function inParts(port: number): Promise<number> {
  const proxy = createServer((client) => {
    const server = connect(port, "127.0.0.1");
    client.setNoDelay().pipe(server);
    let sent = Promise.resolve();
    server.on("data", (data) => {
      for (let at = 0; at < data.length; at += 37) {
        sent = sent.then(async () => {
          client.write(data.subarray(at, at + 37));
          await new Promise((resolve) => setImmediate(resolve));
        });
      }
    });
    client.on("close", () => server.destroy()).on("error", () => {});
  });
  ends.push(() => proxy.close());
  proxy.listen(0, "127.0.0.1");
  await new Promise((resolve) => proxy.once("listening", resolve));
  return portOf(proxy);
}

describe("a run breaks with", () => {
  test.for<[string, Deliver, RegExp]>([
    [
      "a delivery that is lost",
      (subscriber, text, count) => {
        if (count !== FAULTY_AT) subscriber.send(text);
      },
      /got publish 20 instead of 19/,
    ],
    [
      "a delivery that comes twice",
      (subscriber, text, count) => {
        subscriber.send(text);
        if (count === FAULTY_AT) subscriber.send(text);
      },
      /got publish 19 instead of 20/,
    ],
    [
      "the last delivery twice",
      (subscriber, text, count) => {
        subscriber.send(text);
        if (count === PUBLISHES) subscriber.send(text);
      },
      /got publish 99 instead of 100/,
    ],
    [
      "a subscriber that is closed",
      (subscriber, text, count) => {
        if (count === FAULTY_AT) subscriber.terminate();
        else subscriber.send(text);
      },
      /client \d was closed/,
    ],
  ])("%s", async ([, deliver, reason]) => {
    const load = await open(await bareServer(deliver));
    await expect(load.paced({ rate: 500, seconds: PUBLISHES / 500 })).rejects.toThrow(reason);
  });

  test("an answer that comes twice where any order will do", async () => {
    const port = await bareServer((subscriber, text, count) => {
      subscriber.send(text);
      if (count === FAULTY_AT) subscriber.send(text);
    });
    const load = await open(port, { unordered: true });
    const sample = load.paced({ rate: 500, seconds: PUBLISHES / 500 });
    await expect(sample).rejects.toThrow(/got publish 19 instead of 20/);
  });

  test("more sockets than a process may open", async () => {
    await expect(open(1, { subscribers: 10_000_000 })).rejects.toThrow(/files, but 10000100 are/);
  });

  test("a client that is refused", async () => {
    const server = createServer((socket) => socket.end("HTTP/1.1 503 Busy\r\n\r\n"));
    ends.push(() => server.close());
    server.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    await expect(open(portOf(server))).rejects.toThrow(/closed/);
  });
});
