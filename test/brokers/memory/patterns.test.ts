/** What the memory broker remembers of channels that a pattern stands for. */
import { expect, test } from "vitest";
import { MAX_PATTERN_LOOKS } from "../../../src/protocol/limits.ts";
import { body, stage } from "./stage.ts";

test("channels that were published to since are named, the latest first, and no others", async () => {
  const { broker, clock } = stage();
  for (const channel of ["a.old", "b.old"]) await broker.publish(channel, { key: "k", body });
  clock.time += 1;
  const { position } = await broker.subscribePattern("a.*");
  expect(position).toEqual({ epoch: expect.stringMatching(/./), offset: clock.time });
  expect(await broker.activeChannels("a.*", position, 9)).toEqual({ channels: [], gap: undefined });
  for (const channel of ["a.x", "b.x", "a.y", "a.x.y", "a.x"]) {
    await broker.publish(channel, { key: `${channel}${clock.time}`, body });
    clock.time += 1;
  }
  expect(await broker.activeChannels("a.*", position, 9)).toEqual({
    channels: ["a.x", "a.y"],
    gap: undefined,
  });
  expect(await broker.activeChannels("a.*", position, 1)).toEqual({
    channels: ["a.x"],
    gap: "limit",
  });
  // A repeated publish is none.
  const later = await broker.subscribePattern("**");
  await broker.publish("b.old", { key: "k", body });
  expect((await broker.activeChannels("**", later.position, 9)).channels).toEqual([]);
});

test("a clock that is set back hides nothing", async () => {
  const { broker, clock } = stage();
  const { position } = await broker.subscribePattern("a.*");
  clock.time -= 500;
  await broker.publish("a.x", { key: "k", body });
  expect((await broker.activeChannels("a.*", position, 9)).channels).toEqual(["a.x"]);
  const [entry] = (await broker.history("a.x", { limit: 1 })).entries;
  expect(Number(entry?.time)).toBeGreaterThanOrEqual(position.offset);
});

test("what was forgotten is told, to those whom it may concern", async () => {
  const { broker, clock } = stage({ "**": { positionTtlMs: 1_000, historyTtlMs: 1_000 } });
  const { position } = await broker.subscribePattern("a.*");
  clock.time += 1;
  await broker.publish("a.x", { key: "k", body });
  broker.flush();
  clock.time += 10;
  const later = await broker.subscribePattern("a.*");
  clock.time += 2_000;
  broker.sweep();
  expect(broker.size).toBe(0);
  expect(await broker.activeChannels("a.*", position, 9)).toEqual({ channels: [], gap: "expired" });
  expect(await broker.activeChannels("a.*", later.position, 9)).toEqual({
    channels: [],
    gap: undefined,
  });
  const foreign = { epoch: "another life", offset: position.offset };
  expect(await broker.activeChannels("a.*", foreign, 9)).toMatchObject({ gap: "epoch_changed" });
});

test("how far a channel of a pattern was handed over is known while there is the pattern", async () => {
  const { broker } = stage();
  await broker.publish("a.x", { key: "1", body });
  broker.flush();
  await broker.publish("a.x", { key: "2", body });
  expect(broker.position("a.x")).toBeUndefined();
  await broker.subscribePattern("a.*");
  expect(broker.position("a.x")?.offset).toBe(1);
  broker.unsubscribePattern("a.*");
  expect(broker.position("a.x")).toBeUndefined();
});

test("not every channel is looked at: the latest are, and the gap says that there are more", async () => {
  const { broker, clock } = stage();
  const { position } = await broker.subscribePattern("**");
  clock.time += 1;
  await broker.publish("old.x", { key: "k", body });
  for (let i = 0; i < MAX_PATTERN_LOOKS - 1; i++) {
    await broker.publish(`other.${i}`, { key: "k", body });
  }
  expect(await broker.activeChannels("old.*", position, 9)).toEqual({
    channels: ["old.x"],
    gap: undefined,
  });
  await broker.publish("new.x", { key: "k", body });
  expect(await broker.activeChannels("old.*", position, 9)).toEqual({ channels: [], gap: "limit" });
  expect(await broker.activeChannels("*.x", position, 9)).toEqual({
    channels: ["new.x"],
    gap: "limit",
  });
});
