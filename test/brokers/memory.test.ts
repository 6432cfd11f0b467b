/** The broker of one process: order, batches, positions, and what it forgets. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { MemoryBroker } from "../../src/brokers/memory.ts";
import { DEFAULT_LOG_RULES } from "../../src/channels/log.ts";
import { EntryBodySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";

const body = create(EntryBodySchema, { event: new Uint8Array([1]) });

function stage() {
  const clock = { time: 1_000, now: () => clock.time };
  const turns: (() => void)[] = [];
  let epochs = 0;
  const broker = new MemoryBroker({
    clock,
    random: {
      epoch: () => {
        epochs += 1;
        return `epoch${epochs}`;
      },
    },
    nextTurn: (callback) => turns.push(callback),
  });
  const delivered: string[] = [];
  broker.start({
    publications: (channel, epoch, entries) => {
      delivered.push(`${channel} ${epoch} ${entries.map(({ offset }) => offset).join(",")}`);
    },
  });
  const turn = () => {
    for (const callback of turns.splice(0)) callback();
  };
  return { broker, clock, delivered, turn, turns };
}

test("what one turn brings is one batch for each channel, in order, once", async () => {
  const { broker, delivered, turn, turns } = stage();
  for (const [channel, key] of [
    ["a", "1"],
    ["b", "2"],
    ["a", "3"],
    ["a", "1"],
  ]) {
    await broker.publish(channel ?? "", { key: key ?? "", body });
  }
  expect(turns).toHaveLength(1);
  expect(delivered).toEqual([]);
  turn();
  expect(delivered).toEqual(["a epoch1 1,2", "b epoch2 1"]);
  await broker.publish("a", { key: "4", body });
  turn();
  expect(delivered.at(-1)).toBe("a epoch1 3");
});

test("a subscribe tells the head, a repeated key the first position", async () => {
  const { broker } = stage();
  expect(await broker.subscribe("a")).toEqual({ epoch: "epoch1", offset: 0 });
  const first = await broker.publish("a", { key: "k", body });
  expect(first).toEqual({ position: { epoch: "epoch1", offset: 1 }, duplicate: false });
  const again = await broker.publish("a", { key: "k", body });
  expect(again).toEqual({ position: { epoch: "epoch1", offset: 1 }, duplicate: true });
  expect(await broker.subscribe("a")).toEqual({ epoch: "epoch1", offset: 1 });
});

test("flush delivers at once what waits, and the turn behind it nothing twice", async () => {
  const { broker, delivered, turn } = stage();
  await broker.publish("a", { key: "k", body });
  expect(broker.waiting).toBe(1);
  broker.flush();
  turn();
  expect(delivered).toEqual(["a epoch1 1"]);
  expect(broker.waiting).toBe(0);
});

test("a channel is forgotten when nobody wants it and its history has run out", async () => {
  const { broker, clock, turn } = stage();
  await broker.publish("left", { key: "k", body });
  await broker.subscribe("wanted");
  turn();
  clock.time += DEFAULT_LOG_RULES.historyTtlMs - 1;
  broker.sweep();
  expect(broker.size).toBe(2);
  clock.time += 1;
  broker.sweep();
  expect(broker.size).toBe(1);
  expect(await broker.subscribe("left")).toEqual({ epoch: "epoch3", offset: 0 });
  broker.unsubscribe("wanted");
  broker.sweep();
  expect(broker.size).toBe(2);
});
