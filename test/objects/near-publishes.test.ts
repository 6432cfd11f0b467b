/** What a gateway publishes to a channel on its own thread: one step at the end of a turn, in order. */
import { expect, test } from "vitest";
import type { PublishResult } from "../../src/engine/ports/broker.ts";
import { NearPublishes } from "../../src/objects/gateway/near-publishes.ts";
import { Turn } from "../../src/objects/gateway/turn.ts";
import type { NearPublish } from "../../src/objects/ports/near-channel.ts";
import { rateLimited } from "../../src/protocol/errors.ts";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from "../../src/protocol/limits.ts";

class Scene {
  /** Keys that were taken together, in one string. */
  readonly taken: string[] = [];
  readonly waited: string[] = [];
  ready = true;
  readonly near: NearPublishes;
  #turns: (() => void)[] = [];

  constructor() {
    const after = (_: number, callback: () => void) => {
      this.#turns.push(callback);
      return () => {};
    };
    this.near = new NearPublishes({
      turn: new Turn({ after }),
      take: (all) => {
        if (!this.ready) return undefined;
        this.taken.push(all.map(({ item }) => item.key).join(""));
        return all.map(({ item }) =>
          item.key === "!" ? rateLimited("no", 1) : resultOf(item.key),
        );
      },
      wait: async ({ item }) => {
        this.waited.push(item.key);
        return resultOf(item.key);
      },
    });
  }

  push(key: string, bytes = 1): Promise<PublishResult> {
    return this.near.push(publish(key, bytes));
  }

  turn(): void {
    for (const callback of this.#turns.splice(0)) callback();
  }
}

function publish(key: string, bytes: number): NearPublish {
  const body = new Uint8Array(bytes);
  const item = { $typeName: "messageloop.internal.v1.PublishItem", key, body, transient: false };
  return { item: item as NearPublish["item"], body: undefined };
}

function resultOf(key: string): PublishResult {
  return { position: { epoch: key, offset: 1 }, duplicate: false };
}

test("what is published in one turn is taken in one step at its end, and each has its own outcome", async () => {
  const scene = new Scene();
  const all = Promise.allSettled(["a", "!", "b"].map((key) => scene.push(key)));
  expect(scene.taken).toEqual([]);
  expect(scene.near.idle).toBe(false);
  scene.turn();
  expect(scene.taken).toEqual(["a!b"]);
  expect(scene.near.idle).toBe(true);
  const outcomes = (await all).map((one) =>
    one.status === "fulfilled" ? one.value.position.epoch : one.reason.code,
  );
  expect(outcomes).toEqual(["a", "RATE_LIMITED", "b"]);
});

test("where the channel cannot take them they wait for it in their order", async () => {
  const scene = new Scene();
  scene.ready = false;
  const all = Promise.all(["a", "b"].map((key) => scene.push(key)));
  scene.turn();
  expect(scene.waited).toEqual(["a", "b"]);
  expect((await all).map(({ position }) => position.epoch)).toEqual(["a", "b"]);
});

test("a full batch waits for no turn", async () => {
  const many = new Scene();
  const first = Array.from({ length: MAX_BATCH_ENTRIES }, () => many.push("a"));
  expect(many.taken).toEqual(["a".repeat(MAX_BATCH_ENTRIES)]);
  const last = many.push("b");
  many.turn();
  expect(many.taken.slice(1)).toEqual(["b"]);
  await Promise.all([...first, last]);

  const large = new Scene();
  const alone = large.push("a", MAX_BATCH_BYTES);
  expect(large.taken).toEqual(["a"]);
  await alone;
});
