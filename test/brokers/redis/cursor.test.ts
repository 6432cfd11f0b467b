/** What a cursor asks for and hands over, with Redis and time in the test's hand. */
import { expect, test } from "vitest";
import { HEARING_MS, RedisCursor } from "../../../src/brokers/redis/channel/cursor.ts";
import type { CatchUp, Delivery } from "../../../src/brokers/redis/channel/cursor-state.ts";
import type { Place } from "../../../src/brokers/redis/reply.ts";
import type { BrokerHandler, PresenceSnapshot } from "../../../src/engine/ports/broker.ts";
import { MAX_QUEUED_BYTES } from "../../../src/protocol/limits.ts";
import { Time } from "../../objects/time.ts";
import { change, entry, found, line, place } from "./notices.ts";

/** A cursor of a node that has been asked nothing yet. */
function scene() {
  const time = new Time();
  const lines: string[] = [];
  const reads: { from: Place; answer: PromiseWithResolvers<CatchUp | undefined> }[] = [];
  const failures: unknown[] = [];
  const asked: string[] = [];
  const told = (delivery: Delivery): void => {
    lines.push(line(delivery));
  };
  const handler: BrokerHandler = {
    publications: (_, epoch, some) => told({ kind: "entries", epoch, entries: [...some] }),
    gap: (_, gap) => told({ kind: "gap", gap }),
    presence: (_, epoch, changes) => told({ kind: "presence", epoch, changes: [...changes] }),
    presenceLost: (_, epoch, snapshot) =>
      told({ kind: "snapshot", snapshot: { epoch, ...snapshot } }),
    transients: () => {},
    patternGap: () => {},
  };
  const at = { members: { epoch: "e1", generation: 0, total: 0, members: [] } as PresenceSnapshot };
  const cursor: RedisCursor = new RedisCursor({
    channel: "room",
    timers: time,
    handler: () => handler,
    flushSoon: () => asked.push("flush"),
    catchUp: (from) => {
      const answer = Promise.withResolvers<CatchUp | undefined>();
      reads.push({ from, answer });
      return answer.promise;
    },
    presence: async () => at.members,
    moved: async () => {
      asked.push("moved");
    },
    failed: (error) => failures.push(error),
    warn: (message) => asked.push(message),
  });
  /** Lets what follows happen. */
  const turn = (): Promise<unknown> => new Promise(setImmediate);
  return {
    ...{ time, cursor, handler, reads, failures, asked, at, turn },
    /** Answers the read that waits. */
    answer: async (answer: CatchUp | undefined) => {
      reads.at(-1)?.answer.resolve(answer);
      await turn();
    },
    /** What is handed over now. */
    handed: () => {
      cursor.flush();
      return lines.splice(0);
    },
  };
}

/** A cursor that follows e1 from offset 5, with presence 7. */
async function followed() {
  const one = scene();
  const head = await one.cursor.opened({ place: place("e1", 5), presence: 7 });
  expect(head).toEqual({ epoch: "e1", offset: 5 });
  return one;
}

test("what one turn brings is handed over together, and asked for once", async () => {
  const { cursor, asked, handed } = await followed();
  for (const notice of [entry(6), entry(7), change(9, 7), change(10, 9), entry(8)])
    cursor.take(notice);
  expect(asked).toEqual(["flush"]);
  expect(cursor.position).toEqual({ epoch: "e1", offset: 5 });
  expect(handed()).toEqual(["e1:6,7", "+9 +10", "e1:8"]);
  expect(cursor.position).toEqual({ epoch: "e1", offset: 8 });
  cursor.take(entry(9));
  expect(asked).toEqual(["flush", "flush"]);
});

test("a hole is read once, and what is heard meanwhile comes after it without another read", async () => {
  const { cursor, reads, answer, handed } = await followed();
  cursor.take(entry(8));
  cursor.take(entry(9));
  expect(reads.map(({ from }) => from)).toEqual([place("e1", 5)]);
  cursor.take(entry(10));
  await answer(found(place("e1", 9), [6, 7, 8, 9]));
  expect(handed()).toEqual(["e1:6,7,8,9,10"]);
  cursor.take(entry(11));
  expect(handed()).toEqual(["e1:11"]);
  expect(reads).toHaveLength(1);
});

