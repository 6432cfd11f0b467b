/** The broker of one process: order, batches, positions, and what it forgets. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DEFAULT_CHANNEL_RULES } from "../../../src/channels/rules.ts";
import { EntryBodySchema } from "../../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { body, publishes, session, stage } from "./stage.ts";

test("what one turn brings is one batch for each channel, in order, once", async () => {
  const { broker, told, turn, turns } = stage();
  for (const [channel, key] of [
    ["a", "1"],
    ["b", "2"],
    ["a", "3"],
    ["a", "1"],
  ]) {
    await broker.publish(channel ?? "", { key: key ?? "", body });
  }
  expect(turns).toHaveLength(1);
  expect(told).toEqual([]);
  turn();
  expect(told).toEqual(["a epoch1 1,2", "b epoch2 1"]);
  await broker.publish("a", { key: "4", body });
  turn();
  expect(told.at(-1)).toBe("a epoch1 3");
});

test("a subscribe tells the head, a repeated key the first position", async () => {
  const { broker } = stage();
  const at = (offset: number) => ({
    position: { epoch: "epoch1", offset },
    generation: 0,
    held: { first: 1, reason: undefined },
  });
  expect(await broker.subscribe("a")).toEqual(at(0));
  const first = await broker.publish("a", { key: "k", body });
  expect(first).toEqual({ position: { epoch: "epoch1", offset: 1 }, duplicate: false });
  const again = await broker.publish("a", { key: "k", body });
  expect(again).toEqual({ position: { epoch: "epoch1", offset: 1 }, duplicate: true });
  expect(await broker.subscribe("a")).toEqual(at(1));
});

test("flush delivers at once what waits, and the turn behind it nothing twice", async () => {
  const { broker, told, turn } = stage();
  await broker.publish("a", { key: "k", body });
  expect(broker.waiting).toBe(1);
  broker.flush();
  turn();
  expect(told).toEqual(["a epoch1 1"]);
  expect(broker.waiting).toBe(0);
});

test("seen is what was handed over, and not what waits for the next turn", async () => {
  const { broker, turn } = stage();
  expect(broker.position("a")).toBeUndefined();
  await broker.subscribe("a");
  await publishes(broker, "a", 2);
  expect(broker.position("a")).toEqual({ epoch: "epoch1", offset: 0 });
  turn();
  expect(broker.position("a")).toEqual({ epoch: "epoch1", offset: 2 });
  await publishes(broker, "a", 1);
  expect(broker.position("a")).toEqual({ epoch: "epoch1", offset: 2 });
});

test("nothing is seen of a channel that the node is not registered with", async () => {
  // C2. Once a v1 client took what was published before for a registration, made none, and its channel
  // was forgotten under its feet.
  const { broker, turn } = stage();
  await publishes(broker, "a", 1);
  turn();
  expect(broker.position("a")).toBeUndefined();
  await broker.subscribe("a");
  expect(broker.position("a")).toEqual({ epoch: "epoch1", offset: 1 });
  broker.unsubscribe("a");
  expect(broker.position("a")).toBeUndefined();
});

test("epoch and head outlive the entries, for the position ttl", async () => {
  // C2
  const { broker, clock, turn } = stage({ "*": { historyTtlMs: 1_000, positionTtlMs: 5_000 } });
  await publishes(broker, "a", 3);
  turn();
  clock.time += 1_000;
  broker.sweep();
  const expired = { first: 4, reason: "expired", entries: [], more: false };
  const position = { epoch: "epoch1", offset: 3 };
  expect(await broker.history("a", { limit: -1 })).toEqual({ position, ...expired });
  clock.time += 3_999;
  broker.sweep();
  expect(broker.size).toBe(1);
  expect(await broker.subscribe("a")).toMatchObject({ position });
});

test("a channel is forgotten when the position ttl has passed since it was last published to", async () => {
  const { broker, clock, turn } = stage();
  const { positionTtlMs } = DEFAULT_CHANNEL_RULES;
  await publishes(broker, "a", 1);
  turn();
  clock.time += positionTtlMs - 1;
  await publishes(broker, "a", 1);
  clock.time += positionTtlMs;
  broker.sweep();
  expect(broker.size, "what is not delivered yet is not forgotten").toBe(1);
  turn();
  clock.time -= 1;
  broker.sweep();
  expect(broker.size).toBe(1);
  clock.time += 1;
  broker.sweep();
  expect(broker.size).toBe(0);
  expect((await broker.subscribe("a")).position).toEqual({ epoch: "epoch2", offset: 0 });
});

test("a channel is not forgotten while it is wanted, and not at once when it is left", async () => {
  const { broker, clock } = stage();
  const { positionTtlMs } = DEFAULT_CHANNEL_RULES;
  await broker.subscribe("a");
  clock.time += 2 * positionTtlMs;
  broker.sweep();
  expect(broker.size).toBe(1);
  broker.unsubscribe("a");
  clock.time += positionTtlMs - 1;
  broker.sweep();
  expect(broker.size).toBe(1);
  clock.time += 1;
  broker.sweep();
  expect(broker.size).toBe(0);
});

test("a channel is not forgotten while members are there, whoever wants it", async () => {
  const { broker, clock, turn } = stage();
  await broker.join("a", session("s"));
  turn();
  clock.time += 2 * DEFAULT_CHANNEL_RULES.positionTtlMs;
  broker.sweep();
  expect(broker.size).toBe(1);
  broker.leave("a", "s", true);
  broker.sweep();
  expect(broker.size).toBe(0);
});

test("a transient channel delivers, keeps nothing, and ends with its last subscriber", async () => {
  // C11
  const transient = { historySize: 0, positionTtlMs: 0, recovery: false, transient: true };
  const { broker, clock, told, turn } = stage({ live: transient });
  await broker.subscribe("live");
  await publishes(broker, "live", 2);
  turn();
  expect(told).toEqual(["live epoch1 1,2"]);
  const page = await broker.history("live", { limit: -1 });
  const position = { epoch: "epoch1", offset: 2 };
  expect(page).toEqual({ position, first: 3, reason: "head_trimmed", entries: [], more: false });
  clock.time += 1_000_000;
  broker.sweep();
  expect(broker.position("live")).toEqual(position);
  broker.unsubscribe("live");
  broker.sweep();
  expect((await broker.subscribe("live")).position).toEqual({ epoch: "epoch2", offset: 0 });
});

test("a repeated key of a transient channel is known for as long as internal calls repeat", async () => {
  const { broker, clock } = stage({ live: { historySize: 0, dedupWindowMs: 30_000 } });
  const command = { key: "k", body };
  await broker.publish("live", command);
  clock.time += 29_999;
  expect((await broker.publish("live", command)).duplicate).toBe(true);
  clock.time += 1;
  expect((await broker.publish("live", command)).duplicate).toBe(false);
});

test("bodies that history does not hold any more take no memory, though their keys are known", async () => {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const { broker, told, turn } = stage({ "*": { historySize: 4 } });
  const [bytes, count] = [100_000, 1_000];
  for (let i = 0; i < count; i++) {
    const event = new Uint8Array(bytes);
    await broker.publish("a", { key: `k${i}`, body: create(EntryBodySchema, { event }) });
    turn();
  }
  expect(told.at(-1)).toBe(`a epoch1 ${count}`);
  expect((await broker.publish("a", { key: "k0", body })).duplicate).toBe(true);
  const page = await broker.history("a", { limit: 3 });
  expect(page.entries.map((entry) => entry.body?.event.length)).toEqual([bytes, bytes, bytes]);
  const held = () => {
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  // What is collected is given back a little later.
  await expect.poll(held, { timeout: 20_000 }).toBeLessThan((count * bytes) / 2);
});

test("what was read stays with who read it", async () => {
  const { broker } = stage();
  await publishes(broker, "a", 3);
  const page = await broker.history("a", { limit: 3 });
  await broker.removeHistory("a");
  expect(page.entries.map((entry) => entry.body?.event.length)).toEqual([1, 1, 1]);
});
