/** Who is silent, and who only could not be heard: signs of life, steps of the clock, suspended processes. */
import { once } from "node:events";
import { afterEach, expect, onTestFinished, test, vi } from "vitest";
import { WebSocket } from "ws";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";
import { ServerClock } from "../../src/server/server-clock.ts";
import { Client, kindOf } from "../support/client.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { startChild } from "./child.ts";

const IDLE = { heartbeat: { idle_timeout: "3s", ping_interval: "1s" } };

afterEach(() => {
  vi.restoreAllMocks();
});

async function open(port: number): Promise<Client<WebSocket>> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, ["messageloop+json"]);
  onTestFinished(() => socket.terminate());
  const client = new Client<WebSocket>(socket, { encoding: "json", extended: true });
  await once(socket, "open");
  return client;
}

async function connected(port: number): Promise<Client<WebSocket>> {
  const client = await open(port);
  expect(kindOf(await client.connect())).toBe("connected");
  return client;
}

/** Does something twice a second until the test has finished. */
function often(work: () => void): void {
  const timer = setInterval(work, 500);
  onTestFinished(() => clearInterval(timer));
}

async function start(server: Record<string, unknown>) {
  const listener = { addr: "127.0.0.1:0" };
  const warnings: string[] = [];
  const running = createServer({
    config: parseConfig({
      server: { ...server, http: listener },
      transport: { websocket: listener, grpc: listener },
    }),
    logger: { warn: (text, fields) => warnings.push(`${text} ${JSON.stringify(fields)}`) },
  });
  const ports = await running.start();
  onTestFinished(() => running.stop());
  return { port: ports.websocket, engine: running.engine, warnings };
}

test("ping and pong frames of WebSocket are signs of life, and silence is none", async () => {
  const { port } = await start(IDLE);
  const [pings, pongs, silent] = await Promise.all([1, 2, 3].map(() => connected(port)));
  let answers = 0;
  pings?.socket.on("pong", (data) => {
    expect(data.toString()).toBe("still here?");
    answers += 1;
  });
  often(() => pings?.socket.ping("still here?"));
  often(() => pongs?.socket.pong());
  expect(await silent?.closed()).toEqual({ code: 3511, reason: "idle timeout" });
  // As long again: those who are heard outlive it more than once.
  await sleep(4_000);
  expect([pings?.close, pongs?.close]).toEqual([undefined, undefined]);
  expect(answers).toBeGreaterThan(10);
});

test.each([
  ["forward", 3_600_000],
  ["back", -3_600_000],
])(
  "a step of the time of day %s closes nobody who is alive, and keeps nobody who is not",
  async (_, step) => {
    const { port, engine } = await start(IDLE);
    const alive = await connected(port);
    const silent = await connected(port);
    const late = await open(port);
    often(() => alive.socket.send("ping"));
    const now = Date.now;
    vi.spyOn(Date, "now").mockImplementation(() => now() + step);
    await sleep(1_500);
    expect(engine.sessionCount).toBe(3);
    expect(kindOf(await late.connect())).toBe("connected");
    const before = performance.now();
    expect(await silent.closed()).toEqual({ code: 3511, reason: "idle timeout" });
    // It would be there for an hour.
    expect(performance.now() - before).toBeLessThan(9_000);
    expect(alive.close).toBeUndefined();
  },
);

test("a process that was suspended reads before it calls anybody silent", async () => {
  const server = await startChild({ server: { ...IDLE, connect_deadline: "3s" } });
  const { websocket } = server.ports;
  const alive = await Promise.all(Array.from({ length: 20 }, () => connected(websocket)));
  // These have no word for the server before it is suspended, nor while it is.
  const fresh = await Promise.all(Array.from({ length: 20 }, () => open(websocket)));
  for (const { socket } of alive) often(() => socket.send("ping"));
  process.kill(server.pid, "SIGSTOP");
  // Longer than either may be silent.
  await sleep(4_500);
  process.kill(server.pid, "SIGCONT");
  for (const client of fresh) expect(kindOf(await client.connect())).toBe("connected");
  await sleep(1_500);
  expect([...alive, ...fresh].flatMap(({ close }) => close ?? [])).toEqual([]);
  // Silence counts again.
  const ends = await Promise.all(fresh.map((client) => client.closed()));
  expect(new Set(ends.map(({ code }) => code))).toEqual(new Set([3511]));
  await eventually(server.stats, ({ sessions }) => sessions === 20);
});

test("the clock for silence goes with time, and leaves out what nobody could have looked at", () => {
  let time = 1_000;
  const clock = new ServerClock(() => time);
  const began = clock.steady();
  for (let i = 0; i < 40; i++) {
    time += 250;
    clock.steady();
  }
  expect(clock.steady() - began).toBe(10_000);
  time += 3_600_000;
  expect(clock.steady() - began).toBe(10_500);
  time += 100;
  expect(clock.steady() - began).toBe(10_600);
});

test.each([
  [{}, 0],
  [{ heartbeat: { idle_timeout: "90s" } }, 0],
  [{ heartbeat: { idle_timeout: "89s" } }, 1],
])("an idle timeout of %j: %i warnings", async (server, count) => {
  const { warnings } = await start(server);
  expect(warnings).toHaveLength(count);
  if (count > 0) expect(warnings[0]).toContain('"idle_timeout":"89s","at_least":"90s"');
});
