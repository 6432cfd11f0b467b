/** Tokens that are revoked, and users with too many connections, over gateways and users' objects, in plain Node. */
import { expect, test } from "vitest";
import { DEFAULT_SETTINGS } from "../../src/engine/settings/settings.ts";
import { MAX_USER_REVOCATIONS } from "../../src/protocol/limits.ts";
import { kinds } from "../engine/scene.ts";
import { Cluster } from "./cluster.ts";
import type { Client } from "./gateway.ts";

const DAY_MS = 86_400_000;
/** Within this time every gateway that can be reached has ended the sessions, in milliseconds. */
const SWEPT_MS = 10_000;

function cluster(maxUserConnections = 0): Cluster {
  const made = new Cluster({}, true);
  made.settings = { ...DEFAULT_SETTINGS, maxUserConnections };
  return made;
}

async function connected(all: Cluster, gateway: string, token: string): Promise<Client> {
  const client = all.gateway(gateway).stranger();
  const value = { capabilities: ["refresh"], token };
  await client.send({ envelope: { case: "connect", value } });
  return client;
}

function codes(clients: readonly Client[]): (number | undefined)[] {
  return clients.map(({ transport }) => transport.closed?.code);
}

test("sessions end on all gateways, and no other begins on any", async () => {
  const all = cluster();
  const { time } = all;
  const first = await connected(all, "a", "ann/one");
  const second = await connected(all, "z", "ann/one");
  const others = [await connected(all, "a", "ann/two"), await connected(all, "b", "bob/one")];
  const { engine } = all.gateway("c");
  expect(await time.until(engine.revoke("ann", { tokenId: "one" }))).toEqual({ durable: true });
  await time.pass(100);
  expect(codes([first, second, ...others])).toEqual([3500, 3500, undefined, undefined]);
  for (const gateway of ["a", "n"]) {
    const late = await connected(all, gateway, "ann/one");
    expect(kinds(late.transport)).toEqual(["error AUTH_ERROR"]);
    expect(codes([late])).toEqual([3500]);
  }
  await time.until(engine.revoke("ann"));
  await time.pass(100);
  expect(codes(others)).toEqual([3500, undefined]);
  expect(codes([await connected(all, "d", "ann/old")])).toEqual([3500]);
  expect(codes([await connected(all, "d", "ann")])).toEqual([undefined]);
  expect(all.warnings).toEqual([]);
});

test("a token that is revoked before it comes is refused in refresh", async () => {
  const all = cluster();
  const { engine } = all.gateway("c");
  await all.time.until(engine.revoke("ann", { tokenId: "two" }));
  const client = await connected(all, "a", "ann/one");
  await client.send({ envelope: { case: "refresh", value: { token: "ann/two" } } });
  await client.send({ envelope: { case: "refresh", value: { token: "ann/three" } } });
  expect(kinds(client.transport)).toEqual(["connected", "error AUTH_ERROR", "refreshAck"]);
});

test.each(["lost", "unanswered", "hanging"] as const)(
  "a gateway whose calls are %s for a while ends its sessions within 10 s, and others at once",
  async (fate) => {
    const all = cluster();
    const { time } = all;
    const [here, there] = [await connected(all, "a", "ann"), await connected(all, "b", "ann")];
    all.fate = (object, method) => (object === "b" && method === "call" ? fate : "carried");
    await time.until(all.gateway("c").engine.revoke("ann"));
    await time.pass(100);
    expect(codes([here])).toEqual([3500]);
    if (fate !== "unanswered") expect(codes([there])).toEqual([undefined]);
    await time.pass(SWEPT_MS - 5_000);
    all.fate = () => "carried";
    await time.pass(4_900);
    expect(codes([there])).toEqual([3500]);
  },
);

test("an object that is reset in the middle of it goes on where it was", async () => {
  const all = cluster();
  const { time } = all;
  const client = await connected(all, "b", "ann/one");
  all.fate = (object, method) => (object === "b" && method === "call" ? "hanging" : "carried");
  await time.until(all.gateway("c").engine.revoke("ann", { tokenId: "one" }));
  all.user("ann").reset();
  all.fate = () => "carried";
  await time.pass(SWEPT_MS);
  expect(codes([client])).toEqual([3500]);
  all.user("ann").reset();
  expect(codes([await connected(all, "a", "ann/one")])).toEqual([3500]);
  // Nobody is owed anything any more.
  all.calls.length = 0;
  await time.pass(60_000);
  expect(all.calls.filter((call) => call.endsWith(" call"))).toEqual([]);
});

