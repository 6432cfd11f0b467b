/** What gateways report of themselves to the counters of their region, and what the counters make of it. */
import { expect, test } from "vitest";
import type { Incident } from "../../src/engine/ports/incidents.ts";
import { renderRegions, figuresOf as seriesOfGateway } from "../../src/http/metrics/regions.ts";
import { countAt, figuresOf, type RegionFigures } from "../../src/objects/calls/directory-calls.ts";
import { FiguresReporter, reportsOf } from "../../src/objects/gateway/figures.ts";
import type { StatsStub } from "../../src/objects/ports/calls.ts";
import { Cluster, REGIONS } from "./cluster.ts";

const [REGION] = REGIONS;

function scene() {
  const cluster = new Cluster({}, true);
  const place = cluster.stats(REGION);
  const stub: StatsStub = {
    report: async (request) => place.object.report(request),
    list: async (request) => place.object.list(request),
    count: async (request) => {
      calls.push(cluster.time.now() - start);
      if (failing.now) throw Object.assign(new Error("reset"), { remote: true, retryable: true });
      place.object.count(request);
    },
    figures: async (request) => place.object.figures(request),
  };
  /** When reports came, in milliseconds since the start. */
  const calls: number[] = [];
  const start = cluster.time.now();
  const failing = { now: false };
  const seen = (): Promise<RegionFigures> => cluster.time.until(figuresOf(stub));
  const figures = { sessions: 0, publishes_total: 0 };
  const reporter = (life: string) =>
    new FiguresReporter({
      gateway: "g",
      region: REGION,
      life,
      calls: { stats: () => stub },
      platform: cluster.platform,
      figures: () => ({
        gauges: { sessions: figures.sessions },
        counters: { publishes_total: figures.publishes_total },
      }),
    });
  return { cluster, place, stub, calls, failing, figures, reporter, seen };
}

test("a busy gateway reports once in ten seconds, and the last report has everything", async () => {
  const { cluster, calls, figures, reporter, seen } = scene();
  const one = reporter("l1");
  for (let i = 1; i <= 350; i++) {
    figures.publishes_total = i;
    figures.sessions = i % 7;
    one.changed();
    await cluster.time.pass(100);
  }
  await cluster.time.pass(10_000);
  expect(calls).toEqual([1_000, 11_000, 21_000, 31_000, 41_000]);
  expect(await seen()).toMatchObject({
    gateways: 0,
    figures: { sessions: 0, publishes_total: 350 },
  });
  // It sleeps: no timer is left, and none comes of events that change nothing.
  one.changed();
  await cluster.time.pass(60_000);
  expect(calls).toHaveLength(5);
});

test("lives of a gateway add up, and a late call of an earlier one changes nothing", async () => {
  const { stub, seen } = scene();
  const row = { gateway: "g", gauges: { sessions: 2 } };
  const count = (life: string, time: number, total: number, sessions = 2) =>
    countAt(stub, { ...row, life, time, gauges: { sessions }, counters: { total } });
  await count("l1", 1, 5);
  await count("l1", 1, 5);
  expect((await seen()).figures).toEqual({ sessions: 2, total: 5 });
  await count("l1", 3, 7);
  await count("l1", 2, 6, 9);
  expect((await seen()).figures).toEqual({ sessions: 2, total: 7 });
  await count("l2", 4, 1);
  await count("l1", 3, 7, 9);
  await count("l2", 5, 2, 1);
  expect((await seen()).figures).toEqual({ sessions: 1, total: 9 });
  await countAt(stub, { ...row, gateway: "h", life: "m", time: 1, counters: { total: 10 } });
  expect(await seen()).toMatchObject({ gateways: 2, figures: { sessions: 3, total: 19 } });
});

test("the counters keep what gateways have reported when no channel is left", async () => {
  const { cluster, place, stub, seen } = scene();
  await countAt(stub, { gateway: "g", life: "l", time: 1, gauges: {}, counters: { total: 3 } });
  cluster.statsDisk(REGION).save({ channel: "c", members: 0, until: cluster.time.now() - 1 });
  await place.object.alarm();
  expect((await seen()).figures).toEqual({ total: 3 });
});

test("counters that do not answer are tried some times, and again at the next event", async () => {
  const { cluster, calls, failing, figures, reporter, seen } = scene();
  const one = reporter("l1");
  failing.now = true;
  figures.publishes_total = 1;
  one.changed();
  await cluster.time.pass(3_600_000);
  const tried = calls.length;
  await cluster.time.pass(3_600_000);
  // It lets the gateway sleep.
  expect(calls).toHaveLength(tried);
  expect(tried).toBeGreaterThan(4);
  failing.now = false;
  one.changed();
  await cluster.time.pass(200_000);
  expect((await seen()).figures).toEqual({ sessions: 0, publishes_total: 1 });
});

const met = (channel: string, began: number, more: Partial<Incident> = {}): Incident => ({
  kind: "gap",
  channel,
  reason: "expired",
  began,
  at: began,
  count: 1,
  sessionId: "s",
  ...more,
});

