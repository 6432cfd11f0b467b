/** Every transition of a cursor's table, and what follows from what was read. */
import { expect, test } from "vitest";
import {
  ask,
  begunAt,
  begunBy,
  type CursorState,
  caughtUp,
  following,
  heard,
  isBehind,
  isPlaced,
  isUnheard,
  opened,
  type Placed,
  reading,
  UNKNOWN,
} from "../../../src/brokers/redis/channel/cursor-state.ts";
import type { Notice } from "../../../src/brokers/redis/reply.ts";
import { change, entries, entry, found, line, place } from "./notices.ts";

const AT_5 = following({ name: "following", log: place("e1", 5), presence: 7 });
const READING = reading(AT_5);
const HEARING: Placed = { ...READING, name: "hearing", awaited: place("e1", 8) };

/** A life of which changes of presence alone were heard. */
function presenceAt(presence: number | undefined): CursorState {
  return { name: "presence", log: { epoch: "e1", generation: 1 }, presence };
}

function at(offset: number, presence: number | undefined, epoch = "e1"): Placed {
  return following({ name: "following", log: place(epoch, offset), presence });
}

test.each<[string, CursorState, Notice, CursorState, string]>([
  ["unknown, any entry", UNKNOWN, entry(1), UNKNOWN, "kept"],
  ["unknown, any change", UNKNOWN, change(2, 1), UNKNOWN, "kept"],
  ["presence, the first entry", presenceAt(7), entry(4), at(4, 7), "e1:4"],
  ["presence, the first change", presenceAt(undefined), change(7, 3), presenceAt(7), "+7"],
  ["presence, the next change", presenceAt(7), change(9, 7), presenceAt(9), "+9"],
  ["presence, a known change", presenceAt(7), change(7, 3), presenceAt(7), "nothing"],
  ["presence, a change after a hole", presenceAt(7), change(9, 8), UNKNOWN, "kept"],
  ["presence, another life", presenceAt(7), entry(1, "e2"), UNKNOWN, "kept"],
  ["following, the next entry", AT_5, entry(6), at(6, 7), "e1:6"],
  ["following, a known entry", AT_5, entry(5), AT_5, "nothing"],
  ["following, an entry after a hole", AT_5, entry(7), READING, "kept"],
  ["following, a later life", AT_5, entry(1, "e2"), READING, "kept"],
  ["following, a change of a later life", AT_5, change(9, 7, "e2"), READING, "kept"],
  ["following, the next change", AT_5, change(9, 7), at(5, 9), "+9"],
  ["following, a known change", AT_5, change(6, 5), AT_5, "nothing"],
  ["following, a change after a hole", AT_5, change(9, 8), READING, "kept"],
  ["following, the first change", at(5, undefined), change(9, 8), at(5, 9), "+9"],
  ["reading, the next entry", READING, entry(6), READING, "kept"],
  ["reading, the next change", READING, change(9, 7), READING, "kept"],
  ["hearing, an earlier entry", HEARING, entry(7), HEARING, "kept"],
  ["hearing, a change", HEARING, change(9, 7), HEARING, "kept"],
  ["hearing, the awaited entry of another life", HEARING, entry(8, "e2"), HEARING, "kept"],
  ["hearing, the awaited entry", HEARING, entry(8), READING, "kept"],
  ["hearing, a later entry", HEARING, entry(9), READING, "kept"],
  ["hearing, to read again", ask(HEARING), entry(8), reading(AT_5, true), "kept"],
])("a message: %s", (_, state, notice, next, outcome) => {
  const step = heard(state, notice);
  expect(step.state).toEqual(next);
  const delivered = step.delivery === undefined ? "nothing" : line(step.delivery);
  expect(step.kept ? "kept" : delivered).toBe(outcome);
  expect(step.kept && step.delivery !== undefined).toBe(false);
});

