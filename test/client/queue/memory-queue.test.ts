/** The queue of publishes in memory: what is sent when, how often, as whom, and that every promise settles. */
import { expect, test } from "vitest";
import { MessagingError } from "../../../src/protocol/errors.ts";
import { eachStep, steps } from "../../support/random.ts";
import { inStep, memoryScene, type Sent, WINDOW_MS } from "./scene.ts";

const LIMIT_MS = WINDOW_MS - 30_000;
const HOUR_MS = 3_600_000;
const limited = (metadata = {}) => new MessagingError("RATE_LIMITED", "slow down", { metadata });

test("in a session an item is sent at once, and nothing is left of it", async () => {
  const { queue, clock, add, open, of } = memoryScene();
  const session = open();
  for (let i = 0; i < 1_000; i++) add(`${i}`);
  expect(session.ids).toHaveLength(1_000);
  expect(clock.timers).toBe(0);
  for (const one of session.sent) one.answer();
  await clock.advance(0);
  expect([of["0"], of["999"]]).toEqual(["1", "1000"]);
  queue.lost();
  await clock.advance(HOUR_MS);
  expect(clock.timers).toBe(0);
});

test("without a session items wait, and leave in their order when there is one", async () => {
  const { clock, add, open, of } = memoryScene();
  for (const id of ["a", "b", "c"]) add(id);
  await clock.advance(HOUR_MS - 1);
  const session = open();
  add("d");
  expect(session.ids).toEqual(["a", "b", "c", "d"]);
  for (const one of session.sent) one.answer();
  await clock.advance(0);
  expect(of).toEqual({ a: "1", b: "2", c: "3", d: "4" });
  expect(clock.timers).toBe(0);
});

test("too many, too much and too old have reasons of their own", async () => {
  const few = memoryScene({ items: 2 });
  for (const id of ["a", "b", "c"]) few.add(id);
  await few.clock.advance(HOUR_MS - 1);
  expect(few.of).toEqual({ a: "waits", b: "waits", c: "RATE_LIMITED" });
  await few.clock.advance(1);
  expect(few.of).toEqual({ a: "UNAVAILABLE", b: "UNAVAILABLE", c: "RATE_LIMITED" });
  few.add("d");
  expect(few.open().ids).toEqual(["d"]);

  const small = memoryScene({ bytes: 1_000 });
  small.add("a", 600);
  small.add("b", 401);
  small.add("c", 400);
  await small.clock.advance(0);
  expect(small.of).toEqual({ a: "waits", b: "RATE_LIMITED", c: "waits" });

  const standard = memoryScene();
  for (let i = 0; i < 101; i++) standard.add(`${i}`);
  await standard.clock.advance(0);
  expect([standard.of["99"], standard.of["100"]]).toEqual(["waits", "RATE_LIMITED"]);
});

test("an item whose fate is unknown is sent again, and says so", async () => {
  const { queue, clock, server, add, open, of } = memoryScene();
  const first = open();
  for (const id of ["a", "b", "c"]) add(id);
  first.sent[0]?.answer();
  first.sent[1]?.arrive();
  first.lose(queue);
  add("d");
  await clock.advance(LIMIT_MS - 1);
  const second = open();
  expect(second.ids).toEqual(["b again", "c again", "d"]);
  for (const one of second.sent) one.answer();
  await clock.advance(0);
  expect(of).toEqual({ a: "1", b: "2 duplicate", c: "3", d: "4" });
  expect(server.log.map(({ id }) => id)).toEqual(["a", "b", "c", "d"]);
});

test("it is not sent any more 30 s before the server forgets it, and what was never sent is", async () => {
  const { queue, clock, add, open, of } = memoryScene();
  const first = open();
  add("a");
  first.lose(queue);
  add("b");
  await clock.advance(LIMIT_MS - 1);
  expect(of).toEqual({ a: "waits", b: "waits" });
  await clock.advance(1);
  expect(of).toEqual({ a: "OUTCOME_UNKNOWN", b: "waits" });
  expect(open().ids).toEqual(["b"]);
});

test("its age counts from the first time, however often it is sent", async () => {
  const { queue, clock, add, open, of } = memoryScene();
  open().lose(queue);
  open();
  add("a");
  let sent = 0;
  for (let at = 0; at < LIMIT_MS; at += 60_000) {
    queue.lost();
    sent += open().ids.length;
    await clock.advance(60_000);
  }
  queue.lost();
  await clock.advance(1);
  expect(sent).toBe(5);
  expect(of).toEqual({ a: "OUTCOME_UNKNOWN" });
});

test.each([0, 30_000])("a window of %i ms lets nothing be sent again", async (windowMs) => {
  const { queue, clock, server, add, open, of } = memoryScene();
  server.windowMs = windowMs;
  const first = open();
  add("a");
  add("b");
  // The answer has come; its promise has not gone on.
  first.sent[0]?.answer();
  first.lose(queue);
  add("c");
  await clock.advance(1);
  expect(of).toEqual({ a: "1", b: "OUTCOME_UNKNOWN", c: "waits" });
  expect(open().ids).toEqual(["c"]);
});

