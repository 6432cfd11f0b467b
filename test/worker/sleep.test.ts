/** Objects that are evicted between any two steps: nothing acknowledged is lost, nothing comes twice. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { valueAs } from "../support/client.ts";
import { Client, freshChannel, texts } from "./socket.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/**
 * Which object is evicted before a step. Eviction waits for timers, so that what is to be saved is saved: two seconds for a gateway,
 * which is why tests wait beside each other.
 */
type Victim = "gateway" | "channel" | "both";

const STEPS = ["publish one", "publish two", "subscribe again", "publish three"] as const;

for (const victim of ["gateway", "channel", "both"] as const satisfies readonly Victim[]) {
  test.concurrent.each(STEPS)(`${victim} evicted before: %s`, async (moment) => {
    const channel = freshChannel();
    const gateway = `sleep-${crypto.randomUUID()}`;
    const subscriber = await Client.connect({
      gateway,
      subscribe: [channel],
      capabilities: ["recovery"],
    });
    const publisher = await Client.connect();
    const step = async (name: (typeof STEPS)[number], run: () => Promise<unknown>) => {
      if (name === moment) {
        const objects = [
          ...(victim === "channel" ? [] : [exports.GatewayDurableObject.getByName(gateway)]),
          ...(victim === "gateway" ? [] : [exports.ChannelDurableObject.getByName(channel)]),
        ];
        await Promise.all(objects.map((object) => evictDurableObject(object)));
      }
      await run();
    };
    await step("publish one", () => publisher.publish(channel, "one"));
    await subscriber.received(1);
    await step("publish two", () => publisher.publish(channel, "two"));
    await subscriber.received(2);
    const { epoch } = subscriber.messages[0] ?? { epoch: "" };
    await step("subscribe again", async () => {
      const since = { epoch, offset: 1n };
      const subscriptions = [{ channel, recover: true, since }];
      const ack = await subscriber.request({
        envelope: { case: "subscribe", value: { subscriptions } },
      });
      expect(valueAs(ack, "subscribeAck").subscriptions[0]?.position?.offset).toBe(2n);
    });
    // The client said that it has the first only: the second is replayed, and no more than that.
    await subscriber.received(3);
    await step("publish three", () => publisher.publish(channel, "three"));
    await subscriber.received(4);
    expect(texts(subscriber.messages)).toEqual(["one", "two", "two", "three"]);
    expect(subscriber.messages.map(({ replay }) => replay)).toEqual([false, false, true, false]);
    const gaps = subscriber.replies.filter(({ envelope }) => envelope.case === "gap");
    expect(gaps).toEqual([]);
    const recovered = await subscriber.next("recovered");
    expect(recovered.gap).toBeUndefined();
  });
}

test.concurrent.each(["json", "proto"] as const)(
  "who takes compact frames still does after a sleep: %s",
  async (encoding) => {
    const [channel, gateway] = [freshChannel(), `sleep-${crypto.randomUUID()}`];
    const subscriber = await Client.connect({
      gateway,
      encoding,
      compact: true,
      subscribe: [channel],
    });
    const publisher = await Client.connect();
    await publisher.publish(channel, "one");
    await subscriber.received(1);
    await evictDurableObject(exports.GatewayDurableObject.getByName(gateway));
    await Promise.all(["two", "three"].map((text) => publisher.publish(channel, text)));
    await subscriber.received(3);
    expect(texts(subscriber.messages).toSorted()).toEqual(["one", "three", "two"]);
    expect(subscriber.violations).toEqual([]);
  },
);

test("a delivery that is repeated to a gateway that slept reaches nobody twice", async () => {
  const requests: Uint8Array[] = [];
  const gateway = `sleep-${crypto.randomUUID()}`;
  const deliver = GatewayDurableObject.prototype.deliver;
  vi.spyOn(GatewayDurableObject.prototype, "deliver").mockImplementation(async function (
    this: GatewayDurableObject,
    request,
  ) {
    const { ctx } = this as unknown as { ctx: DurableObjectState };
    if (ctx.id.name === gateway) requests.push(request);
    return await deliver.call(this, request);
  });
  const channel = freshChannel();
  const subscriber = await Client.connect({ gateway, subscribe: [channel] });
  const publisher = await Client.connect();
  await publisher.publish(channel, "one");
  await publisher.publish(channel, "two");
  await subscriber.received(2);
  const stub = exports.GatewayDurableObject.getByName(gateway);
  await evictDurableObject(stub);
  const sent = requests.splice(0);
  expect(sent).toHaveLength(2);
  for (const request of sent) await stub.deliver(request);
  await publisher.publish(channel, "three");
  await subscriber.received(3);
  expect(texts(subscriber.messages)).toEqual(["one", "two", "three"]);
});

test("a record that cannot be read ends its own session after a sleep, and no other", async () => {
  // Once every socket that the gateway looked at behind the broken one had no session any more.
  const gateway = `sleep-${crypto.randomUUID()}`;
  const channel = freshChannel();
  const clients: Client[] = [];
  for (let i = 0; i < 3; i++) {
    clients.push(await Client.connect({ gateway, clientId: `${i}`, subscribe: [channel] }));
  }
  const object = exports.GatewayDurableObject.getByName(gateway);
  await evictDurableObject(object);
  // It has not woken yet: nothing of it writes the record once more.
  await runInDurableObject(object, (_, state) => {
    const [, broken] = state.getWebSockets();
    broken?.serializeAttachment(new Uint8Array([0x0a, 0xff]));
  });
  const publisher = await Client.connect();
  await publisher.publish(channel, "after the sleep");
  const whole = await Promise.all(
    clients.map(async (client) => {
      await client.until(() => client.close ?? client.messages[0]);
      return client.close?.code ?? texts(client.messages)[0];
    }),
  );
  expect(whole.toSorted()).toEqual([1011, "after the sleep", "after the sleep"]);
});