test.each<[string, CursorState, CursorState]>([
  ["unknown", UNKNOWN, UNKNOWN],
  ["presence", presenceAt(7), UNKNOWN],
  ["following", AT_5, READING],
  ["reading", READING, reading(AT_5, true)],
  ["hearing", HEARING, { ...HEARING, again: true }],
])("asked to read: %s", (_, state, asked) => {
  expect(ask(state)).toEqual(asked);
});

test("a channel begins with what is heard first of it", () => {
  expect(begunBy(entry(4))).toEqual(at(3, undefined));
  expect(begunBy(change(9, 7))).toEqual(presenceAt(undefined));
});

test("a channel begins at a place, with what is known of presence in that life", () => {
  expect(begunAt(UNKNOWN, place("e1", 4))).toEqual(at(4, undefined));
  expect(begunAt(presenceAt(9), place("e1", 4))).toEqual(at(4, 9));
  expect(begunAt(presenceAt(9), place("e2", 4))).toEqual(at(4, undefined, "e2"));
});

test("the answer of a channel is where a node begins, unless something of that life was heard before", () => {
  const answer = { place: place("e1", 8), presence: 9 };
  expect(opened(UNKNOWN, answer, [])).toEqual(at(8, 9));
  expect(opened(UNKNOWN, answer, [entry(6), entry(7), change(8, 3), change(9, 8)])).toEqual(
    at(5, 3),
  );
  expect(opened(UNKNOWN, answer, [entry(9)])).toEqual(at(8, 9));
  expect(opened(UNKNOWN, answer, [entry(2, "e2"), change(1, 0, "e2")])).toEqual(at(8, 9));
  expect(opened(presenceAt(7), answer, [])).toEqual(at(8, 7));
  expect(opened(presenceAt(7), { ...answer, place: place("e2", 8) }, [])).toEqual(at(8, 9, "e2"));
});

test("a node is behind a channel that has another life, a later entry or a later change", () => {
  const behind = (state: CursorState, epoch: string, offset: number, presence: number) =>
    isBehind(state, { place: place(epoch, offset), presence });
  expect(behind(UNKNOWN, "e1", 9, 9)).toBe(false);
  expect(behind(AT_5, "e1", 5, 7)).toBe(false);
  expect(behind(AT_5, "e1", 4, 6)).toBe(false);
  expect(behind(AT_5, "e1", 6, 7)).toBe(true);
  expect(behind(AT_5, "e1", 5, 8)).toBe(true);
  expect(behind(AT_5, "e2", 0, 0)).toBe(true);
  expect(behind(at(5, undefined), "e1", 5, 8)).toBe(false);
  expect(behind(presenceAt(7), "e1", 9, 7)).toBe(false);
  expect(behind(presenceAt(7), "e1", 9, 8)).toBe(true);
  expect(behind(presenceAt(7), "e2", 0, 0)).toBe(true);
});

test("the newest entry is unheard where neither the log has any after the place nor it was heard", () => {
  expect(isUnheard(READING, found(place("e1", 8)), [])).toBe(true);
  expect(isUnheard(READING, found(place("e1", 8)), [entry(7), change(9, 8)])).toBe(true);
  expect(isUnheard(READING, found(place("e1", 8)), [entry(8)])).toBe(false);
  expect(isUnheard(READING, found(place("e1", 8), [8]), [])).toBe(false);
  expect(isUnheard(READING, found(place("e1", 5)), [])).toBe(false);
  expect(isUnheard(READING, found(place("e2", 2)), [])).toBe(true);
  expect(isUnheard(READING, found(place("e2", 0)), [])).toBe(false);
});

test("a state with a place is one of three", () => {
  expect([UNKNOWN, presenceAt(7), AT_5, READING, HEARING].map(isPlaced)).toEqual([
    ...[false, false],
    ...[true, true, true],
  ]);
  expect(following(HEARING)).toEqual(AT_5);
  expect(reading(HEARING)).toEqual(READING);
});

/** What follows for a node at e1:5 and presence 7. */
function caught(read: ReturnType<typeof found>, kept: readonly Notice[] = [], state = READING) {
  const { state: next, deliveries, ...facts } = caughtUp(state, read, kept);
  const { name, log, presence, again } = next;
  return { lines: deliveries.map(line), next: { name, log, presence, again }, ...facts };
}

