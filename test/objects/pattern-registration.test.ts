/** What a gateway registers of patterns: in few calls, and again where it may not have been heard. */
import { afterEach, expect, test, vi } from "vitest";
import { indexOf, LEASE_TERMS } from "../../src/objects/calls/lease-terms.ts";
import { delay } from "../support/platform.ts";
import { enter, go, opened, quiet } from "./pattern-sessions.ts";

/** A process that others keep from its turn may need more than the tool's second. */
const PATIENT = { timeout: 10_000 };

afterEach(() => {
  vi.restoreAllMocks();
});

const OVERLOADED = Object.assign(new Error("busy"), { overloaded: true });

test("concurrent subscribes share a call; a registered pattern is answered with the time of now", async () => {
  const scene = opened();
  const offsets = await Promise.all([
    enter(scene, "a.*"),
    enter(scene, "a.*"),
    enter(scene, "a.*"),
  ]);
  expect(offsets).toEqual([1_000, 1_000, 1_000]);
  vi.spyOn(Date, "now").mockReturnValue(7_777);
  expect((await scene.broker.subscribePattern("a.*")).position).toEqual({
    epoch: "time",
    offset: 7_777,
  });
  const { subscribes, rows, asked } = scene.patterns;
  expect(subscribes).toHaveLength(1);
  expect(subscribes[0]).toMatchObject({ gateway: "g1", pattern: "a.*", presence: false });
  expect(asked).toEqual([indexOf("a.1")]);
  expect(rows.get("a.*")).toMatchObject({ version: Number(subscribes[0]?.version) });
  expect(scene.broker.stats().registrations).toBe(1);
});

test("a pattern that any word may begin is registered with all indexes, from the earliest of their times", async () => {
  const scene = opened();
  scene.patterns.time = (index) => 5_000 + Number(index.slice(6));
  expect(await enter(scene, "*.typing")).toBe(5_000);
  const { subscribes, asked } = scene.patterns;
  expect(new Set(asked).size).toBe(64);
  expect(new Set(subscribes.map(({ version }) => version)).size).toBe(1);
  go(scene, "*.typing");
  await quiet(scene);
  expect(scene.patterns.unsubscribes).toHaveLength(64);
  expect(scene.patterns.rows.size).toBe(0);
});

test("who follows presence has the pattern registered anew, once", async () => {
  const scene = opened();
  const [plain, following] = [enter(scene, "a.*"), enter(scene, "a.*", true)];
  await Promise.all([plain, following]);
  expect(scene.patterns.subscribes.map(({ presence }) => presence)).toEqual([true]);
  await enter(scene, "b.*");
  await enter(scene, "b.*", true);
  await enter(scene, "b.*", true);
  expect(scene.patterns.subscribes.slice(1).map(({ presence }) => presence)).toEqual([false, true]);
  const versions = scene.patterns.subscribes.map(({ version }) => Number(version));
  expect(versions).toEqual([...versions].sort((a, b) => a - b));
  // When nobody follows any more the next sweep says so.
  scene.patterns.wanted.set("b.*", false);
  await enter(scene, "b.*");
  expect(scene.patterns.subscribes).toHaveLength(3);
  await scene.broker.sweep();
  expect(scene.patterns.subscribes.slice(3)).toMatchObject([{ pattern: "b.*", presence: false }]);
});

test("a registration is not used again once the last session has left", async () => {
  const scene = opened();
  await enter(scene, "a.*");
  go(scene, "a.*");
  await enter(scene, "a.*");
  await quiet(scene);
  const { subscribes, unsubscribes, rows } = scene.patterns;
  expect(subscribes).toHaveLength(2);
  expect(subscribes[1]?.version).toBeGreaterThan(subscribes[0]?.version ?? 0n);
  expect(unsubscribes).toEqual([]);
  expect(rows.get("a.*")?.version).toBe(Number(subscribes[1]?.version));
  go(scene, "a.*");
  await quiet(scene);
  expect(unsubscribes).toMatchObject([{ version: subscribes[1]?.version, pattern: "a.*" }]);
  expect(rows.size).toBe(0);
});

test("who leaves while the index still tells channels is unsubscribed once more when it has", async () => {
  const scene = opened();
  let told: (() => void) | undefined;
  scene.patterns.before = (method) => {
    if (method === "subscribe") return new Promise<void>((resolve) => (told = resolve));
  };
  const entering = enter(scene, "a.*");
  await vi.waitUntil(() => told !== undefined, PATIENT);
  go(scene, "a.*");
  await quiet(scene);
  // The index may have taken the subscribe after that.
  expect(scene.patterns.unsubscribes).toHaveLength(1);
  expect(scene.patterns.rows.size).toBe(1);
  told?.();
  await entering;
  await quiet(scene);
  expect(scene.patterns.unsubscribes).toHaveLength(2);
  expect(scene.patterns.rows.size).toBe(0);
});