test("nothing is sent as another user", async () => {
  const { queue, clock, add, open, of } = memoryScene();
  add("early");
  const ada = open("ada");
  expect(ada.ids).toEqual(["early"]);
  add("sent");
  for (const one of ada.sent) one.arrive();
  ada.lose(queue);
  add("later");
  const bob = open("bob");
  add("own");
  await clock.advance(0);
  expect(bob.ids).toEqual(["own"]);
  expect(of).toEqual({
    early: "OUTCOME_UNKNOWN",
    sent: "OUTCOME_UNKNOWN",
    later: "UNAVAILABLE",
    own: "waits",
  });
  bob.lose(queue);
  expect(open("ada").ids).toEqual([]);
});

test("a refusal that a retry may mend holds up what comes after it, in its order", async () => {
  const { clock, add, open, of } = memoryScene();
  const session = open();
  for (const id of ["a", "b"]) add(id);
  session.sent[0]?.refuse(limited({ retry_after_ms: 5_000 }));
  session.sent[1]?.refuse(limited({ retry_after_ms: 4_000 }));
  await clock.advance(0);
  add("c");
  await clock.advance(4_999);
  expect(session.ids).toEqual(["a", "b"]);
  await clock.advance(1);
  // It is known that they were not published.
  expect(session.ids).toEqual(["a", "b", "a", "b", "c"]);
  session.sent[2]?.refuse(limited());
  for (const one of session.sent.slice(3)) one.answer();
  await clock.advance(999);
  expect(session.ids).toHaveLength(5);
  await clock.advance(1);
  session.sent.at(-1)?.answer();
  await clock.advance(0);
  expect(of).toEqual({ a: "3", b: "1", c: "2" });
  expect(clock.timers).toBe(0);
});

test("what a server could not decide in time is sent again as what may be there", async () => {
  const { clock, server, add, open, of } = memoryScene();
  const session = open();
  add("a");
  session.sent[0]?.arrive();
  session.sent[0]?.refuse(new MessagingError("UNAVAILABLE", "late"));
  await clock.advance(1_000);
  expect(session.ids).toEqual(["a", "a again"]);
  // Whether the first one has published it is still not known.
  session.sent[1]?.refuse(limited());
  await clock.advance(1_000);
  expect(session.ids.at(-1)).toBe("a again");
  session.sent[2]?.answer();
  await clock.advance(0);
  expect(of).toEqual({ a: "1 duplicate" });
  expect(server.log).toHaveLength(1);
});

test("another refusal is the item's own", async () => {
  const { clock, add, open, of } = memoryScene();
  const session = open();
  for (const id of ["a", "b", "c"]) add(id);
  session.sent[0]?.refuse(new MessagingError("ACL_ERROR", "no"));
  session.sent[1]?.refuse(new MessagingError("OUTCOME_UNKNOWN", "outcome unknown"));
  session.sent[2]?.answer();
  await clock.advance(0);
  expect(of).toEqual({ a: "ACL_ERROR", b: "OUTCOME_UNKNOWN", c: "1" });
  expect(clock.timers).toBe(0);
});

test("a refusal that has come before the end of the session counts", async () => {
  const { queue, clock, add, open, of } = memoryScene();
  const session = open();
  add("a");
  session.sent[0]?.refuse(new MessagingError("ACL_ERROR", "no"));
  session.lose(queue);
  await clock.advance(0);
  expect(of).toEqual({ a: "ACL_ERROR" });
  expect(open().ids).toEqual([]);
});

test("a caller that gives up gets the reason: what waits is taken out, what is sent is forgotten", async () => {
  const { clock, queue, add, open, of } = memoryScene();
  const [waits, flies, late, before] = [1, 2, 3, 4].map(() => new AbortController()) as [
    AbortController,
    AbortController,
    AbortController,
    AbortController,
  ];
  before.abort("before");
  add("before", 100, before.signal);
  add("waits", 100, waits.signal);
  waits.abort("enough");
  const session = open();
  add("flies", 100, flies.signal);
  add("late", 100, late.signal);
  flies.abort("enough");
  for (const one of session.sent) one.answer();
  await clock.advance(0);
  late.abort("too late");
  expect(session.ids).toEqual(["flies", "late"]);
  await clock.advance(0);
  expect(of).toEqual({ before: "before", waits: "enough", flies: "enough", late: "2" });
  session.lose(queue);
  expect(open().ids).toEqual([]);
});

test("a signal that lives long is not listened to for ever", async () => {
  const { clock, add, open } = memoryScene();
  const session = open();
  let listeners = 0;
  const { signal } = new AbortController();
  const count = (name: "addEventListener" | "removeEventListener", by: number): void => {
    const real = signal[name].bind(signal) as (...args: unknown[]) => void;
    signal[name] = (...args: unknown[]) => {
      listeners += by;
      real(...args);
    };
  };
  count("addEventListener", 1);
  count("removeEventListener", -1);
  for (let i = 0; i < 5; i++) add(`${i}`, 100, signal);
  expect(listeners).toBe(5);
  for (const one of session.sent) one.answer();
  await clock.advance(0);
  expect(listeners).toBe(0);
});

