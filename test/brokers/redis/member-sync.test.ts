/** What is held and told of members while Redis cannot be told anything. */
import { expect, test } from "vitest";
import { MemberSync, type PresenceCall } from "../../../src/brokers/redis/channel/member-sync.ts";
import { RedisFailure } from "../../../src/brokers/redis/ports.ts";

type Answer = "heard" | "offline" | "lost" | "refused";

/** A MemberSync whose calls are answered by hand, one after the other. */
function scene() {
  const told: string[] = [];
  let waiting: { call: PresenceCall; settle: (answer: Answer) => void } | undefined;
  const sync = new MemberSync({
    timers: { after: () => () => {} },
    logger: { warn: () => {} },
    ended: () => false,
    answering: async () => {},
    until: async (over, call) => {
      while (!over()) {
        try {
          return await call();
        } catch (error) {
          if (error instanceof RedisFailure && error.kind === "refused") throw error;
        }
      }
      return undefined;
    },
    tell: (call) =>
      new Promise((resolve, reject) => {
        const settle = (answer: Answer): void => {
          waiting = undefined;
          if (answer !== "offline") told.push(call.changes.join(" "));
          if (answer === "heard") resolve(-1);
          else reject(new RedisFailure(answer, answer));
        };
        waiting = { call, settle };
      }),
  });
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };
  return {
    sync,
    told,
    asked: () => waiting?.call,
    /** Answers the call that waits. */
    answer: async (answer: Answer) => {
      await turns();
      waiting?.settle(answer);
      await turns();
    },
    join: (id: string) => {
      sync.join({ sessionId: id, userId: "", clientId: "" }).catch(() => {});
    },
  };
}

test("who comes and goes before Redis hears of anything leaves nothing to tell", async () => {
  const { sync, join, answer, told, asked } = scene();
  for (let i = 0; i < 10_000; i++) {
    join(`s${i}`);
    sync.leave(`s${i}`, i % 2 === 0);
    if (i % 1_000 === 0) await answer("offline");
    expect(sync.waiting).toBeLessThan(2);
  }
  await answer("offline");
  expect(sync.idle).toBe(true);
  expect(asked()).toBeUndefined();
  expect(told).toEqual([]);
});

test("a session that Redis may know of is told to have left, once, whatever it did meanwhile", async () => {
  const { sync, join, answer, told } = scene();
  join("a");
  await answer("lost");
  for (let i = 0; i < 100; i++) {
    sync.leave("a", true);
    join("a");
  }
  expect(sync.waiting).toBe(1);
  sync.leave("a", false);
  await answer("offline");
  await answer("heard");
  expect(told.slice(1)).toEqual(["l a"]);
  expect(sync.idle).toBe(true);
});

test("who leaves and comes back is told to have done both, in this order", async () => {
  const { sync, join, answer, told } = scene();
  join("a");
  await answer("heard");
  sync.leave("a", true);
  join("b");
  join("a");
  await answer("heard");
  expect(told).toEqual(['j a ["a"]', 'j b ["b"] c a j a ["a"]']);
  expect(sync.waiting).toBe(0);
});

test("very many who have left are told by naming those who are here", async () => {
  const { sync, join, answer, told } = scene();
  join("stays");
  for (let i = 0; i < 5_000; i++) join(`s${i}`);
  while (sync.waiting > 0) await answer("heard");
  told.length = 0;
  for (let i = 0; i < 5_000; i++) sync.leave(`s${i}`, true);
  expect(sync.waiting).toBeLessThan(4_200);
  while (!sync.idle && sync.waiting > 0) await answer("heard");
  expect(told.some((line) => line.includes('j stays ["stays"]'))).toBe(true);
});

test("what Redis refuses is kept, and told when it is tried again", async () => {
  const { sync, join, answer, told, asked } = scene();
  join("a");
  await answer("refused");
  expect(asked()).toBeUndefined();
  expect(sync.idle).toBe(false);
  sync.nudge();
  await answer("heard");
  expect(told.at(-1)).toBe('j a ["a"]');
  expect(sync.waiting).toBe(0);
});
