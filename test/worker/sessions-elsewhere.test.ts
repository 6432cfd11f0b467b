/** Sessions are reached by their ids from another gateway, and from the Worker that has none. */
import { runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { requestEngine } from "../../src/worker/doors/request-engine.ts";
import type { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { settingsOf } from "../../src/worker/settings.ts";
import { valueAs } from "../support/client.ts";
import { Client, freshChannel, texts } from "./socket.ts";

async function connected(gateway: string): Promise<{ client: Client; id: string }> {
  const client = await Client.open({ gateway });
  const { sessionId } = valueAs(await client.connect({ clientId: "c" }), "connected");
  return { client, id: sessionId };
}

test("a gateway reaches the session of another", async () => {
  const { client, id } = await connected("weur-3");
  expect(id).toMatch(/^weur-3\./);
  const other = exports.GatewayDurableObject.getByName("weur-4");
  const channel = freshChannel();
  await runInDurableObject(other, async (object: GatewayDurableObject) => {
    const { engine } = object as unknown as { engine: Engine };
    expect(await engine.subscribe(id, [channel])).toMatchObject({ results: { [channel]: true } });
  });
  const publisher = await Client.connect();
  await publisher.publish(channel, "one");
  expect(texts(await client.received(1))).toEqual(["one"]);
  await runInDurableObject(other, async (object: GatewayDurableObject) => {
    const { engine } = object as unknown as { engine: Engine };
    expect(await engine.disconnect(id, 4321, "go")).toBe(true);
  });
  await client.until(() => client.close);
  expect(client.close).toMatchObject({ code: 4321, reason: "go" });
});

test("the Worker publishes, reads and reaches sessions without a gateway of its own", async () => {
  const { client, id } = await connected("apac-1");
  const channel = freshChannel();
  const engine = requestEngine({ exports, waitUntil: () => {} }, settingsOf({}), "weur");
  expect(await engine.subscribe(id, [channel])).toMatchObject({ results: { [channel]: true } });
  const event = create(CloudEventSchema, { id: "e", source: "/s", type: "t" });
  const result = await engine.publish(channel, event);
  expect(result.position.offset).toBe(1);
  await client.received(1);
  expect((await engine.history(channel, { limit: -1 })).entries).toHaveLength(1);
  expect((await engine.presenceOf(channel)).members).toMatchObject([{ clientId: "c" }]);
  expect(await engine.disconnect(id, 3501)).toBe(true);
  await client.until(() => client.close);
  expect(client.close?.code).toBe(3501);
  expect(await engine.disconnect(id, 3501)).toBe(false);
  expect(await engine.disconnect("moon-1.x", 3501)).toBe(false);
});
