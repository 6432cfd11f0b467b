/** A channel that keeps nothing: what its subscribers are told when its process is gone (C11, H4). */
import { exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import { valueAs } from "../support/client.ts";
import { abort } from "./abort.ts";
import { Client, freshChannel, texts } from "./socket.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

test("an aborted transient channel gets another epoch, and its subscribers a gap, once", async () => {
  const channel = freshChannel("transient");
  const of = RuleBook.prototype.of;
  vi.spyOn(RuleBook.prototype, "of").mockImplementation(function (this: RuleBook, name) {
    if (name !== channel) return of.call(this, name);
    return { ...DEFAULT_CHANNEL_RULES, transient: true, historySize: 0 };
  });
  const subscriber = await Client.connect({
    gateway: `transient-${crypto.randomUUID()}`,
    subscribe: [channel],
    capabilities: ["recovery", "history"],
  });
  const plain = await Client.connect({ subscribe: [channel], extended: false });
  const publisher = await Client.connect();
  expect(await publisher.publish(channel, "one")).toBe(1);
  expect(await publisher.publish(channel, "two")).toBe(2);
  await subscriber.received(2);
  const request = { channel, limit: 10 };
  const reply = await subscriber.request({ envelope: { case: "historyRequest", value: request } });
  expect(valueAs(reply, "history").messages).toEqual([]);

  await abort(exports.ChannelDurableObject.getByName(channel));
  expect(await publisher.publish(channel, "three")).toBe(1);
  const messages = await subscriber.received(3);
  expect(texts(messages)).toEqual(["one", "two", "three"]);
  const [before, , after] = messages;
  expect(after?.epoch).not.toBe(before?.epoch);
  const gaps = subscriber.replies.flatMap(({ envelope }) =>
    envelope.case === "gap" ? [envelope.value] : [],
  );
  expect(gaps).toHaveLength(1);
  expect(gaps[0]).toMatchObject({ channel, reason: "epoch_changed" });
  expect(gaps[0]?.after).toMatchObject({ epoch: before?.epoch, offset: 2n });
  expect(gaps[0]?.until).toMatchObject({ epoch: after?.epoch, offset: 0n });
  expect(texts(await plain.received(3))).toEqual(["one", "two", "three"]);
  await publisher.publish(channel, "four");
  await subscriber.received(4);
  expect(subscriber.replies.filter(({ envelope }) => envelope.case === "gap")).toHaveLength(1);
});
