/**
 * Found by the random life: a gateway that was reset and lost its sockets still had the row of its old
 * registration, and took the first delivery after its new one for where it was, instead of the head that
 * the new registration had told its subscribers. What the channel delivered out of order behind a reset
 * of its own was then left out without a word.
 */
import { env, exports } from "cloudflare:workers";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, expect, test, vi } from "vitest";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  EntryBodySchema,
  PublishItemSchema,
  PublishRequestSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { delay } from "../support/platform.ts";
import { abort } from "./abort.ts";
import { Client, freshChannel, texts } from "./socket.ts";

// The settings of this file's objects: none of them has been made yet.
Object.assign((env as unknown as { messageloop: object }).messageloop, {
  channels: [{ pattern: "fleeting.*", transient: true }],
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** A call of a gateway that publishes one event after the other. */
function publishing(...names: string[]): Uint8Array {
  const items = names.map((text) => {
    const data = { case: "textData" as const, value: text };
    const event = create(CloudEventSchema, { id: text, source: "/s", type: "t", data });
    const body = create(EntryBodySchema, { event: toBinary(CloudEventSchema, event) });
    return create(PublishItemSchema, { key: text, body: toBinary(EntryBodySchema, body) });
  });
  return toBinary(PublishRequestSchema, create(PublishRequestSchema, { items }));
}

test("what a channel delivers out of order after a reset leaves no hole at a gateway that was reset", async () => {
  const channel = freshChannel();
  const gateway = exports.GatewayDurableObject.getByName(`sam-${Math.floor(Math.random() * 60)}`);
  const open = (request: Request) =>
    exports.GatewayDurableObject.getByName(gateway.name ?? "").fetch(request);
  await Client.connect({ subscribe: [channel], open });
  await exports.ChannelDurableObject.getByName(channel).publish(publishing("one"));
  await abort(gateway);
  const subscriber = await Client.connect({ subscribe: [channel], open });

  // The deliveries of both are on the way when the channel is reset.
  let asked = false;
  const deliver = vi
    .spyOn(GatewayDurableObject.prototype, "deliver")
    .mockImplementation(async () => {
      asked = true;
      return await new Promise<Uint8Array>(() => {});
    });
  const first = exports.ChannelDurableObject.getByName(channel).publish(publishing("two", "three"));
  first.catch(() => {});
  while (!asked) await delay(1);
  deliver.mockRestore();
  await abort(exports.ChannelDurableObject.getByName(channel));

  // Those who published have no answer and publish again, the second one first.
  await exports.ChannelDurableObject.getByName(channel).publish(publishing("three"));
  await subscriber.received(1);
  await exports.ChannelDurableObject.getByName(channel).publish(publishing("two"));
  await exports.ChannelDurableObject.getByName(channel).publish(publishing("four"));
  await subscriber.until(() => texts(subscriber.messages).includes("four") || undefined);
  expect(texts(subscriber.messages)).toEqual(["two", "three", "four"]);
});

test("the first messages behind a restart of a transient channel reach those who listened before", async () => {
  const channel = freshChannel("fleeting");
  const gateway = exports.GatewayDurableObject.getByName(`sam-${Math.floor(Math.random() * 60)}`);
  const open = (request: Request) => gateway.fetch(request);
  const subscriber = await Client.connect({ subscribe: [channel], open });
  await abort(exports.ChannelDurableObject.getByName(channel));

  // Its delivery is still on the way when somebody else subscribes, and is told of the new log's head.
  let released = false;
  const deliver = GatewayDurableObject.prototype.deliver;
  vi.spyOn(GatewayDurableObject.prototype, "deliver").mockImplementation(async function (
    this: GatewayDurableObject,
    request,
  ) {
    while (!released) await delay(1);
    return await deliver.call(this, request);
  });
  await exports.ChannelDurableObject.getByName(channel).publish(publishing("one"));
  const other = await Client.connect({ subscribe: [channel], open });
  released = true;
  await exports.ChannelDurableObject.getByName(channel).publish(publishing("two"));
  await other.received(1);
  expect(texts(other.messages)).toEqual(["two"]);
  await subscriber.until(() => texts(subscriber.messages).includes("two") || undefined);
  expect(texts(subscriber.messages)).toEqual(["one", "two"]);
});
