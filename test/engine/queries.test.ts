/** H and M: what a client may ask about a channel, and what it hears of who comes and goes. */
import { expect, test } from "vitest";
import type { Member } from "../../src/channels/presence.ts";
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import type {
  HistoryRequest,
  OutboundMessage,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { joining, type Listener, listening, ROOM, since } from "./log-broker.ts";
import { type Init, send } from "./scene.ts";

const ALL = ["history", "presence", "recovery"];

/** The last thing that a client was told. */
function last({ transport }: Listener): OutboundMessage["envelope"] {
  return codecFor("json").decodeOutbound(transport.frames.at(-1) ?? "").envelope;
}

async function ask(listener: Listener, message: Init): Promise<OutboundMessage["envelope"]> {
  await send(listener.session, message);
  return last(listener);
}

type Query = Partial<Pick<HistoryRequest, "channel" | "limit" | "reverse">> &
  Parameters<Listener["subscribe"]>[0];

/** A page of history as one line: offsets, head, gap, and whether there is more. */
async function page(listener: Listener, query: Query): Promise<string> {
  const value = { channel: ROOM, limit: -1, ...query };
  const envelope = await ask(listener, { envelope: { case: "historyRequest", value } });
  if (envelope.case === "error") return envelope.value.code;
  if (envelope.case !== "history") return `${envelope.case}`;
  const { messages, position, gap, more } = envelope.value;
  const offsets = messages.map(({ offset, epoch, id, replay }) => {
    expect(id).toBe(`${epoch}-${offset}`);
    expect(replay).toBe(true);
    return offset;
  });
  const hole = gap && `${gap.reason} ${gap.after?.offset}..${gap.until?.offset}`;
  return [`[${offsets}]`, `of ${position?.offset}`, hole, more && "more"].filter(Boolean).join(" ");
}

test.each<[string, Query, string]>([
  ["all that fits", {}, "[3,4,5] of 5"],
  ["some", { limit: 2 }, "[3,4] of 5 more"],
  ["the newest", { limit: 2, reverse: true }, "[5,4] of 5 more"],
  ["the position only", { limit: 0 }, "[] of 5 more"],
  ["what is behind a place", since(3), "[4,5] of 5"],
  ["what is before a place", { ...since(5), reverse: true }, "[4,3] of 5"],
  ["what is before the place behind the head", { ...since(6), reverse: true }, "[5,4,3] of 5"],
  ["what is partly gone", since(0), "[3,4,5] of 5 expired 0..2"],
  ["what is behind the head", since(5), "[] of 5"],
  ["a place without an epoch", { since: { offset: 4n } }, "[3,4,5] of 5"],
  ["another log", since(3, "old"), "[] of 5 epoch_changed 3..5"],
  ["another log in reverse", { ...since(3, "old"), reverse: true }, "[] of 5 epoch_changed 3..5"],
  ["a place beyond the head", since(6), "[] of 5 epoch_changed 6..5"],
  // Once the page held the newest messages beside that gap.
  [
    "a place beyond the head in reverse",
    { ...since(9), reverse: true },
    "[] of 5 epoch_changed 9..5",
  ],
])("history of %s", async (_, query, expected) => {
  const { broker, listener } = await listening(ALL);
  broker.append(5);
  Object.assign(broker, { trimmed: 2, reason: "expired" });
  await listener.subscribe();
  expect(await page(listener, query)).toBe(expected);
});

test("a page holds 100 messages and 64 KiB, and one message whatever its size", async () => {
  const { broker, listener } = await listening(ALL);
  await listener.subscribe();
  broker.append(150);
  expect(await page(listener, { limit: 120 })).toMatch(/^\[1,.*,100\] of 150 more$/);
  broker.append(2, 40_000);
  expect(await page(listener, since(150))).toBe("[151] of 152 more");
  broker.append(1, 70_000);
  expect(await page(listener, since(152))).toBe("[153] of 153");
});

test.each([
  ["history", (channel: string) => ({ case: "historyRequest" as const, value: { channel } })],
  ["presence", (channel: string) => ({ case: "presenceRequest" as const, value: { channel } })],
])("who may ask for %s, and of what", async (capability, request) => {
  const { listener } = await listening([capability]);
  const asked = async (channel: string, who = listener) => {
    const envelope = await ask(who, { envelope: request(channel) });
    return envelope.case === "error" ? envelope.value.code : envelope.case;
  };
  expect(await asked(ROOM)).toBe("ACL_ERROR");
  await listener.subscribe();
  expect(await asked(ROOM)).toBe(capability);
  expect([await asked(""), await asked("a.*"), await asked("**")]).toEqual([
    "BAD_REQUEST",
    "BAD_REQUEST",
    "BAD_REQUEST",
  ]);
  const without = await listening(ALL.filter((name) => name !== capability));
  await without.listener.subscribe();
  expect(await asked(ROOM, without.listener)).toBe("BAD_REQUEST");
});

test("presence that is switched off is not asked for", async () => {
  const rules = { ...DEFAULT_CHANNEL_RULES, presence: false };
  const { broker, listener } = await listening(ALL, {
    rules: new RuleBook([{ pattern: "room", rules }]),
  });
  await listener.subscribe();
  const request = { case: "presenceRequest" as const, value: { channel: ROOM } };
  expect(await ask(listener, { envelope: request })).toMatchObject({
    value: { code: "BAD_REQUEST" },
  });
  expect(broker.members).toEqual([]);
});

const names = (userId: string, clientId = ""): Member => ({
  userId,
  clientId,
  sessionId: "",
  time: 7,
});

test("members are listed as far as there is room, and counted", async () => {
  const { broker, listener } = await listening(ALL, { maxMessageBytes: 1_000 });
  await listener.subscribe();
  const members = Array.from({ length: 50 }, (_, index) => names(`user-${index}`, "c".repeat(40)));
  broker.presence = async () => ({ epoch: "e", members, total: 60, generation: 9 });
  const request = { case: "presenceRequest" as const, value: { channel: ROOM } };
  const envelope = await ask(listener, { envelope: request });
  if (envelope.case !== "presence") throw new Error(`${envelope.case}`);
  expect(envelope.value).toMatchObject({ total: 60, generation: { epoch: "e", number: 9n } });
  const listed = envelope.value.members.map(({ userId }) => userId);
  expect(listed.length).toBeGreaterThan(10);
  expect(listed).toEqual(members.slice(0, listed.length).map(({ userId }) => userId));
  expect(listener.transport.frames.at(-1)?.length).toBeLessThan(3_000);
});

test("who comes and goes is told to those who follow, from their registration on, and not of themselves", async () => {
  const node = await listening(ALL);
  const { broker, listener } = node;
  broker.generation = 4;
  await listener.subscribe();
  const deaf = await joining(node, ["recovery"]);
  await deaf.subscribe();
  deaf.told();
  const itself = { userId: "", clientId: "", sessionId: "s", time: 7 };
  broker.handler.presence(ROOM, "e", [
    { member: names("u"), joined: true, generation: 4 },
    { member: names("v"), joined: true, generation: 5 },
    { member: itself, joined: true, generation: 6 },
    { member: { ...itself, sessionId: "another" }, joined: true, generation: 7 },
    { member: names("v"), joined: false, generation: 8 },
  ]);
  const changes = listener.transport.frames.slice(2).map((frame) => {
    const { envelope } = codecFor("json").decodeOutbound(frame);
    if (envelope.case !== "presenceEvent") return envelope.case;
    const { change, generation } = envelope.value;
    const { userId, sessionId } = change.value ?? {};
    return `${change.case} ${userId || sessionId} ${generation?.number}`;
  });
  expect(changes).toEqual(["join v 5", "join another 7", "leave v 8"]);
  expect(deaf.told()).toEqual([]);
});

test("presence that was lost is told anew, and then every change behind it", async () => {
  // M7. Once a snapshot from before a client subscribed replaced what the client had asked for, and
  // the changes between the two never came.
  const { broker, listener } = await listening(ALL);
  broker.generation = 5;
  await listener.subscribe();
  listener.told();
  broker.handler.presenceLost(ROOM, "e", { members: [names("u")], total: 1, generation: 3 });
  expect(last(listener)).toMatchObject({
    value: { channel: ROOM, total: 1, members: [{ userId: "u" }], generation: { number: 3n } },
  });
  for (const generation of [3, 4]) {
    broker.handler.presence(ROOM, "e", [{ member: names("v"), joined: true, generation }]);
  }
  expect(listener.told()).toEqual(["presence", "presenceEvent"]);
  expect(last(listener)).toMatchObject({ value: { generation: { number: 4n } } });
});

test("presence is told behind the acknowledgement and behind the replay", async () => {
  const { broker, listener } = await listening(ALL);
  broker.append(1);
  const comes = (generation: number) =>
    broker.handler.presence(ROOM, "e", [{ member: names("u"), joined: true, generation }]);
  broker.registering = () => comes(1);
  broker.reading = () => comes(2);
  await listener.subscribe(since(0));
  expect(listener.told()).toEqual([
    "ack e/1",
    "replay e/1",
    "recovered e/1",
    "presenceEvent",
    "presenceEvent",
  ]);
});
