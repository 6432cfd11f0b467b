/** A channel that does not answer costs its own requests five seconds and nobody else anything (U6). */
import { afterEach, expect, test, vi } from "vitest";
import { ChannelDurableObject } from "../../src/worker/channel/object.ts";
import { kindOf, valueAs } from "../support/client.ts";
import { Client, freshChannel, texts } from "./socket.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** Makes one channel's object hang in a method. */
function hang(method: "register" | "publish", channel: string): void {
  const original = ChannelDurableObject.prototype[method] as (request: Uint8Array) => unknown;
  vi.spyOn(ChannelDurableObject.prototype, method).mockImplementation(function (
    this: ChannelDurableObject,
    request,
  ) {
    const { ctx } = this as unknown as { ctx: DurableObjectState };
    if (ctx.id.name === channel) return new Promise<never>(() => {}) as never;
    return original.call(this, request) as never;
  });
}

test("a subscribe to it is UNAVAILABLE; the other channels of the request are granted", async () => {
  const [silent, good] = [freshChannel(), freshChannel()];
  hang("register", silent);
  const client = await Client.connect();
  const began = Date.now();
  const ack = valueAs(await client.subscribe(silent, good), "subscribeAck");
  expect(Date.now() - began).toBeGreaterThanOrEqual(4_900);
  expect(ack.subscriptions.map(({ error }) => error?.code)).toEqual(["UNAVAILABLE", undefined]);
  await client.publish(good, "hello");
  expect(texts(await client.received(1))).toEqual(["hello"]);
});

test("a v1 session survives it and may ask again", async () => {
  const channel = freshChannel();
  hang("register", channel);
  const client = await Client.connect({ extended: false });
  expect(kindOf(await client.subscribe(channel))).toBe("error UNAVAILABLE");
  vi.restoreAllMocks();
  expect(kindOf(await client.subscribe(channel))).toBe("subscribeAck");
});

test("a publish to it is UNAVAILABLE, and one to another channel is not held up", async () => {
  const [silent, good] = [freshChannel(), freshChannel()];
  hang("publish", silent);
  const client = await Client.connect();
  const value = { id: "e", source: "/s", type: "t" };
  const lost = client.request({ channel: silent, envelope: { case: "publish", value } });
  expect(await client.publish(good, "meanwhile")).toBe(1);
  const { code, type } = valueAs(await lost, "error");
  expect([code, type]).toEqual(["UNAVAILABLE", "server_error"]);
});
