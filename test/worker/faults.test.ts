/**
 * Objects that are reset at the worst moments. Whatever was acknowledged reaches every subscriber
 * whose socket lived, within 15 s, without a later publish, once and in order.
 */
import { runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { ChannelFanOut } from "../../src/objects/channel/fan-out.ts";
import { SqlLogStore } from "../../src/worker/channel/log-store.ts";
import { ChannelDurableObject } from "../../src/worker/channel/object.ts";
import { eventually } from "../support/eventually.ts";
import { delay } from "../support/platform.ts";
import { abort } from "./abort.ts";
import { Client, freshChannel, texts } from "./socket.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** The moment of a publish at which an object is reset. `arm` gets what resets it. */
const moments: Record<string, (abort: () => void, sync: () => Promise<void>) => void> = {
  "before append": (abort) => {
    vi.spyOn(SqlLogStore.prototype, "append").mockImplementationOnce(() => {
      abort();
      throw new Error("reset before append");
    });
  },
  "after append": (abort, sync) => {
    // The entry is on disk, no deliver call has been made, and nothing is acknowledged.
    const publish = ChannelDurableObject.prototype.publish;
    const flush = ChannelFanOut.prototype.flush;
    let held = true;
    vi.spyOn(ChannelFanOut.prototype, "flush").mockImplementation(function (this: ChannelFanOut) {
      if (!held) flush.call(this);
    });
    vi.spyOn(ChannelDurableObject.prototype, "publish").mockImplementationOnce(async function (
      this: ChannelDurableObject,
      request,
    ) {
      const answer = publish.call(this, request);
      await sync();
      held = false;
      abort();
      return await answer;
    });
  },
  "after the first deliver call": (abort) => {
    const flush = ChannelFanOut.prototype.flush;
    vi.spyOn(ChannelFanOut.prototype, "flush").mockImplementationOnce(function (
      this: ChannelFanOut,
    ) {
      flush.call(this);
      abort();
    });
  },
};

async function scene() {
  const channel = freshChannel();
  const other = `sam-${Math.floor(Math.random() * 60)}`;
  const subscriber = await Client.connect({ subscribe: [channel] });
  const publisher = await Client.connect({
    open: (request) => exports.GatewayDurableObject.getByName(other).fetch(request),
  });
  await publisher.publish(channel, "first");
  await subscriber.received(1);
  const object = exports.ChannelDurableObject.getByName(channel);
  const gateway = exports.GatewayDurableObject.getByName(other);
  return { channel, subscriber, publisher, object, gateway };
}

async function stateOf(stub: DurableObjectStub): Promise<DurableObjectState> {
  return await runInDurableObject(stub, (_, state) => state);
}

for (const [moment, arm] of Object.entries(moments)) {
  test(`the channel is reset ${moment}`, async () => {
    const { channel, subscriber, publisher, object } = await scene();
    const state = await stateOf(object);
    arm(
      () => state.abort("fault"),
      () => state.storage.sync(),
    );
    expect(await publisher.publish(channel, "second")).toBe(2);
    const messages = await subscriber.received(2, 15_000);
    expect(texts(messages)).toEqual(["first", "second"]);
    expect(await publisher.publish(channel, "third")).toBe(3);
    expect(texts(await subscriber.received(3))).toEqual(["first", "second", "third"]);
    expect(new Set(messages.map(({ epoch }) => epoch)).size).toBe(1);
  });
}

test("what a channel took before it was reset comes before what overtakes its repetition, by a pattern as well", async () => {
  const word = `overtaken-${crypto.randomUUID()}`;
  const channel = freshChannel(word);
  const publishers = await Promise.all(
    ["a", "b"].map((name) =>
      Client.connect({ gateway: `overtaking-${name}-${crypto.randomUUID()}` }),
    ),
  );
  expect(await publishers[0]?.publish(channel, "before")).toBe(1);
  const subscriber = await Client.connect({ subscribe: [`${word}.**`] });
  const object = exports.ChannelDurableObject.getByName(channel);
  const publish = ChannelDurableObject.prototype.publish;
  let [aborted, overtaken] = [false, false];
  vi.spyOn(ChannelDurableObject.prototype, "publish").mockImplementation(async function (
    this: ChannelDurableObject,
    request,
  ) {
    const isFirst = new TextDecoder().decode(request).includes("first");
    if (isFirst && aborted) while (!overtaken) await delay(5);
    return await publish.call(this, request);
  });
  const state = await stateOf(object);
  const abortIt = (): void => {
    aborted = true;
    state.abort("fault");
  };
  moments["after append"]?.(abortIt, () => state.storage.sync());
  const first = publishers[0]?.publish(channel, "first");
  while (!aborted) await delay(5);
  expect(await publishers[1]?.publish(channel, "second")).toBe(3);
  overtaken = true;
  expect(await first).toBe(2);
  expect(texts(await subscriber.received(2))).toEqual(["first", "second"]);
});

for (const moment of ["before the channel has it", "before it hears that the channel has it"]) {
  test(`the publisher's gateway is reset ${moment}`, async () => {
    const { channel, subscriber, publisher, gateway } = await scene();
    const publish = ChannelDurableObject.prototype.publish;
    let [reached, released] = [false, false];
    const pause = async (): Promise<void> => {
      reached = true;
      while (!released) await delay(5);
    };
    vi.spyOn(ChannelDurableObject.prototype, "publish").mockImplementationOnce(async function (
      this: ChannelDurableObject,
      request,
    ) {
      if (moment === "before the channel has it") await pause();
      const answer = await publish.call(this, request);
      if (!released) await pause();
      return answer;
    });
    const acknowledged = publisher.publish(channel, "second").then(
      () => true,
      () => false,
    );
    await eventually(() => reached);
    await abort(gateway);
    expect((await publisher.closed()).code).toBe(1006);
    released = true;
    expect(await acknowledged).toBe(false);
    // The channel and the subscriber are as they were: the next publish comes in order, once.
    const next = await Client.connect();
    const offset = await next.publish(channel, "third");
    const messages = await subscriber.received(offset, 15_000);
    expect(messages.map((message) => Number(message.offset))).toEqual(
      Array.from({ length: offset }, (_, index) => index + 1),
    );
    expect(texts(messages).filter((text) => text !== "second")).toEqual(["first", "third"]);
  });
}

test("the channel is reset after the acknowledgement", async () => {
  const { channel, subscriber, publisher, object } = await scene();
  await publisher.publish(channel, "second");
  await abort(object);
  expect(texts(await subscriber.received(2, 15_000))).toEqual(["first", "second"]);
});