test("whoever asks while the log is read has it read once more", async () => {
  const { cursor, reads, answer, handed, turn } = await followed();
  const done: string[] = [];
  const first = cursor.catchUp().then(() => done.push("first"));
  const second = cursor.catchUp().then(() => done.push("second"));
  await answer(found(place("e1", 6), [6]));
  expect([reads.length, done]).toEqual([2, []]);
  await answer(found(place("e1", 7), [7]));
  await turn();
  expect(done).toEqual(["first", "second"]);
  await Promise.all([first, second]);
  expect(handed()).toEqual(["e1:6,7"]);
  expect(reads).toHaveLength(2);
});

test("a log that is too long for one answer is read to its head", async () => {
  const { reads, cursor, answer, handed } = await followed();
  cursor.take(entry(9));
  await answer(found(place("e1", 9), [6, 7]));
  expect(reads.map(({ from }) => from.offset)).toEqual([5, 7]);
  await answer(found(place("e1", 9), [8, 9]));
  expect(handed()).toEqual(["e1:6,7,8,9"]);
});

test("a read that fails leaves what was heard, and the next message that is not in step reads again", async () => {
  const { cursor, reads, failures, answer, handed, turn } = await followed();
  cursor.take(entry(7));
  reads[0]?.answer.reject(new Error("refused"));
  await turn();
  expect(failures).toHaveLength(1);
  cursor.take(entry(6));
  expect(handed()).toEqual(["e1:6"]);
  cursor.take(entry(8));
  expect(reads[1]?.from).toEqual(place("e1", 6));
  // The log keeps nothing: what was heard is all there is.
  await answer(found(place("e1", 8)));
  expect(handed()).toEqual(["e1:7,8"]);
});

test("what a reset channel was still waiting for changes nothing", async () => {
  const { cursor, reads, answer, handed, turn } = await followed();
  cursor.take(entry(6));
  cursor.take(entry(8));
  cursor.reset();
  expect(handed()).toEqual([]);
  expect([cursor.position, cursor.placed, cursor.log]).toEqual([undefined, false, undefined]);
  await cursor.opened({ place: place("e1", 20), presence: 7 });
  cursor.take(entry(22));
  const [old, fresh] = reads;
  old?.answer.resolve(found(place("e1", 8), [6, 7, 8]));
  await turn();
  expect(handed()).toEqual([]);
  expect(fresh?.from).toEqual(place("e1", 20));
  await answer(found(place("e1", 22), [21, 22]));
  expect(handed()).toEqual(["e1:21,22"]);
});

test("a handler that ends the interest hears nothing more of what waited", async () => {
  const { cursor, handler, handed } = await followed();
  cursor.take(entry(6));
  cursor.take(change(9, 7));
  const { publications } = handler;
  handler.publications = (...all) => {
    publications(...all);
    cursor.reset();
  };
  expect(handed()).toEqual(["e1:6"]);
  expect(cursor.position).toBeUndefined();
});

test("an entry that is in no log is waited for, and is a gap where it does not come", async () => {
  const { cursor, time, answer, handed, asked } = await followed();
  cursor.take(entry(7));
  await answer(found(place("e1", 8)));
  expect(handed()).toEqual([]);
  cursor.take(entry(8));
  await time.pass(0);
  expect(handed()).toEqual(["head_trimmed e1:5 e1:6", "e1:7,8"]);
  expect(asked).toContain("hole in a channel");
  const later = cursor.catchUp();
  await answer(found(place("e1", 10)));
  await time.pass(HEARING_MS - 1);
  expect(handed()).toEqual([]);
  await time.until(later);
  expect(handed()).toEqual(["head_trimmed e1:8 e1:10"]);
});

