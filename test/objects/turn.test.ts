/**
 * The runtime lets no timer come while a socket has something to read. Once a flood of 20,000 publishes was read to its end
 * before the first of them was acknowledged, and took half a gigabyte meanwhile.
 */
import { create, fromBinary } from "@bufbuild/protobuf";
import { beforeEach, expect, test } from "vitest";
import { publishQueue } from "../../src/objects/gateway/publish-queue.ts";
import { Turn } from "../../src/objects/gateway/turn.ts";
import { Trouble } from "../../src/objects/trouble.ts";
import {
  type PublishItem,
  PublishItemSchema,
  PublishRequestSchema,
  PublishResponseSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { platform } from "../support/platform.ts";

/** Entries of a full batch, and frames of a turn that no timer ends. */
const FULL = 512;

/** Of this test alone: a timer that something else still sets in the process is none of them. */
class OwnTimers {
  readonly #waiting = new Set<() => void>();

  get count(): number {
    return this.#waiting.size;
  }

  after(_ms: number, callback: () => void): () => void {
    this.#waiting.add(callback);
    return () => this.#waiting.delete(callback);
  }

  /** A turn is over: no call is in flight whose time would be as well. */
  fire(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const callback of waiting) callback();
  }
}

let timers: OwnTimers;

beforeEach(() => {
  timers = new OwnTimers();
});

function frames(turn: Turn, count: number): void {
  for (let i = 0; i < count; i++) turn.frame();
}

function items(count: number, from = 0) {
  return Array.from({ length: count }, (_, i) =>
    create(PublishItemSchema, { key: `${from + i}`, body: new Uint8Array([1]) }),
  );
}

test("a turn ends by its timer, or after so many frames", async () => {
  const turn = new Turn(timers);
  const seen: string[] = [];
  frames(turn, FULL);
  turn.soon(() => seen.push("one"));
  turn.soon(() => seen.push("two"));
  // Frames from before do not count.
  frames(turn, FULL - 1);
  expect(seen).toEqual([]);
  frames(turn, 1);
  expect(seen).toEqual(["one", "two"]);
  turn.soon(() => seen.push("three"));
  expect(seen).toHaveLength(2);
  timers.fire();
  expect(seen).toEqual(["one", "two", "three"]);
  expect(timers.count).toBe(0);
});

/** Each call is answered at once. */
function queueOf(turn: Turn, batches: number[]) {
  const own = { ...platform, timers };
  return publishQueue(
    {
      async publish(request) {
        const { items: sent } = fromBinary(PublishRequestSchema, request);
        batches.push(sent.length);
        const results = sent.map((_, i) => ({ offset: BigInt(i + 1) }));
        return create(PublishResponseSchema, { epoch: "e", results });
      },
      registration: "",
      unanswered: () => {},
    },
    { platform: own, channelTrouble: new Trouble("calls", own), turn, region: "here" },
  );
}

test("a publish that comes alone waits for no timer, and those after a batch do", async () => {
  const turn = new Turn(timers);
  const batches: number[] = [];
  const queue = queueOf(turn, batches);
  const [one, two, three, four] = items(4);
  await queue.push(one as PublishItem);
  await queue.push(two as PublishItem);
  expect(batches).toEqual([1, 1]);
  expect(timers.count).toBe(0);
  // Those of one event leave together as well.
  await Promise.all([queue.push(three as PublishItem), queue.push(four as PublishItem)]);
  expect(batches).toEqual([1, 1, 2]);
  const later = queue.push(one as PublishItem);
  expect(timers.count).toBe(1);
  timers.fire();
  await later;
  await queue.push(two as PublishItem);
  expect(batches).toEqual([1, 1, 2, 1, 1]);
});

test("a call waits no longer than until it is as large as the last one", async () => {
  const turn = new Turn(timers);
  const batches: number[] = [];
  const queue = queueOf(turn, batches);
  const publish = (count: number) => items(count).map((item) => queue.push(item));
  await Promise.all(publish(3));
  const first = publish(1);
  await Promise.resolve();
  const all = [...first, ...publish(1)];
  await Promise.resolve();
  expect(batches).toEqual([3]);
  all.push(...publish(1));
  await Promise.all(all);
  expect(batches).toEqual([3, 3]);
  // What comes in one step leaves together, however much it is; less than the last time waits for its turn.
  const busy = [...publish(3), ...publish(2)];
  timers.fire();
  await Promise.all(busy);
  expect(batches).toEqual([3, 3, 5]);
  const fewer = publish(4);
  expect(timers.count).toBe(1);
  timers.fire();
  await Promise.all(fewer);
  expect(batches).toEqual([3, 3, 5, 4]);
});

test("calls that have become small become large again when more is published meanwhile", async () => {
  const turn = new Turn(timers);
  const batches: number[] = [];
  const queue = queueOf(turn, batches);
  const publish = (count: number) => items(count).map((item) => queue.push(item));
  await Promise.all(publish(8));
  const fewer = publish(2);
  timers.fire();
  await Promise.all(fewer);
  expect(batches).toEqual([8, 2]);
  // As large as the last one, and yet the others may have come in two parts.
  const all = publish(2);
  await Promise.resolve();
  all.push(...publish(6));
  expect(batches).toEqual([8, 2]);
  timers.fire();
  await Promise.all(all);
  expect(batches).toEqual([8, 2, 8]);
  await Promise.all(publish(8));
  expect(batches).toEqual([8, 2, 8, 8]);
});

test("what is published while no timer comes leaves in full batches", async () => {
  const turn = new Turn(timers);
  const batches: number[] = [];
  const queue = queueOf(turn, batches);
  const acknowledged: Promise<unknown>[] = [];
  for (const item of items(3 * FULL - 1)) {
    acknowledged.push(queue.push(item));
    turn.frame();
  }
  await Promise.all(acknowledged.slice(0, 2 * FULL));
  // The rest is less than a batch, and others may come in this turn.
  expect(batches).toEqual([FULL, FULL]);
  timers.fire();
  await Promise.all(acknowledged);
  expect(batches).toEqual([FULL, FULL, FULL - 1]);
});