test("a machine that slept has the time from the server", async () => {
  const { queue, clock, add, open, of } = memoryScene();
  const session = open();
  add("a");
  session.lose(queue);
  clock.sleep(LIMIT_MS);
  expect(open().ids).toEqual([]);
  await clock.advance(0);
  expect(of).toEqual({ a: "OUTCOME_UNKNOWN" });
});

test("so is one that slept in a session, by its own clock", async () => {
  const { clock, add, open, of } = memoryScene();
  const session = open();
  add("a");
  session.sent[0]?.arrive();
  clock.sleep(LIMIT_MS);
  session.sent[0]?.refuse(new MessagingError("UNAVAILABLE", "late"));
  await clock.advance(1_000);
  expect(session.ids).toEqual(["a"]);
  expect(of).toEqual({ a: "OUTCOME_UNKNOWN" });
});

test("a clock of the device that is set makes nothing younger, and nothing too old that was never sent", async () => {
  const { queue, clock, server, add, open, of } = memoryScene();
  const set = (ms: number): void => {
    clock.set(clock.now() + ms);
    server.ahead -= ms;
  };
  add("early");
  set(2 * HOUR_MS);
  const session = open();
  for (const id of ["a", "b"]) add(id);
  expect(session.ids).toEqual(["early", "a", "b"]);
  session.sent[1]?.arrive();
  session.lose(queue);
  set(-HOUR_MS);
  const again = open();
  expect(again.ids).toEqual(["early again", "a again", "b again"]);
  for (const one of again.sent.slice(0, 2)) one.answer();
  again.lose(queue);
  set(-HOUR_MS);
  await clock.advance(LIMIT_MS);
  expect(of).toEqual({ early: "2", a: "1 duplicate", b: "OUTCOME_UNKNOWN" });
});

test("the end settles everything", async () => {
  const { queue, clock, add, open, of } = memoryScene();
  open();
  add("sent");
  queue.lost();
  add("waits");
  await queue.close(false);
  add("after");
  await clock.advance(0);
  expect(of).toEqual({ sent: "OUTCOME_UNKNOWN", waits: "UNAVAILABLE", after: "UNAVAILABLE" });
  expect(clock.timers).toBe(0);
  await queue.close(true);
});

test("whatever happens, nothing is published twice or as another, and every promise settles", async () => {
  let published = 0;
  let unknown = 0;
  const runs: Promise<void>[] = [];
  eachStep(200, (random, step) => {
    const run = async (): Promise<void> => {
      const { queue, clock, server, add, open, of } = memoryScene({ items: 20 });
      const owner = new Map<string, string>();
      let session: ReturnType<typeof open> | undefined;
      let user = "ada";
      let count = 0;
      const any = (): Sent | undefined =>
        session === undefined || session.sent.length === 0 ? undefined : random.pick(session.sent);
      const acts = [
        () => {
          if (session === undefined && random.chance(0.2)) user = random.pick(["ada", "bob"]);
          const id = `${count++}`;
          if (session !== undefined) owner.set(id, user);
          add(id);
        },
        () => {
          session ??= open(user);
        },
        () => {
          session?.lose(queue);
          session = undefined;
        },
        () => any()?.answer(),
        () => any()?.arrive(),
        () => any()?.refuse(limited()),
        () => any()?.refuse(new MessagingError("UNAVAILABLE", "late")),
        () => clock.advance(random.pick([0, 10, 1_000, 60_000, 200_000])),
        () => clock.sleep(random.pick([0, 100_000, 400_000])),
      ];
      for (let i = 0; i < 100; i++) await random.pick(acts)();
      session?.lose(queue);
      const last = open(user);
      for (const one of last.sent) one.answer();
      await clock.advance(0);
      await queue.close(false);
      await clock.advance(0);
      const ids = server.log.map(({ id }) => id);
      expect(ids).toHaveLength(new Set(ids).size);
      for (const { id, user: by } of server.log) expect(owner.get(id) ?? by).toBe(by);
      for (const [id, became] of Object.entries(of)) {
        expect(became).not.toBe("waits");
        if (/^\d/.test(became)) expect(ids).toContain(id);
        // What is said not to have been sent was not.
        if (became === "RATE_LIMITED" || became === "UNAVAILABLE") expect(ids).not.toContain(id);
        if (became === "OUTCOME_UNKNOWN") unknown += 1;
      }
      published += ids.length;
      expect(clock.timers).toBe(0);
    };
    runs.push(inStep(step, run()));
  });
  await Promise.all(runs);
  expect(published).toBeGreaterThan(steps(500));
  expect(unknown).toBeGreaterThan(20);
});
