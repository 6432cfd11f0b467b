/** Gaps and slow consumers one by one: by channel, bounded, and as what they were when they happened. */
import { expect, test } from "vitest";
import { Incidents, MAX_INCIDENTS } from "../../src/engine/ports/incidents.ts";
import { sized } from "../../src/protocol/publication-frames.ts";
import { connect, scene, sceneWith } from "./scene.ts";

const gap = (channel: string, at: number, sessionId = "s") =>
  ({ kind: "gap", channel, reason: "expired", sessionId, at }) as const;

test("what happens in a channel within ten seconds is one, and what comes later is another", () => {
  const incidents = new Incidents();
  incidents.note(gap("a", 1_000, "s1"));
  incidents.note(gap("b", 2_000));
  incidents.note({ ...gap("a", 3_000), reason: "limit" });
  for (let i = 0; i < 5_000; i++) incidents.note(gap("a", 10_999, `s${i}`));
  incidents.note(gap("a", 11_000));
  incidents.note(gap("a", 12_000));
  expect(
    incidents
      .latest()
      .map(({ channel, reason, began, at, count }) => [channel, reason, began, at, count]),
  ).toEqual([
    ["a", "expired", 1_000, 10_999, 5_001],
    ["b", "expired", 2_000, 2_000, 1],
    ["a", "limit", 3_000, 3_000, 1],
    ["a", "expired", 11_000, 12_000, 2],
  ]);
  expect(incidents.latest()[0]?.sessionId).toBe("s4999");
  expect(incidents.latest(1)[0]?.began).toBe(11_000);
});

test("the newest hundred are kept, whatever their channels are called", () => {
  const incidents = new Incidents();
  for (let i = 0; i < 10_000; i++) incidents.note(gap(`c${i % 150}`, i * 100));
  const kept = incidents.latest();
  expect(kept).toHaveLength(MAX_INCIDENTS);
  expect(kept.map(({ channel }) => channel)).toEqual(
    Array.from({ length: MAX_INCIDENTS }, (_, i) => `c${(9_900 + i) % 150}`),
  );
  // One that was let go begins anew, and one that is there goes on.
  incidents.note(gap("c120", 1_000_000));
  incidents.note(gap("c99", 1_000_001));
  expect(incidents.latest(2).map(({ channel, count }) => [channel, count])).toEqual([
    ["c99", 2],
    ["c120", 1],
  ]);
  expect(incidents.latest()).toHaveLength(MAX_INCIDENTS);
});

test("a gap is one of its channel, and a slow consumer one of each channel that it had", async () => {
  const { broker, clock, engine, session, transport } = scene();
  await connect(session, "news", "chat.**");
  broker.handler.gap("news", {
    reason: "head_trimmed",
    after: { epoch: "e", offset: 0 },
    until: { epoch: "e", offset: 3 },
  });
  clock.time += 5;
  session.write({ ...sized("x"), bytes: 40 * 1024 * 1024 });
  expect(transport.closed?.code).toBe(3510);
  const met = engine.counters.incidents.latest();
  expect(
    met.map(({ kind, channel, reason, at, sessionId }) => [kind, channel, reason, at, sessionId]),
  ).toEqual([
    ["gap", "news", "head_trimmed", 1_000_000, "s"],
    ["slow_consumer", "news", "", 1_000_005, "s"],
    ["slow_consumer", "chat.**", "", 1_000_005, "s"],
  ]);
  expect("incidents" in engine.stats()).toBe(false);
});

test("a slow consumer of a thousand channels is one of eight, and one of none is one", async () => {
  const channels = Array.from({ length: 50 }, (_, i) => `c${i}`);
  const many = scene();
  await connect(many.session, ...channels);
  many.session.close({ code: 3510, reason: "slow consumer" });
  expect(many.engine.counters.incidents.latest().map(({ channel }) => channel)).toEqual(
    channels.slice(0, 8),
  );
  const none = sceneWith(scene().broker);
  await connect(none.session);
  none.session.close({ code: 3510, reason: "slow consumer" });
  expect(none.engine.counters.incidents.latest()).toMatchObject([{ channel: "", count: 1 }]);
});
