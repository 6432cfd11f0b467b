/** L6. Channels count: how many a node may have, and how many one session may begin in a minute. */
import { expect, test } from "vitest";
import { codecFor } from "../../src/protocol/codec.ts";
import type { OutboundMessage } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { connect, type Init, type ScriptedTransport, scene, send, subscribe } from "./scene.ts";

type Scene = ReturnType<typeof scene>;

function publish(channel: string): Init {
  return {
    channel,
    envelope: { case: "publish", value: { id: channel, source: "/s", type: "t" } },
  };
}

/** What each frame was answered with, and after how many milliseconds a refused one may come again. */
async function answers({ session, transport }: Scene, ...messages: Init[]): Promise<string[]> {
  transport.frames.length = 0;
  for (const message of messages) await send(session, message);
  return transport.frames.map((frame) => words(codecFor("json").decodeOutbound(frame)));
}

function words({ envelope }: OutboundMessage): string {
  if (envelope.case === "error") {
    const wait = envelope.value.metadata?.["retry_after_ms"];
    return `${envelope.value.code} ${wait}`;
  }
  if (envelope.case !== "subscribeAck") return `${envelope.case}`;
  return envelope.value.subscriptions.map(({ error }) => error?.code ?? "granted").join(" ");
}

function newcomer({ engine }: Scene, id: string) {
  const transport = { frames: [], write() {}, close() {} } as unknown as ScriptedTransport;
  return engine.accept(transport, id, "json");
}

test("a session begins so many channels a minute, by subscriptions and publishes alike", async () => {
  const one = scene({ newChannelsPerMinute: 3 });
  await connect(one.session, "a");
  expect(
    await answers(one, publish("b"), subscribe("c", "a"), publish("d"), subscribe("e")),
  ).toEqual(["publishAck", "granted granted", "RATE_LIMITED 20000", "RATE_LIMITED"]);
  // What is known already takes no place.
  expect(await answers(one, publish("a"), publish("b"), publish("c"))).toEqual([
    "publishAck",
    "publishAck",
    "publishAck",
  ]);
  one.clock.time += 20_000;
  expect(await answers(one, subscribe("e"), publish("f"))).toEqual([
    "granted",
    "RATE_LIMITED 20000",
  ]);
});

test("what another session has begun is not new, and each session has its own allowance", async () => {
  const one = scene({ newChannelsPerMinute: 1 });
  await connect(one.session, "a");
  const other = newcomer(one, "other");
  await connect(other, "b");
  expect(other.channels).toEqual(["b"]);
  expect(await answers(one, subscribe("b"), publish("b"), publish("c"))).toEqual([
    "granted",
    "publishAck",
    "RATE_LIMITED 60000",
  ]);
});

test("a broker that knows its channels is asked", async () => {
  const one = scene({ newChannelsPerMinute: 1 });
  Object.assign(one.broker, { knows: (channel: string) => channel.startsWith("old.") });
  await connect(one.session, "old.1", "old.2");
  expect(await answers(one, publish("old.3"), publish("new.1"), publish("new.1"))).toEqual([
    "publishAck",
    "publishAck",
    "RATE_LIMITED 60000",
  ]);
});

test("without a limit there is none, and what the server subscribes does not count", async () => {
  const free = scene({ newChannelsPerMinute: 0 });
  await connect(free.session);
  const many = Array.from({ length: 500 }, (_, index) => publish(`c.${index}`));
  expect(new Set(await answers(free, ...many))).toEqual(new Set(["publishAck"]));
  const bound = scene({ newChannelsPerMinute: 1 });
  await connect(bound.session);
  await bound.engine.subscribe(bound.session.id, ["a", "b", "c"]);
  expect(bound.session.channels).toEqual(["a", "b", "c"]);
});

test("a node has so many channels and patterns, and those that are there go on", async () => {
  const one = scene({ maxChannels: 3 });
  await connect(one.session, "a", "b");
  expect(await answers(one, subscribe("x.*"), subscribe("c", "a"), subscribe("y.*"))).toEqual([
    "granted",
    "RATE_LIMITED granted",
    "RATE_LIMITED",
  ]);
  const other = newcomer(one, "other");
  await connect(other, "a", "b", "c", "x.*");
  expect(other.channels).toEqual(["a", "b", "x.*"]);
  await other.end(true);
  await send(one.session, {
    envelope: { case: "unsubscribe", value: { subscriptions: [{ channel: "b" }] } },
  });
  expect(await answers(one, subscribe("c"))).toEqual(["granted"]);
  expect([...one.broker.wanted].sort()).toEqual(["a", "c", "x.*"]);
});
