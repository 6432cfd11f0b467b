/** B2 of what is held back: notices of presence and ranges of messages count like messages do. */
import { expect, test } from "vitest";
import type { Member, PresenceChange } from "../../src/channels/presence.ts";
import { PatternReplayBuffer } from "../../src/engine/subscription/pattern-feed.ts";
import { type PresenceNotice, ReplayBuffer } from "../../src/engine/subscription/replay-buffer.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { MAX_REPLAY_BUFFER_BYTES } from "../../src/protocol/limits.ts";
import { SharedFrame } from "../../src/protocol/publication-frames.ts";
import { type Listener, listening, ROOM, since } from "./log-broker.ts";

/** More than may be held, by a guess of 400 bytes each. */
const MANY = 4_000;

function member(index: number): Member {
  return { userId: `user-${index}`, clientId: "x".repeat(100), sessionId: "", time: 1 };
}

function change(index: number): PresenceChange {
  return { member: member(index), joined: index % 2 === 0, generation: index };
}

function notice(index: number): PresenceNotice {
  return { member: member(index), generation: index, frame: new SharedFrame(() => "{}") };
}

/** What a client was told of presence: events with their generations, and lists with an `=`. */
function heard({ transport }: Listener): string[] {
  return transport.frames.flatMap((frame) => {
    const { envelope } = codecFor("json").decodeOutbound(frame);
    if (envelope.case === "presence") return [`= ${envelope.value.generation?.number}`];
    if (envelope.case !== "presenceEvent") return [];
    return [`${envelope.value.generation?.number}`];
  });
}

const CAPABILITIES = ["recovery", "presence"];

test("more changes than may be held are told as a list, and the changes that it does not cover follow", async () => {
  const { broker, listener } = await listening(CAPABILITIES);
  broker.registering = () => {
    for (let i = 1; i <= MANY; i++) broker.handler.presence(ROOM, "e", [change(i)]);
    broker.generation = MANY + 1;
    for (let i = MANY + 1; i <= MANY + 3; i++) broker.handler.presence(ROOM, "e", [change(i)]);
  };
  await listener.subscribe();
  expect(heard(listener)).toEqual([`= ${MANY + 1}`, `${MANY + 2}`, `${MANY + 3}`]);
  broker.handler.presence(ROOM, "e", [change(MANY + 4)]);
  expect(heard(listener).at(-1)).toBe(`${MANY + 4}`);
});

test("as many as may be held are told one by one", async () => {
  const { broker, listener } = await listening(CAPABILITIES);
  broker.registering = () => {
    for (let i = 1; i <= 100; i++) broker.handler.presence(ROOM, "e", [change(i)]);
  };
  await listener.subscribe();
  expect(heard(listener)).toEqual(Array.from({ length: 100 }, (_, index) => `${index + 1}`));
});

test("messages that are held beside many changes are not lost with them", async () => {
  const { broker, listener } = await listening(CAPABILITIES);
  broker.registering = () => {
    broker.deliver(2);
    for (let i = 1; i <= MANY; i++) broker.handler.presence(ROOM, "e", [change(i)]);
    broker.deliver(1);
    broker.generation = MANY;
  };
  await listener.subscribe(since(0));
  expect(heard(listener)).toEqual([`= ${MANY}`]);
  broker.deliver(1);
  const runs = listener.told().map((line) => /^(?:live|replay) e\/(.*)/.exec(line)?.[1]);
  expect(runs.filter((run) => run !== undefined)).toEqual(["1-2", "3", "4"]);
});

test("of a pattern's channels who is present is read where changes were too many", async () => {
  const { broker, listener } = await listening(CAPABILITIES);
  broker.append(1);
  broker.handed = broker.head;
  broker.reading = (count) => {
    if (count > 1) return;
    for (let i = 1; i <= MANY; i++) broker.handler.presence(ROOM, "e", [change(i)]);
    broker.generation = MANY + 1;
    for (let i = MANY + 1; i <= MANY + 3; i++) broker.handler.presence(ROOM, "e", [change(i)]);
  };
  await listener.subscribe({ channel: "*", ...since(900, "time") });
  expect(heard(listener)).toEqual([`= ${MANY + 1}`, `${MANY + 2}`, `${MANY + 3}`]);
});

test("of too many channels even the names go, and the gap names the pattern", async () => {
  const { broker, listener } = await listening();
  broker.append(1);
  const [entry] = broker.log;
  broker.handed = broker.head;
  broker.reading = (count) => {
    if (count > 1 || entry === undefined) return;
    for (let i = 0; i < MANY; i++) broker.handler.publications(`c.${i}`, "e", [entry]);
  };
  await listener.subscribe({ channel: "**", ...since(900, "time") });
  const told = listener.told();
  expect(told[0]).toBe("ack time/1000");
  expect(told).toContain("gap limit ?..time/1000");
  // What has come since is there.
  expect(told.filter((line) => line.startsWith("live")).length).toBeLessThan(MANY);
  broker.handler.publications("c.last", "e", entry === undefined ? [] : [entry]);
  expect(listener.told()).toEqual(["live e/1"]);
});

test("what was held is let out in portions, in its order, and what comes meanwhile comes after it", async () => {
  const { broker, listener } = await listening();
  broker.append(1);
  const [entry] = broker.log;
  const entries = entry === undefined ? [] : [entry];
  broker.handed = broker.head;
  const count = 3_500;
  broker.reading = (asked) => {
    for (let i = 0; asked === 1 && i < count; i++)
      broker.handler.publications(`c.${i}`, "e", entries);
  };
  const catching = listener.subscribe({ channel: "**", ...since(900, "time") });
  const live = (): number => listener.told().filter((line) => line === "live e/1").length;
  const turns: number[] = [];
  for (let all = 0; all < count; all += turns.at(-1) ?? 0) {
    await new Promise(setImmediate);
    if (turns.length === 0) broker.handler.publications("c.last", "e", entries);
    turns.push(live());
    expect(turns.length).toBeLessThan(100);
  }
  await catching;
  expect(turns.length).toBeGreaterThan(1);
  expect(live() + turns.reduce((sum, some) => sum + some, 0)).toBe(count + 1);
  expect(String(listener.transport.frames.at(-1))).toContain('"c.last"');
});

test("no hold grows with what is added to it", () => {
  const hold = new ReplayBuffer();
  const pattern = new PatternReplayBuffer();
  let most = 0;
  for (let i = 0; i < 20 * MANY; i++) {
    hold.add({ channel: ROOM, notice: notice(i) });
    pattern.add({ channel: `c.${i}`, notice: notice(i) });
    most = Math.max(most, hold.items.length);
  }
  expect(most).toBeLessThan(MAX_REPLAY_BUFFER_BYTES / 400);
  expect([hold.takeLostPresence(), hold.takeLostPresence()]).toEqual([true, false]);
  expect([pattern.takeOverflow(), pattern.takeOverflow()]).toEqual([true, false]);
  let left = 0;
  while (pattern.take() !== undefined) left += 1;
  expect(left).toBeLessThan(MAX_REPLAY_BUFFER_BYTES / 250);
});
