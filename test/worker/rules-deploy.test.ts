/** Rules that a deploy changes while sessions sleep: what they deny is taken from whoever has it, and told (D7). */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { expect, test } from "vitest";
import { parseSettings } from "../../src/engine/settings/settings.ts";
import { settingsOf } from "../../src/worker/settings.ts";
import { kindOf, valueAs } from "../support/client.ts";
import { Client, freshChannel, texts } from "./socket.ts";

/** Has gateways that wake from now on find other rules in the settings of their isolate, as those of a new version do. */
async function deploy(rules: readonly object[]): Promise<void> {
  const { access } = parseSettings({ access: { rules } });
  // That of objects, which is not the one that tests see.
  const stub = exports.GatewayDurableObject.getByName("weur-93");
  await runInDurableObject(stub, (gateway) => {
    const { env } = gateway as unknown as { readonly env: Env };
    Object.assign(settingsOf(env), { access });
  });
}

test("sessions that wake with new rules lose what these deny, and keep the rest", async () => {
  const gateway = "weur-91";
  const [open, closed] = [freshChannel("open"), freshChannel("closed")];
  const subscribe = [open, closed];
  const told = await Client.connect({ gateway, subscribe, capabilities: ["control"] });
  const extended = await Client.connect({ gateway, subscribe });
  const old = await Client.connect({ gateway, subscribe, extended: false });
  const other = await Client.connect({ gateway, subscribe: [open] });
  const publisher = await Client.connect({ gateway: "weur-92" });
  await deploy([{ channels: ["closed.**"], effect: "deny", actions: ["subscribe"] }]);
  await evictDurableObject(exports.GatewayDurableObject.getByName(gateway));
  await publisher.publish(closed, "not for them");
  await publisher.publish(open, "for them");
  const { subscriptions } = await told.next("unsubscribed");
  expect(subscriptions.map(({ channel }) => channel)).toEqual([closed]);
  for (const client of [extended, old]) expect((await client.closed()).code).toBe(3000);
  for (const client of [told, other]) {
    expect(texts(await client.received(1))).toEqual(["for them"]);
    expect(client.close).toBeUndefined();
  }
  // Who comes back is told then.
  const back = await Client.open({ gateway });
  const reply = valueAs(
    await back.connect({ subscriptions: [{ channel: open }, { channel: closed }] }),
    "connected",
  );
  expect(reply.subscriptions.map(({ error }) => error?.code)).toEqual([undefined, "ACL_ERROR"]);
  expect(kindOf(await told.subscribe(open))).toBe("subscribeAck");
});
