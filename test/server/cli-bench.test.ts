/** `bench`: what it counts of servers in order, of one that refuses, and of one that goes away. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { Tally } from "../../src/server/commands/bench/tally.ts";
import {
  type CliServer,
  linesOf,
  type Outcome,
  runCli,
  runLines,
  startCli,
  startServer,
} from "./process.ts";

const servers: CliServer[] = [];

afterEach(async () => {
  for (const { child, ended } of servers.splice(0)) {
    child.kill("SIGKILL");
    await ended;
  }
});

async function serve(...args: string[]): Promise<CliServer> {
  const server = await startServer(args);
  servers.push(server);
  return server;
}

describe("a tally", () => {
  test("knows what is lost, what came twice, and what never was", () => {
    const tally = new Tally({ subscribers: 3, channels: 2, publishes: 6 });
    for (let publish = 0; publish < 5; publish++) tally.published(publish, 1_000 + publish);
    for (const publish of [0, 1, 2, 3]) tally.acknowledge(publish);
    // Subscribers 0 and 2 have the channel of even publishes.
    expect(tally.lost).toBe(2 + 2 + 2);
    for (const publish of [0, 2]) tally.deliver(0, publish, 1_000 + publish + 5);
    tally.deliver(1, 1, 1_001 + 50);
    tally.deliver(2, 0, 1_100);
    expect([tally.lost, tally.delivered, tally.duplicates]).toEqual([2, 4, 0]);
    tally.deliver(2, 0, 1_200);
    expect([tally.lost, tally.delivered, tally.duplicates]).toEqual([2, 4, 1]);
    // One that nobody acknowledged is welcome, and not lost where it does not come.
    tally.deliver(0, 4, 1_010);
    expect([tally.lost, tally.delivered]).toEqual([2, 5]);
    // Of another channel, not yet published, and no number at all.
    for (const publish of [1, 5, 99, Number.NaN]) tally.deliver(0, publish, 1_300);
    expect([tally.strange, tally.delivered, tally.duplicates]).toEqual([4, 5, 1]);
    expect(tally.latency).toEqual({ p50: 6, p99: 100, max: 100 });
  });

  test("has no latency where nothing came", () => {
    expect(new Tally({ subscribers: 1, channels: 1, publishes: 1 }).latency).toBeUndefined();
  });
});

test.each([
  ["json", []],
  ["protobuf", ["--proto"]],
] as const)("counts each delivery of a server once, in %s", async (_, more) => {
  const { url } = await serve();
  const args = ["bench", url, "--seconds", "1", "--rate", "60", "--subscribers", "9"];
  const { code, stdout, stderr } = await runCli([
    ...args,
    ...["--publishers", "2", "--channels", "3", "--size", "500", "--json", ...more],
  ]);
  expect([code, stderr]).toEqual([0, ""]);
  const { seconds, latency, self, publishesPerSecond, deliveriesPerSecond, ...counts } =
    JSON.parse(stdout);
  // Three subscribers to each channel.
  expect(counts).toEqual({
    ...{ publishes: 60, acknowledged: 60, deliveries: 180 },
    ...{ lost: 0, duplicates: 0, strange: 0, refused: {}, closed: {} },
  });
  expect(seconds).toBeGreaterThanOrEqual(1);
  expect(publishesPerSecond).toBeCloseTo(60 / seconds);
  expect(deliveriesPerSecond).toBeCloseTo(180 / seconds);
  expect(latency.p50).toBeGreaterThan(0);
  expect(latency.p99).toBeGreaterThanOrEqual(latency.p50);
  expect(latency.max).toBeGreaterThanOrEqual(latency.p99);
  expect(self.cpu).toBeGreaterThan(0);
});

test("what a person reads has each figure on a line", async () => {
  const { url } = await serve();
  const { code, stdout } = await runCli(["bench", url, "--seconds", "1"]);
  expect(code).toBe(0);
  expect(linesOf(stdout)).toEqual([
    "clients       subscribers 10, publishers 1, channels 1",
    expect.stringMatching(/^publishes\/s {3}[\d.]+ of 20, 20 acknowledged$/),
    expect.stringMatching(/^deliveries\/s {2}[\d.]+, 200 in \d\.\d s$/),
    expect.stringMatching(/^latency {7}p50 [\d.]+ ms, p99 [\d.]+ ms, max [\d.]+ ms$/),
    "lost          0",
    "duplicates    0",
    expect.stringMatching(/^this process {2}\d+ % of a CPU, [\d.]+ ms late at most/),
  ]);
});

test("publishes that a server refuses are said by their code, and are not lost", async () => {
  const folder = await mkdtemp(join(tmpdir(), "messageloop-bench-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "config.yaml");
  await writeFile(file, "limits: { publishes_per_second: 5 }\n");
  const { url } = await serve("--config", file);
  const args = ["bench", url, "--seconds", "1", "--rate", "50", "--json"];
  const { code, stdout } = await runCli(args);
  const { acknowledged, publishes, refused, lost } = JSON.parse(stdout);
  expect([code, publishes, lost]).toEqual([1, 50, 0]);
  expect(acknowledged).toBeGreaterThanOrEqual(5);
  expect(refused).toEqual({ RATE_LIMITED: 50 - acknowledged });
});

test("a server that goes away is said, with the connections that it ended", async () => {
  const server = await serve();
  const cli = startCli(["bench", server.url, "--seconds", "60", "--subscribers", "3", "--json"]);
  const metrics = `http://127.0.0.1:${server.ports.http}/metrics`;
  await expect
    .poll(async () => await (await fetch(metrics)).text(), { timeout: 20_000 })
    .toMatch(/^messageloop_deliveries_total [1-9]/m);
  server.child.kill("SIGKILL");
  await server.ended;
  // What is left to publish is refused at once: nobody waits for the rest of the minute.
  cli.child.kill("SIGINT");
  const { code, stdout } = await cli.ended;
  const { closed, deliveries } = JSON.parse(stdout);
  expect(code).toBe(1);
  expect(closed).toEqual({ 1006: 4 });
  expect(deliveries).toBeGreaterThan(0);
});

test("one that is ended early says what there was until then", async () => {
  const server = await serve();
  const cli = startCli(["bench", server.url, "--seconds", "60", "--json"]);
  const metrics = `http://127.0.0.1:${server.ports.http}/metrics`;
  await expect
    .poll(async () => await (await fetch(metrics)).text(), { timeout: 20_000 })
    .toMatch(/^messageloop_deliveries_total [1-9]\d/m);
  cli.child.kill("SIGINT");
  const { code, stdout } = await cli.ended;
  const { acknowledged, publishes, lost } = JSON.parse(stdout);
  expect([code, acknowledged, lost]).toEqual([0, publishes, 0]);
  expect(publishes).toBeGreaterThan(0);
  expect(publishes).toBeLessThan(1_200);
});

test("what is wrong on the command line is one line and exit code 2", async () => {
  const wrong: readonly (readonly [args: readonly string[], sentence: string | RegExp])[] = [
    [["bench"], "missing required argument 'url'"],
    [["bench", "http://x"], /It must be an address such as ws:\/\/localhost:9080/],
    [["bench", "ws://x", "--rate", "20001"], /It must be a whole number from 1 to 20000/],
    [["bench", "ws://x", "--subscribers", "0"], /It must be a whole number from 1 to 2000/],
    [
      ["bench", "ws://x", "--rate", "20000", "--seconds", "600"],
      /^that would be 120000000 deliveries/,
    ],
    [["bench", "ws://x", "--channel", "a..b"], /empty word/],
  ];
  const outcomes = await runLines(wrong.map(([args]) => args));
  for (const [index, [args, sentence]] of wrong.entries()) {
    const { code, stdout, stderr } = outcomes[index] as Outcome;
    expect([args, code, stdout]).toEqual([args, 2, ""]);
    expect(linesOf(stderr)).toEqual([
      sentence instanceof RegExp ? expect.stringMatching(sentence) : sentence,
    ]);
  }
});
