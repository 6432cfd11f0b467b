/** A channel that does not answer costs its own requests five seconds and nobody else anything (U6). */
import { expect, test, vi } from "vitest";
import { ChannelDurableObject } from "../../src/worker/channel/object.ts";
import { kindOf, valueAs } from "../support/client.ts";
import { Client, freshChannel, texts } from "./socket.ts";

/** Channels whose objects hang, by the method that they hang in. */
const hanging = { register: new Set<string>(), publish: new Set<string>() };

for (const method of ["register", "publish"] as const) {
  const original = ChannelDurableObject.prototype[method] as (request: Uint8Array) => unknown;
  vi.spyOn(ChannelDurableObject.prototype, method).mockImplementation(function (
    this: ChannelDurableObject,
    request,
  ) {
    const { ctx } = this as unknown as { ctx: DurableObjectState };
    if (hanging[method].has(ctx.id.name ?? "")) return new Promise<never>(() => {}) as never;
    return original.call(this, request) as never;
  });
}

// Each of them waits for five seconds.
test.concurrent("a subscribe to it is UNAVAILABLE; the other channels of the request are granted", async () => {
  const [silent, good] = [freshChannel(), freshChannel()];
  hanging.register.add(silent);
  const client = await Client.connect();
  const began = Date.now();
  const ack = valueAs(await client.subscribe(silent, good), "subscribeAck");
  expect(Date.now() - began).toBeGreaterThanOrEqual(4_900);
  expect(ack.subscriptions.map(({ error }) => error?.code)).toEqual(["UNAVAILABLE", undefined]);
  await client.publish(good, "hello");
  expect(texts(await client.received(1))).toEqual(["hello"]);
});

test.concurrent("a v1 session survives it and may ask again", async () => {
  const channel = freshChannel();
  hanging.register.add(channel);
  const client = await Client.connect({ extended: false });
  expect(kindOf(await client.subscribe(channel))).toBe("error UNAVAILABLE");
  hanging.register.delete(channel);
  expect(kindOf(await client.subscribe(channel))).toBe("subscribeAck");
});

test.concurrent("a publish to it is UNAVAILABLE, and one to another channel is not held up", async () => {
  const [silent, good] = [freshChannel(), freshChannel()];
  hanging.publish.add(silent);
  const client = await Client.connect();
  const value = { id: "e", source: "/s", type: "t" };
  const lost = client.request({ channel: silent, envelope: { case: "publish", value } });
  expect(await client.publish(good, "meanwhile")).toBe(1);
  const { code, type } = valueAs(await lost, "error");
  expect([code, type]).toEqual(["UNAVAILABLE", "server_error"]);
});
