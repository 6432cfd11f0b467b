/** Tokens that expire while their gateway sleeps. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { valueAs } from "../support/client.ts";
import { eventually } from "../support/eventually.ts";
import { Client, freshChannel } from "./socket.ts";

const DAY_MS = 86_400_000;

/** Tokens are the milliseconds that they are good for. */
const backends: Backends = {
  authenticate: async ({ token }) => ({ userId: "ann", expiresAt: Date.now() + Number(token) }),
};
/** Called when a life of a gateway begins. */
const lives = vi
  .spyOn(GatewayDurableObject.prototype as unknown as { backends(): Backends }, "backends")
  .mockReturnValue(backends);

async function connected(gateway: string, ms: number, capabilities: readonly string[]) {
  const client = await Client.open({ gateway });
  valueAs(await client.connect({ token: `${ms}`, capabilities: [...capabilities] }), "connected");
  return client;
}

/** When the gateway's alarm comes, in milliseconds from now. */
async function due(gateway: string): Promise<number> {
  const stub = exports.GatewayDurableObject.getByName(gateway);
  return await runInDurableObject(stub, async (_, { storage }) => {
    return ((await storage.getAlarm()) ?? Number.POSITIVE_INFINITY) - Date.now();
  });
}

test("its alarm wakes the gateway to tell and to close, and other sessions go on", async () => {
  const gateway = "weur-51";
  const other = await connected(gateway, DAY_MS, ["refresh"]);
  // Half a minute before its end it is told.
  const told = await connected(gateway, 34_000, ["refresh"]);
  const closed = await connected(gateway, 4_500, ["recovery"]);
  const old = await Client.open({ gateway, extended: false });
  valueAs(await old.connect({ token: "4500" }), "connected");
  await evictDurableObject(exports.GatewayDurableObject.getByName(gateway));
  lives.mockClear();
  expect([told.all("tokenExpiring"), closed.close, old.close]).toEqual([[], undefined, undefined]);
  await told.next("tokenExpiring");
  expect(await closed.closed()).toEqual({ code: 3513, reason: "token expired" });
  expect(await old.closed()).toEqual({ code: 3500, reason: "invalid token" });
  expect(lives).toHaveBeenCalled();
  expect(old.log.map(({ envelope }) => envelope.case)).toEqual(["connected"]);
  await other.publish(freshChannel(), "still here");
  expect([told.close, other.close, other.all("tokenExpiring")]).toEqual([undefined, undefined, []]);
  expect(told.all("tokenExpiring")).toHaveLength(1);
});

test("a token that is good for long costs no alarm of its own", async () => {
  const gateway = "weur-52";
  const client = await connected(gateway, DAY_MS, ["refresh"]);
  const usual = await due(gateway);
  expect(usual).toBeGreaterThan(200_000);
  valueAs(
    await client.request({ envelope: { case: "refresh", value: { token: "60000" } } }),
    "refreshAck",
  );
  // The notice comes half a minute ahead.
  await eventually(async () => (await due(gateway)) < 31_000);
  expect(await due(gateway)).toBeGreaterThan(20_000);
});
