/** Revoked tokens and counted connections in the true runtime: what outlives resets and sleep, and what it costs. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import type { Engine } from "../../src/engine/engine.ts";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { SqlUserStore } from "../../src/worker/directory/user-store.ts";
import { requestEngine } from "../../src/worker/doors/request-engine.ts";
import { GatewayDurableObject } from "../../src/worker/gateway/object.ts";
import { API_KEYS, settingsOf } from "../../src/worker/settings.ts";
import { eventually } from "../support/eventually.ts";
import { abort } from "./abort.ts";
import { Client } from "./socket.ts";
import { counted, withSql } from "./sql.ts";

// Before any object is made: users are found where there is a key that may ask for it.
const key = { id: "test", digest: "0".repeat(64), rights: ["manage"], patterns: ["**"] };
Object.assign(env, {
  [API_KEYS]: JSON.stringify([key]),
  messageloop: { limits: { connections_per_user: 3 } },
});

/** Tokens are a user and an id. */
const known: Backends = {
  authenticate: async ({ token }) => {
    const [userId = "", tokenId = ""] = token.split("/");
    return { userId, tokenId };
  },
};
vi.spyOn(
  GatewayDurableObject.prototype as unknown as { backends(): Backends },
  "backends",
).mockReturnValue(known);

/** Within this time every gateway has ended the sessions, in milliseconds. */
const SWEPT_MS = 10_000;

function application(): Engine {
  return requestEngine({ exports, waitUntil: () => {} }, settingsOf(env), "weur");
}

function freshUser(): string {
  return `user-${crypto.randomUUID()}`;
}

async function opened(gateway: string, token: string): Promise<Client> {
  const client = await Client.open({ gateway });
  client.send({ id: "c", envelope: { case: "connect", value: { token, capabilities: ["x"] } } });
  await client.until(() => client.close ?? client.replies[0]);
  return client;
}

test("sessions on several gateways end, those of gateways that sleep too, and no object forgets it in a reset", async () => {
  const user = freshUser();
  const token = `${user}/one`;
  const names = ["weur-61", "enam-61"];
  const clients = await Promise.all(names.map((name) => opened(name, token)));
  const other = await opened("weur-61", `${user}/two`);
  await evictDurableObject(exports.GatewayDurableObject.getByName("enam-61"));
  const began = Date.now();
  expect(await application().revoke(user, { tokenId: "one" })).toEqual({ durable: true });
  for (const client of clients) expect((await client.closed()).code).toBe(3500);
  expect(Date.now() - began).toBeLessThan(SWEPT_MS);
  expect(other.close).toBeUndefined();
  await abort(exports.UserDurableObject.getByName(user));
  for (const name of [...names, "apac-61"]) {
    const late = await opened(name, token);
    expect((await late.closed()).code).toBe(3500);
  }
  expect((await opened("apac-61", `${user}/three`)).close).toBeUndefined();
});

test("an object that is reset before it has told anybody tells the gateways by its alarm", async () => {
  const user = freshUser();
  const client = await opened("weur-62", `${user}/one`);
  const call = GatewayDurableObject.prototype.call;
  let deaf = true;
  GatewayDurableObject.prototype.call = async function (this: GatewayDurableObject, request) {
    if (deaf) throw new Error("fault");
    return await call.call(this, request);
  };
  try {
    await application().revoke(user, { tokenId: "one" });
    await abort(exports.UserDurableObject.getByName(user));
    expect(client.close).toBeUndefined();
    deaf = false;
    expect((await client.closed()).code).toBe(3500);
  } finally {
    GatewayDurableObject.prototype.call = call;
  }
});

test("connections of a user are counted over gateways, and those that a reset has ended are not", async () => {
  const user = freshUser();
  const names = ["weur-63", "enam-63", "apac-63"];
  const clients = await Promise.all(names.map((name) => opened(name, `${user}/one`)));
  expect(clients.map(({ close }) => close)).toEqual([undefined, undefined, undefined]);
  expect((await (await opened("weur-63", `${user}/two`)).closed()).code).toBe(3504);
  await abort(exports.GatewayDurableObject.getByName("enam-63"));
  // Gateways are asked every two seconds at most.
  await eventually(async () => (await opened("apac-63", `${user}/two`)).close === undefined);
});

test("a revocation costs a row, and one for each gateway that has heard of it; nobody else has a table for it", async () => {
  await withSql((sql) => {
    const counting = counted(sql);
    const store = new SqlUserStore(counting);
    expect([...store.revocations()]).toEqual([]);
    const row = { userId: "ann", tokenId: "one", time: 1, until: 2, owed: ["weur-1", "enam-1"] };
    store.save({ sessionId: "s", gateway: "g", since: 1 });
    expect([...sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'user_revocations'")]).toEqual(
      [],
    );
    store.saveRevocation(row);
    store.dropRevocation("one");
    for (const step of [
      () => store.saveRevocation(row),
      () => store.saveRevocation({ ...row, owed: [] }),
      () => store.dropRevocation("one"),
    ]) {
      const before = counting.written;
      step();
      expect(counting.written - before).toBe(1);
    }
    store.saveRevocation(row);
    store.saveRevocation({ ...row, tokenId: "", owed: [] });
    expect([...new SqlUserStore(counting).revocations()]).toEqual([
      { ...row, tokenId: "", owed: [] },
      row,
    ]);
  });
});

test("an object whose user has neither sessions nor revocations keeps nothing", async () => {
  const user = freshUser();
  const until = Date.now() + 2_500;
  await application().revoke(user, { tokenId: "one", until });
  await eventually(
    async () =>
      await runInDurableObject(exports.UserDurableObject.getByName(user), (_, { storage }) => {
        const tables = "SELECT name FROM sqlite_master WHERE name LIKE 'user_%'";
        return [...storage.sql.exec(tables)].length === 0;
      }),
  );
});