test("gateways are named where they are asked for, the busiest first, each with the figures that are asked for", async () => {
  const { stub, cluster } = scene();
  for (const [gateway, sessions] of Object.entries({ a: 1, b: 30, c: 2 })) {
    const gauges = { sessions, channels: 9 };
    await countAt(stub, { gateway, life: "l", time: sessions, gauges, counters: { total: 1 } });
    await countAt(stub, { gateway, life: "m", time: 50, gauges, counters: { total: 2 } });
  }
  const ask = { gateways: 2, figures: ["sessions", "total", "unknown"] };
  const { loads, gateways } = await cluster.time.until(figuresOf(stub, ask));
  expect(gateways).toBe(3);
  expect(loads).toEqual([
    { gateway: "b", time: 50, figures: { sessions: 30, total: 3, unknown: 0 }, incidents: [] },
    { gateway: "c", time: 50, figures: { sessions: 2, total: 3, unknown: 0 }, incidents: [] },
  ]);
  expect((await cluster.time.until(figuresOf(stub))).loads).toEqual([]);
});

test("what gateways have met goes on in later reports, outlives their lives, and is bounded", async () => {
  const { cluster, place, stub } = scene();
  const row = { gateway: "g", life: "l", gauges: {}, counters: {} };
  const known = async () => {
    const { loads } = await cluster.time.until(figuresOf(stub, { gateways: 9, figures: [] }));
    return loads.flatMap(({ incidents }) => incidents);
  };
  await countAt(stub, { ...row, time: 1 }, [met("a", 1)]);
  await countAt(stub, { ...row, time: 2 }, [met("a", 1, { at: 2, count: 7 }), met("b", 2)]);
  expect(await known()).toEqual([met("a", 1, { at: 2, count: 7 }), met("b", 2)]);
  const { written } = cluster.statsDisk(REGION);
  await countAt(stub, { ...row, time: 3 }, [met("a", 1, { at: 2, count: 7 }), met("b", 2)]);
  // The figures alone were written.
  expect(cluster.statsDisk(REGION).written).toBe(written + 1);
  await countAt(stub, { ...row, life: "m", time: 4 }, [met("c", 4)]);
  expect((await known()).map(({ channel }) => channel)).toEqual(["a", "b", "c"]);
  const many = Array.from({ length: 20 }, (_, i) => met(`d${i}`, 5));
  await countAt(stub, { ...row, life: "m", time: 5 }, many);
  expect(await known()).toEqual(many);
  expect(place.object).toBeDefined();
});

test("a gateway reports what it has met together with what it has counted", async () => {
  const { cluster, stub } = scene();
  const all: Incident[] = [];
  const reporter = new FiguresReporter({
    gateway: "g",
    region: REGION,
    life: "l",
    calls: { stats: () => stub },
    platform: cluster.platform,
    figures: () => ({ gauges: { sessions: 0 }, counters: {} }),
    incidents: () => all,
  });
  reporter.changed();
  await cluster.time.pass(20_000);
  all.push(met("a", 1));
  reporter.changed();
  await cluster.time.pass(20_000);
  const { loads } = await cluster.time.until(figuresOf(stub, { gateways: 1, figures: [] }));
  expect(loads[0]?.incidents).toEqual([met("a", 1)]);
});

test("a region that does not answer is undefined, and the others are as they are", async () => {
  const { cluster, stub } = scene();
  await countAt(stub, { gateway: "g", life: "l", time: 1, gauges: { sessions: 1 }, counters: {} });
  const calls = {
    stats: (region: string): StatsStub =>
      region === "gone" ? { ...stub, figures: () => new Promise<never>(() => {}) } : stub,
  };
  const all = reportsOf([REGION, "gone"], calls, cluster.platform);
  const [there, gone] = await cluster.time.until(all);
  expect(there).toMatchObject({
    region: REGION,
    report: { gateways: 1, figures: { sessions: 1 } },
  });
  expect(gone).toEqual({ region: "gone", report: undefined });
});

test("the metrics of all regions beside 10,000 channels cost at most 20 ms of a processor", async () => {
  const { cluster, stub } = scene();
  for (let i = 0; i < 10_000; i++) {
    cluster.statsDisk(REGION).save({ channel: `c.${i}`, members: 1, until: undefined });
  }
  const { gauges, counters } = seriesOfGateway(cluster.gateway("g1").engine.stats());
  for (let i = 0; i < 3; i++) {
    await countAt(stub, { gateway: `g${i}`, life: "l", time: 1, gauges, counters });
  }
  const regions = Array.from({ length: 9 }, (_, i) => `r${i}`);
  const costs: number[] = [];
  for (let i = 0; i < 9; i++) {
    const before = process.cpuUsage();
    const asked = reportsOf(regions, { stats: () => stub }, cluster.platform);
    const text = renderRegions(await cluster.time.until(asked));
    const { user, system } = process.cpuUsage(before);
    expect(text).toContain('messageloop_region_ready{region="r8"} 1');
    costs.push((user + system) / 1_000);
  }
  expect(Math.min(...costs)).toBeLessThan(20);
});
