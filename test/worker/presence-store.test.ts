/** Presence on a Durable Object's SQLite: the shared cases, and what a join and a leave cost. */
import { expect, test } from "vitest";
import { ChannelPresence } from "../../src/channels/presence.ts";
import { SqlPresenceStore } from "../../src/worker/channel/presence-store.ts";
import { presenceStoreSuite } from "../conformance/presence-store-suite.ts";
import { counted, withSql } from "./sql.ts";

presenceStoreSuite(async (run) => {
  await withSql((sql) => run(new SqlPresenceStore(sql), () => new SqlPresenceStore(sql)));
});

test("a join writes one row and so does a leave; a drop and its grace write one each", async () => {
  await withSql((sql) => {
    const counting = counted(sql);
    const clock = { time: 1, now: () => clock.time };
    const presence = new ChannelPresence(new SqlPresenceStore(counting), clock, 100);
    const costs = (step: () => unknown): number => {
      const before = counting.written;
      step();
      return counting.written - before;
    };
    const names = { userId: "u", clientId: "c" };
    expect(costs(() => presence.join("n", { sessionId: "a", ...names }))).toBe(1);
    expect(costs(() => presence.join("n", { sessionId: "a", ...names }))).toBe(0);
    expect(costs(() => presence.join("n", { sessionId: "b", ...names }))).toBe(1);
    expect(costs(() => presence.leave("a", true))).toBe(1);
    expect(costs(() => presence.leave("b", false))).toBe(1);
    clock.time += 100;
    expect(costs(() => presence.expire())).toBe(1);
    expect(costs(() => presence.snapshot(10))).toBe(0);
  });
});
