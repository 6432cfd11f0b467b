/** Events as outboxes keep them, and the outbox in memory. */
import { expect, test } from "vitest";
import { LIFECYCLE_KINDS, type LifecycleKind } from "../../src/engine/ports/lifecycle.ts";
import { MemoryOutbox } from "../../src/hooks/memory-outbox.ts";
import { decodeEvent, encodeEvent, lostEnd } from "../../src/hooks/outbox.ts";
import { seed, seededRandom, steps } from "../support/random.ts";
import { event } from "./scene.ts";

test("an event comes back as it was, of whichever kind", () => {
  for (const kind of LIFECYCLE_KINDS) {
    const one = event("s", kind, { channel: "a.\u00e4", code: 3512, reason: "r", sequence: 7 });
    expect(decodeEvent(encodeEvent(one))).toEqual(one);
  }
});

test("the end of a session that is lost is of the time at which that was found out", () => {
  const connected = event("s", "connected");
  const lost = decodeEvent(encodeEvent(lostEnd(connected, "end")), 1_800_000_000_000);
  expect(lost).toEqual({
    ...connected,
    id: "end",
    kind: "disconnected",
    code: 1006,
    time: 1_800_000_000_000,
  });
});

test("what is no event that could be sent is none", () => {
  const good = event("s", "connected");
  for (const bad of [
    { ...good, kind: "moved" as LifecycleKind },
    { ...good, id: "" },
    { ...good, time: 2 ** 60 },
    { ...good, sequence: 2 ** 60 },
  ]) {
    expect(decodeEvent(encodeEvent(bad))).toBeUndefined();
  }
  expect(decodeEvent(Uint8Array.of(255))).toBeUndefined();
  expect(decodeEvent(encodeEvent({ ...good, time: 0 }), Number.NaN)).toBeUndefined();
  expect(decodeEvent(encodeEvent(good), 0, Number.NaN)).toBeUndefined();
});

test("the outbox in memory gives out what was added and not removed, whatever else there is", () => {
  const random = seededRandom(seed());
  const outbox = new MemoryOutbox(500);
  const model: string[] = [];
  let dropped = 0;
  for (let step = 0; step < steps(4_000); step++) {
    if (random.chance(0.55)) {
      const one = event("s", "subscribed");
      outbox.add([one]);
      model.push(one.id);
      if (model.length > 500) {
        model.shift();
        dropped += 1;
      }
    } else if (random.chance(0.5)) {
      // From the front, or somewhere: one backend may be faster than another.
      const rows = outbox.read(undefined, random.int(20) + 1).rows;
      const taken = random.chance(0.5) ? rows : rows.slice(-1);
      outbox.remove(taken);
      for (const row of taken) model.splice(model.indexOf(row.event.id), 1);
    } else if (model.length > 0) {
      let after: number | string | undefined;
      const seen: string[] = [];
      for (;;) {
        const { rows, next } = outbox.read(after, 64);
        if (next === undefined) break;
        seen.push(...rows.map((row) => row.event.id));
        after = next;
      }
      expect(seen).toEqual(model);
    }
    expect(outbox.size).toBe(model.length);
  }
  expect(outbox.overflowed).toBe(dropped);
});
