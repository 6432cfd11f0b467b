/** Sleeping and waking objects: sockets live, subscriptions live, offsets go on, the epoch stays. */
import { evictDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { Client, freshChannel, texts } from "./socket.ts";

const GATEWAY = "enam-0";

test("a conversation goes on across evictions of the gateway and the channel", async () => {
  const channel = freshChannel();
  const subscriber = await Client.connect({ subscribe: [channel] });
  const publisher = await Client.connect({ encoding: "proto" });
  const gateway = exports.GatewayDurableObject.getByName(GATEWAY);
  const object = exports.ChannelDurableObject.getByName(channel);

  expect(await publisher.publish(channel, "one")).toBe(1);
  await subscriber.received(1);
  await evictDurableObject(gateway);
  expect(await publisher.publish(channel, "two")).toBe(2);
  await subscriber.received(2);
  await evictDurableObject(object);
  expect(await publisher.publish(channel, "three")).toBe(3);
  await subscriber.received(3);
  await evictDurableObject(gateway);
  await evictDurableObject(object);
  expect(await publisher.publish(channel, "four")).toBe(4);
  const messages = await subscriber.received(4);

  expect(texts(messages)).toEqual(["one", "two", "three", "four"]);
  expect(messages.map((message) => Number(message.offset))).toEqual([1, 2, 3, 4]);
  expect(new Set(messages.map((message) => message.epoch)).size).toBe(1);
});
