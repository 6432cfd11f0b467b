/** One order for everyone: many publishers, many subscribers, one channel. */
import { exports } from "cloudflare:workers";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterEach, expect, test, vi } from "vitest";
import {
  PublishItemSchema,
  PublishRequestSchema,
  PublishResponseSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { Client, freshChannel, texts } from "./socket.ts";

afterEach(() => {
  vi.useRealTimers();
});

test("1,000 events from 4 sockets reach 50 subscribers in one order, dense, once", async () => {
  const channel = freshChannel();
  const subscribers = await Promise.all(
    Array.from({ length: 50 }, (_, index) =>
      Client.connect({
        encoding: index % 2 === 0 ? "json" : "proto",
        extended: index % 4 < 2,
        subscribe: [channel],
      }),
    ),
  );
  const publishers = await Promise.all(Array.from({ length: 4 }, () => Client.connect()));
  const acknowledged = await Promise.all(
    publishers.flatMap((publisher, index) =>
      Array.from({ length: 250 }, (_, count) => publisher.publish(channel, `${index}:${count}`)),
    ),
  );

  const dense = Array.from({ length: 1000 }, (_, index) => index + 1);
  expect(acknowledged.toSorted((a, b) => a - b)).toEqual(dense);
  const order = texts((await subscribers[0]?.received(1000, 30_000)) ?? []);
  expect(new Set(order).size).toBe(1000);
  for (const subscriber of subscribers) {
    const messages = await subscriber.received(1000, 30_000);
    expect(messages.map((message) => Number(message.offset))).toEqual(dense);
    expect(texts(messages)).toEqual(order);
  }
  // Each publisher's own events keep their order.
  for (const index of [0, 1, 2, 3]) {
    const own = order.filter((text) => text.startsWith(`${index}:`));
    expect(own).toEqual(Array.from({ length: 250 }, (_, count) => `${index}:${count}`));
  }
});

test("frames of one session on one channel take effect in order without waiting for replies", async () => {
  const channel = freshChannel();
  const client = await Client.connect();
  const subscriptions = [{ channel }];
  const done = [
    client.subscribe(channel),
    client.request({ envelope: { case: "unsubscribe", value: { subscriptions } } }),
    client.publish(channel, "after unsubscribe"),
    client.subscribe(channel),
    client.publish(channel, "after subscribe"),
  ];
  await Promise.all(done);
  // The subscription stands: what comes now fences what came before.
  await client.publish(channel, "fence");
  await client.until(() => (texts(client.messages).includes("fence") ? true : undefined));
  expect(texts(client.messages)).toEqual(["after subscribe", "fence"]);
});

test("a channel answers a full batch while no timer comes", async () => {
  const full = 512;
  const channel = exports.ChannelDurableObject.getByName(freshChannel());
  const publish = async (count: number, from: number) => {
    const items = Array.from({ length: count }, (_, i) =>
      create(PublishItemSchema, { key: `${from + i}`, body: new Uint8Array([1]) }),
    );
    const request = toBinary(PublishRequestSchema, create(PublishRequestSchema, { items }));
    return fromBinary(PublishResponseSchema, await channel.publish(request));
  };
  // By now it knows who hears it by a pattern.
  await publish(1, 0);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const { results } = await publish(full, 1);
  expect(results.at(-1)?.offset).toBe(BigInt(full + 1));
});
