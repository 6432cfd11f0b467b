/** Presence as the broker of one process tells it: when, in which order, and after which grace. */
import { expect, test } from "vitest";
import { publishes, session, stage } from "./stage.ts";

const GRACE = 5_000;

test("a join and a leave are told in the next turn, once, before what was published with them", async () => {
  const { broker, told, turn, turns } = stage();
  await publishes(broker, "a", 1);
  await broker.join("a", session("s", "u"));
  await broker.join("a", session("s", "u"));
  expect(turns).toHaveLength(1);
  expect(told).toEqual([]);
  turn();
  expect(told).toEqual(["a epoch1 join u 1000", "a epoch1 1"]);
  broker.leave("a", "s", true);
  broker.leave("a", "s", true);
  await publishes(broker, "a", 1);
  turn();
  expect(told.slice(2)).toEqual(["a epoch1 leave u 1001", "a epoch1 2"]);
});

test("changes of one turn come in the order of their generations", async () => {
  const { broker, told, turn, turns } = stage();
  await broker.join("a", session("1", "u"));
  await broker.join("a", session("2", "v"));
  broker.leave("a", "1", true);
  await broker.join("a", session("3", "u"));
  turn();
  expect(told).toEqual([
    "a epoch1 join u 1000",
    "a epoch1 join v 1001",
    "a epoch1 leave u 1002",
    "a epoch1 join u 1003",
  ]);
  expect(turns).toEqual([]);
});

test("a registration tells the generation that is part of what it may ask", async () => {
  // M6
  const { broker } = stage();
  await broker.join("a", session("1", "u"));
  expect((await broker.subscribe("a")).generation).toBe(1_000);
  await broker.join("a", session("2", "v"));
  const { generation, members } = await broker.presence("a", 10);
  expect([generation, members.length]).toEqual([1_001, 2]);
});

test("members are listed by their joins, as many as are asked for, with how many there are", async () => {
  const { broker, clock } = stage();
  expect(await broker.presence("a", 9)).toEqual({
    epoch: "epoch1",
    members: [],
    total: 0,
    generation: 0,
  });
  await broker.join("a", session("1", "u", "c"));
  clock.time += 7;
  await broker.join("a", session("2"));
  await broker.join("a", session("3", "u", "c"));
  await broker.join("a", session("4", "u", "d"));
  const first = { userId: "u", clientId: "c", sessionId: "", time: 1_000 };
  const second = { userId: "", clientId: "", sessionId: "2", time: 1_007 };
  const snapshot = await broker.presence("a", 2);
  expect(snapshot).toEqual({
    epoch: "epoch1",
    members: [first, second],
    total: 3,
    generation: 1_008,
  });
});

test("who drops is gone when the grace is over, and not before", async () => {
  // M3
  const { broker, told, turn, timers, pass } = stage();
  await broker.join("a", session("s", "u"));
  turn();
  broker.leave("a", "s", false);
  pass(GRACE - 1);
  turn();
  expect(told).toHaveLength(1);
  expect((await broker.presence("a", 9)).total).toBe(1);
  pass(1);
  turn();
  expect(told.slice(1)).toEqual([`a epoch1 leave u ${1_000 + GRACE}`]);
  expect((await broker.presence("a", 9)).total).toBe(0);
  expect(timers).toEqual([]);
});

test("who comes back within the grace has neither left nor joined", async () => {
  // M3
  const { broker, told, turn, timers, pass } = stage();
  await broker.join("a", session("old", "u"));
  turn();
  broker.leave("a", "old", false);
  pass(GRACE - 1);
  await broker.join("a", session("new", "u"));
  pass(2 * GRACE);
  turn();
  expect(told).toHaveLength(1);
  expect(timers).toEqual([]);
  broker.leave("a", "new", true);
  turn();
  expect(told.slice(1)).toEqual([expect.stringMatching(/^a epoch1 leave u /)]);
});

test("one timer serves all who drop, each for its own grace", async () => {
  const { broker, told, turn, timers, pass } = stage();
  for (const name of ["u", "v", "w"]) await broker.join("a", session(name, name));
  turn();
  broker.leave("a", "u", false);
  pass(1_000);
  broker.leave("a", "v", false);
  pass(1_000);
  broker.leave("a", "w", false);
  expect(timers).toHaveLength(1);
  pass(GRACE - 2_000);
  turn();
  expect(told.slice(3)).toEqual(["a epoch1 leave u 6000"]);
  expect(timers).toHaveLength(1);
  pass(1_000);
  turn();
  expect(told.slice(4)).toEqual(["a epoch1 leave v 7000"]);
  pass(1_000);
  turn();
  expect(told.slice(5)).toEqual(["a epoch1 leave w 8000"]);
  expect(timers).toEqual([]);
});

test("without a grace who drops is gone at once", async () => {
  const { broker, told, turn, timers } = stage({ "*": { presenceGraceMs: 0 } });
  await broker.join("a", session("s"));
  broker.leave("a", "s", false);
  expect(timers).toEqual([]);
  turn();
  expect(told).toEqual(["a epoch1 join s 1000", "a epoch1 leave s 1001"]);
});

test("a leave of who never joined, or of a channel that nobody knows, is nothing", async () => {
  const { broker, told, turn, timers } = stage();
  broker.leave("a", "s", false);
  await broker.subscribe("a");
  broker.leave("a", "s", false);
  turn();
  expect([told, timers, broker.size]).toEqual([[], [], 1]);
});

test("a channel whose last member drops is kept until the grace is over", async () => {
  const { broker, told, turn, pass } = stage({ "*": { positionTtlMs: 0 } });
  await broker.join("a", session("s", "u"));
  turn();
  broker.leave("a", "s", false);
  broker.sweep();
  pass(GRACE);
  broker.sweep();
  turn();
  expect(told.at(-1)).toBe(`a epoch1 leave u ${1_000 + GRACE}`);
  broker.sweep();
  expect(broker.size).toBe(0);
});

test("generations rise beyond those of a channel that was forgotten", async () => {
  // M6
  const { broker, told, turn, clock } = stage({ "*": { positionTtlMs: 0 } });
  await broker.join("a", session("s", "u"));
  broker.leave("a", "s", true);
  turn();
  broker.sweep();
  expect(broker.size).toBe(0);
  clock.time += 10;
  await broker.join("a", session("s", "u"));
  turn();
  expect(told.at(-1)).toBe("a epoch2 join u 1010");
});