test("what is over is forgotten, and with it all that the object keeps", async () => {
  const all = cluster();
  const { time } = all;
  const { engine } = all.gateway("c");
  const until = time.now() + DAY_MS;
  await time.until(engine.revoke("ann", { tokenId: "one", until }));
  await time.until(engine.revoke("ann", { tokenId: "two", until: until + DAY_MS }));
  await time.pass(DAY_MS + 1_000);
  expect([...all.userDisk("ann").revoked.keys()]).toEqual(["two"]);
  expect(codes([await connected(all, "a", "ann/one")])).toEqual([undefined]);
  expect(codes([await connected(all, "a", "ann/two")])).toEqual([3500]);
  for (const session of all.gateway("a").engine.sessions()) session.end(true);
  await time.pass(DAY_MS);
  const { rows, revoked } = all.userDisk("ann");
  expect([rows.size, revoked.size, all.user("ann").alarmAt]).toEqual([0, 0, null]);
});

test("a user's object that could not be asked says what is revoked as soon as it can be", async () => {
  const all = cluster();
  const { time } = all;
  await time.until(all.gateway("c").engine.revoke("ann", { tokenId: "one" }));
  all.fate = (object, method) => (`${object} ${method}` === "ann update" ? "hanging" : "carried");
  const client = await connected(all, "a", "ann/one");
  expect(kinds(client.transport)).toEqual(["connected"]);
  all.fate = () => "carried";
  await time.pass(SWEPT_MS + 100);
  expect(codes([client])).toEqual([3500]);
});

test("one user's object remembers so many tokens, and no more", async () => {
  const all = cluster();
  const { time } = all;
  const { engine } = all.gateway("c");
  const until = time.now() + DAY_MS;
  for (let i = 0; i < MAX_USER_REVOCATIONS; i++) {
    await time.until(engine.revoke("ann", { tokenId: `t${i}`, until }));
  }
  const more = { tokenId: "more" };
  await expect(time.until(engine.revoke("ann", more))).rejects.toMatchObject({
    code: "RATE_LIMITED",
  });
  // One that is known is no further one.
  await time.until(engine.revoke("ann", { tokenId: "t1", until: until + 1 }));
  await time.pass(DAY_MS + 10);
  await time.until(engine.revoke("ann", more));
});

test("connections of a user are counted over all gateways", async () => {
  const all = cluster(2);
  const [first, second, third] = [
    await connected(all, "a", "ann"),
    await connected(all, "b", "ann"),
    await connected(all, "c", "ann"),
  ];
  expect(codes([first, second, third])).toEqual([undefined, undefined, 3504]);
  expect(kinds(third.transport)).toEqual([]);
  expect(codes([await connected(all, "c", "bob")])).toEqual([undefined]);
  // The one that was refused has left nothing, and takes nobody's place when it goes.
  third.session.end(true);
  await all.time.pass(100);
  expect(all.userDisk("ann").rows.size).toBe(2);
  first.session.end(true);
  await all.time.pass(100);
  expect(codes([await connected(all, "c", "ann")])).toEqual([undefined]);
});

test("of several that come in one turn as many are let in as there is room for", async () => {
  const all = cluster(2);
  const clients = await all.time.until(
    Promise.all(["a", "a", "a", "a"].map((gateway) => connected(all, gateway, "ann"))),
  );
  expect(codes(clients).toSorted()).toEqual([3504, 3504, undefined, undefined]);
});

test("what a gateway has left behind that was reset keeps the user out of no other gateway", async () => {
  const all = cluster(1);
  await connected(all, "a", "ann");
  all.gateway("a").reset();
  await all.time.pass(1);
  expect(codes([await connected(all, "b", "ann")])).toEqual([undefined]);
  // Who is there stays, and whoever tries again and again asks the gateways once.
  all.calls.length = 0;
  await all.time.pass(3_000);
  const late = [];
  for (let i = 0; i < 5; i++) late.push(await connected(all, "c", "ann"));
  expect(codes(late)).toEqual([3504, 3504, 3504, 3504, 3504]);
  expect(all.calls.filter((call) => call.endsWith(" call"))).toEqual(["b call"]);
});

test("a gateway that does not answer has its sessions still", async () => {
  const all = cluster(1);
  const first = await connected(all, "a", "ann");
  all.fate = (object, method) => (`${object} ${method}` === "a call" ? "hanging" : "carried");
  expect(codes([await connected(all, "b", "ann")])).toEqual([3504]);
  expect(codes([first])).toEqual([undefined]);
});