const STAYED = { moved: false, lacksPresence: false };

test("what was read and what was kept become one run", () => {
  expect(caught(found(place("e1", 7), [6, 7]), [entry(7), entry(8)])).toEqual({
    lines: ["e1:6,7"],
    next: { name: "reading", log: place("e1", 7), presence: 7, again: false },
    ...STAYED,
  });
  // What the log does not keep may have been heard.
  expect(caught(found(place("e1", 8), [6]), [entry(7), entry(8)])).toEqual({
    lines: ["e1:6"],
    next: { name: "reading", log: place("e1", 6), presence: 7, again: true },
    ...STAYED,
  });
  expect(caught(found(place("e1", 8)), [entry(7), entry(8)]).lines).toEqual([
    "head_trimmed e1:5 e1:6",
    "e1:7,8",
  ]);
});

test("each hole is one gap, in the order of the log", () => {
  const read = found(place("e1", 12), [8, 9, 12], { reason: "expired" });
  expect(caught(read, [entry(6)])).toEqual({
    lines: ["e1:6", "expired e1:6 e1:7", "e1:8,9", "expired e1:9 e1:11", "e1:12"],
    next: { name: "reading", log: place("e1", 12), presence: 7, again: false },
    ...STAYED,
  });
  const huge = found(place("e1", Number.MAX_SAFE_INTEGER - 1));
  expect(caught(huge).lines).toEqual([`head_trimmed e1:5 e1:${Number.MAX_SAFE_INTEGER - 1}`]);
});

test("nothing new is nothing, and a log that was not read to its head is read again", () => {
  expect(caught(found(place("e1", 5)), [entry(4)])).toEqual({
    lines: [],
    next: { name: "reading", log: place("e1", 5), presence: 7, again: false },
    ...STAYED,
  });
  expect(caught(found(place("e1", 9), [6, 7])).next.again).toBe(true);
  expect(caught(found(place("e1", 7), [6, 7]), [], reading(AT_5, true)).next.again).toBe(true);
});

test("another life begins with the rest of the one before, and a gap up to its first entry", () => {
  const tail = { tail: entries(6) };
  expect(caught(found(place("e2", 3), [1, 2, 3], tail), [entry(7), entry(9)])).toEqual({
    lines: ["e1:6,7", "epoch_changed e1:7 e2:0", "e2:1,2,3"],
    next: { name: "reading", log: place("e2", 3), presence: 7, again: false },
    moved: true,
    lacksPresence: true,
  });
  expect(caught(found(place("e2", 4), [3, 4])).lines).toEqual([
    "epoch_changed e1:5 e2:2",
    "e2:3,4",
  ]);
  expect(caught(found(place("e2", 4)), [entry(4, "e2")]).lines).toEqual([
    "epoch_changed e1:5 e2:3",
    "e2:4",
  ]);
  expect(caught(found(place("e2", 4)), [entry(6, "e2")])).toMatchObject({
    lines: ["epoch_changed e1:5 e2:4"],
    next: { log: place("e2", 4) },
  });
  expect(caught(found(place("e2", 0))).lines).toEqual(["epoch_changed e1:5 e2:0"]);
});

test("changes that were kept come after the entries, and changes that were missed are asked for", () => {
  const kept = [change(8, 7), change(9, 8), change(9, 8), change(3, 2, "e2")];
  expect(caught(found(place("e1", 6), [6], { presence: 9 }), kept)).toEqual({
    lines: ["e1:6", "+8 +9"],
    next: { name: "reading", log: place("e1", 6), presence: 9, again: false },
    ...STAYED,
  });
  expect(caught(found(place("e1", 5), [], { presence: 9 }), [change(9, 8)])).toMatchObject({
    lines: [],
    next: { presence: 7 },
    lacksPresence: true,
  });
  const unknown = reading(at(5, undefined));
  expect(caught(found(place("e1", 5), [], { presence: 9 }), [], unknown)).toMatchObject(STAYED);
});