test("who comes and goes while an end is being told is told to have gone as well", async () => {
  const scene = opened();
  await enter(scene, "a.*");
  const heard = Promise.withResolvers<void>();
  scene.patterns.before = (method) => (method === "unsubscribe" ? heard.promise : undefined);
  go(scene, "a.*");
  await vi.waitUntil(() => scene.patterns.unsubscribes.length === 1, PATIENT);
  await enter(scene, "a.*");
  go(scene, "a.*");
  heard.resolve();
  await quiet(scene);
  const { subscribes, unsubscribes, rows } = scene.patterns;
  expect(unsubscribes.map(({ version }) => version)).toEqual(
    subscribes.map(({ version }) => version),
  );
  expect(rows.size).toBe(0);
});

test("a failed call is UNAVAILABLE and is made again, and the sweep makes good what stayed", async () => {
  const scene = opened();
  let failures = 2;
  scene.patterns.before = () => {
    failures -= 1;
    if (failures >= 0) throw new Error("reset");
  };
  await enter(scene, "a.*");
  expect(scene.patterns.subscribes).toHaveLength(3);
  expect(new Set(scene.patterns.subscribes.map(({ version }) => version)).size).toBe(1);
  scene.patterns.before = () => {
    throw OVERLOADED;
  };
  await expect(enter(scene, "b.*")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(scene.patterns.rows.get("b.*")?.unsettled).toBe(true);
  scene.patterns.before = () => {};
  await scene.broker.sweep();
  expect(scene.patterns.rows.get("b.*")?.unsettled).toBe(false);
  const { length } = scene.patterns.asked;
  await scene.broker.sweep();
  expect(scene.patterns.asked).toHaveLength(length);
  scene.patterns.before = () => {
    throw OVERLOADED;
  };
  go(scene, "b.*");
  await quiet(scene);
  expect(scene.patterns.rows.has("b.*")).toBe(true);
  scene.patterns.before = () => {};
  await scene.broker.sweep();
  expect([...scene.patterns.rows.keys()]).toEqual(["a.*"]);
});

test("an index that waits for a channel may take a lease and its margin; then it has failed", async () => {
  vi.useFakeTimers();
  try {
    const { leaseMs, marginMs } = LEASE_TERMS;
    const scene = opened();
    scene.patterns.before = () => delay(leaseMs + marginMs);
    const long = enter(scene, "a.*");
    await vi.advanceTimersByTimeAsync(leaseMs + marginMs + 10);
    expect(await long).toBe(1_000);
    scene.patterns.before = () => new Promise(() => {});
    const never = enter(scene, "b.*");
    const outcome = expect(never).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await vi.advanceTimersByTimeAsync(leaseMs + marginMs + 10_000);
    await outcome;
    expect(scene.patterns.subscribes).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});

test("a gateway that slept goes on with what it had; what nobody wants any more is taken back", async () => {
  const scene = opened();
  await enter(scene, "a.*");
  await enter(scene, "b.*");
  scene.patterns.wanted.delete("b.*");
  scene.restart();
  await scene.broker.sweep();
  const { subscribes, unsubscribes, rows } = scene.patterns;
  expect(unsubscribes).toMatchObject([{ pattern: "b.*" }]);
  expect([...rows.keys()]).toEqual(["a.*"]);
  await enter(scene, "a.*");
  expect(subscribes).toHaveLength(2);
});

test("a gateway that lost its sockets does not trust what it had", async () => {
  const scene = opened();
  await enter(scene, "a.*");
  scene.patterns.wanted.clear();
  scene.restart();
  const sweep = scene.broker.sweep();
  await enter(scene, "a.*");
  await sweep;
  await quiet(scene);
  const { subscribes, unsubscribes, rows } = scene.patterns;
  expect(subscribes).toHaveLength(2);
  expect(unsubscribes).toEqual([]);
  expect(rows.get("a.*")?.version).toBe(Number(subscribes[1]?.version));
});

test("active channels of all indexes are put together", async () => {
  const scene = opened();
  scene.patterns.active = (index) => ({
    channels: index === "index-3" ? ["a", "b"] : [`c${index}`],
  });
  const since = { epoch: "time", offset: 1 };
  const all = await scene.broker.activeChannels("*.x", since, 100);
  expect([all.channels.length, all.gap]).toEqual([65, undefined]);
  expect(await scene.broker.activeChannels("*.x", since, 64)).toMatchObject({ gap: "limit" });
  expect((await scene.broker.activeChannels("*.x", since, 64)).channels).toHaveLength(64);
  expect((await scene.broker.activeChannels("a.*", since, 64)).channels).toHaveLength(1);
  const foreign = { epoch: "other", offset: 1 };
  expect(await scene.broker.activeChannels("a.*", foreign, 64)).toMatchObject({
    gap: "epoch_changed",
  });
  scene.patterns.active = (index) =>
    index === "index-9" ? { channels: [], gap: "expired" } : { channels: [] };
  expect(await scene.broker.activeChannels("**", since, 9)).toEqual({
    channels: [],
    gap: "expired",
  });
  scene.patterns.before = (_, index) => {
    if (index === "index-63") throw OVERLOADED;
  };
  await expect(scene.broker.activeChannels("**", since, 9)).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
});
