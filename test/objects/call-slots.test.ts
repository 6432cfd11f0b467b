/** How many calls a gateway makes at the same time, and who has to wait for whom. */
import { afterEach, expect, test, vi } from "vitest";
import { CallSlots } from "../../src/objects/gateway/call-slots.ts";
import { Turn } from "../../src/objects/gateway/turn.ts";
import { nextTurn, platform } from "../support/platform.ts";

/** A process that others keep from its turn may need more than the tool's second. */
const PATIENT = { timeout: 10_000 };

afterEach(() => {
  vi.useRealTimers();
});

function scripted(count: number) {
  const calls = new CallSlots(new Turn(platform.timers), platform.timers);
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const answers = Array.from({ length: count }, (_, i) =>
    calls.run(() => {
      begun.push(i);
      return new Promise<number>((resolve) => {
        ends[i] = () => resolve(i);
      });
    }),
  );
  return { calls, begun, ends, answers };
}

test("so many calls are under way and no more, in the order of their asking", async () => {
  const { begun, ends, answers } = scripted(40);
  await nextTurn();
  expect(begun).toEqual(Array.from({ length: 16 }, (_, i) => i));
  for (const i of [3, 5]) ends[i]?.();
  await vi.waitUntil(() => begun.length === 18, PATIENT);
  expect(begun.slice(16)).toEqual([16, 17]);
  for (let i = 0; i < 40; i++) {
    await vi.waitUntil(() => ends[i] !== undefined, PATIENT);
    ends[i]?.();
  }
  expect(await Promise.all(answers)).toEqual(Array.from({ length: 40 }, (_, i) => i));
});

test("sockets are looked at between calls: what waited for its place begins in a turn of its own", async () => {
  const { begun, ends } = scripted(17);
  await nextTurn();
  let turned = false;
  const turn = nextTurn().then(() => {
    turned = begun.length === 16;
  });
  ends[0]?.();
  await turn;
  expect(turned).toBe(true);
  await vi.waitUntil(() => begun.length === 17, PATIENT);
});

test("objects that do not answer keep nobody waiting for long", async () => {
  vi.useFakeTimers();
  const { begun } = scripted(40);
  await vi.advanceTimersByTimeAsync(900);
  expect(begun).toHaveLength(16);
  await vi.advanceTimersByTimeAsync(200);
  expect(begun).toHaveLength(32);
  await vi.advanceTimersByTimeAsync(1_100);
  expect(begun).toHaveLength(40);
});

test("a call that fails gives its place back", async () => {
  const calls = new CallSlots(new Turn(platform.timers), platform.timers);
  const failing = Array.from({ length: 16 }, () =>
    calls.run(async () => {
      throw new Error("fault");
    }),
  );
  expect((await Promise.allSettled(failing)).every(({ status }) => status === "rejected")).toBe(
    true,
  );
  expect(await calls.run(async () => "answer")).toBe("answer");
});