test("a channel that is left while an entry is waited for is not waited for any longer", async () => {
  const { cursor, time, answer, handed } = await followed();
  const caught = cursor.catchUp();
  await answer(found(place("e1", 8)));
  cursor.reset();
  await caught;
  await time.pass(2 * HEARING_MS);
  expect(handed()).toEqual([]);
  expect(cursor.placed).toBe(false);
});

test("another life is told, Redis has the members anew, and presence is what holds now", async () => {
  const { cursor, answer, handed, asked, at } = await followed();
  at.members = { epoch: "e2", generation: 30, total: 0, members: [] };
  cursor.take(entry(1, "e2"));
  await answer(found(place("e2", 1), [1]));
  expect(asked).toEqual(["flush", "moved"]);
  expect(handed()).toEqual(["epoch_changed e1:5 e2:0", "e2:1", "all 30"]);
  cursor.take(change(31, 30, "e2"));
  cursor.take(change(30, 29, "e2"));
  expect(handed()).toEqual(["+31"]);
});

test("an answer of another life is caught up with before it is given to subscribers", async () => {
  const { cursor, answer, at, turn } = await followed();
  at.members = { epoch: "e2", generation: 30, total: 0, members: [] };
  const head = cursor.opened({ place: place("e2", 3), presence: 9 });
  await answer(found(place("e2", 4), [4]));
  await turn();
  // It has gone on meanwhile, in the life of the answer.
  expect(await head).toEqual({ epoch: "e2", offset: 3 });
  const again = cursor.opened({ place: place("e1", 3), presence: 9 });
  await answer(found(place("e2", 4)));
  expect(await again).toEqual({ epoch: "e2", offset: 4 });
});

test("what is kept of a channel without a place is handed over once there is one", async () => {
  const { cursor, reads, handed } = scene();
  cursor.wait(entry(6));
  cursor.wait(entry(7));
  expect(cursor.firstHeard("e1")).toBe(6);
  expect(handed()).toEqual([]);
  cursor.beginAt(place("e1", 5));
  expect(handed()).toEqual(["e1:6,7"]);
  expect(reads).toEqual([]);
});

test("a channel that nothing was missed of begins with what was kept first", () => {
  const { cursor, handed } = scene();
  cursor.beginHeard();
  expect(cursor.placed).toBe(false);
  cursor.wait(entry(6));
  cursor.wait(entry(7));
  cursor.beginHeard();
  expect(handed()).toEqual(["e1:6,7"]);
  cursor.takeFirst(entry(8));
  expect(handed()).toEqual(["e1:8"]);
});

test("a channel of a pattern that changes its life while presence alone is known goes on at once", () => {
  const { cursor, reads, handed } = scene();
  cursor.takeFirst(change(9, 8));
  expect(cursor.log).toEqual({ epoch: "e1", generation: 1 });
  // Nothing says where in the next life it is, and the next message of the same turn does.
  cursor.takeFirst(entry(4, "e2"));
  cursor.takeFirst(entry(5, "e2"));
  expect(handed()).toEqual(["+9", "e2:4,5"]);
  expect(reads).toEqual([]);
});

test("where too much was kept the log is read from the place that is found", async () => {
  const { cursor, reads, answer, handed } = scene();
  cursor.wait(entry(6, "e1", MAX_QUEUED_BYTES));
  cursor.wait(entry(7, "e1"));
  expect(cursor.firstHeard("e1")).toBe(7);
  cursor.beginAt(place("e1", 5));
  expect(reads.map(({ from }) => from)).toEqual([place("e1", 5)]);
  await answer(found(place("e1", 7), [6, 7]));
  expect(handed()).toEqual(["e1:6,7"]);
});

test("what was kept while the log was read is forgotten where it is too much, and read again", async () => {
  const { cursor, reads, answer, handed } = await followed();
  cursor.take(entry(7));
  cursor.take(entry(8, "e1", MAX_QUEUED_BYTES));
  await answer(found(place("e1", 7), [6, 7]));
  expect(reads.map(({ from }) => from.offset)).toEqual([5, 8]);
  await answer(found(place("e1", 8)));
  expect(handed()).toEqual(["e1:6,7,8"]);
});
