/** Members over gateways that sleep, lose their sockets and come back (M1, M2, M3, M8). */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { abort } from "./abort.ts";
import { Client, freshChannel } from "./socket.ts";

/** Longer than a busy machine takes for a leave that does not wait. */
const GRACE_MS = 2_500;
const PATIENT = { timeout: 10_000 };

vi.spyOn(RuleBook.prototype, "of").mockReturnValue({
  ...DEFAULT_CHANNEL_RULES,
  presenceGraceMs: GRACE_MS,
});

function gatewayOf(name: string) {
  return exports.GatewayDurableObject.getByName(name);
}

function freshGateway(): string {
  return `presence-${crypto.randomUUID()}`;
}

/** Someone who hears who comes and goes, on a gateway of its own. */
async function watcher(channel: string): Promise<Client> {
  return await Client.connect({
    clientId: "watcher",
    gateway: freshGateway(),
    subscribe: [channel],
    capabilities: ["presence"],
  });
}

/** What a client heard so far: `+phone`, `-phone`. */
function heard(client: Client): string[] {
  return client.replies.flatMap(({ envelope }) => {
    if (envelope.case !== "presenceEvent") return [];
    const { change } = envelope.value;
    return [`${change.case === "join" ? "+" : "-"}${change.value?.clientId}`];
  });
}

async function hears(client: Client, ...expected: readonly string[]): Promise<void> {
  await client.until(() => (heard(client).length >= expected.length ? true : undefined));
  expect(heard(client)).toEqual(expected);
}

async function present(channel: string): Promise<string[]> {
  const client = await Client.connect({ subscribe: [], capabilities: ["presence"] });
  await client.request({
    envelope: {
      case: "subscribe",
      value: { subscriptions: [{ channel, ephemeral: true }] },
    },
  });
  const reply = await client.request({
    envelope: { case: "presenceRequest", value: { channel } },
  });
  if (reply.envelope.case !== "presence") throw new Error(`${reply.envelope.case}`);
  return reply.envelope.value.members.map(({ clientId }) => clientId);
}

test.concurrent("joins and leaves are heard on other gateways, once, and not about oneself", async () => {
  const channel = freshChannel();
  const watching = await watcher(channel);
  const phone = await Client.connect({
    clientId: "phone",
    gateway: freshGateway(),
    subscribe: [channel],
    capabilities: ["presence"],
  });
  await hears(watching, "+phone");
  await phone.unsubscribe(channel);
  await hears(watching, "+phone", "-phone");
  await phone.subscribe(channel);
  phone.socket.close(1000);
  await hears(watching, "+phone", "-phone", "+phone", "-phone");
  expect(heard(phone)).toEqual([]);
  expect(await present(channel)).toEqual(["watcher"]);
});

test.concurrent("a socket that closes while its gateway sleeps leaves as it closed", async () => {
  for (const [code, clean] of [
    [1000, true],
    [4_000, false],
  ] as const) {
    const channel = freshChannel();
    const watching = await watcher(channel);
    const gateway = freshGateway();
    const phone = await Client.connect({ clientId: "phone", gateway, subscribe: [channel] });
    await hears(watching, "+phone");
    await evictDurableObject(gatewayOf(gateway));
    const began = Date.now();
    phone.socket.close(code);
    await hears(watching, "+phone", "-phone");
    const took = Date.now() - began;
    if (clean) expect(took).toBeLessThan(GRACE_MS);
    else expect(took).toBeGreaterThanOrEqual(GRACE_MS - 50);
    expect(await present(channel)).toEqual(["watcher"]);
  }
});

test.concurrent("several sockets that close while their gateway sleeps all leave as they closed", async () => {
  const channel = freshChannel();
  const watching = await watcher(channel);
  const gateway = freshGateway();
  const names = ["one", "two", "three", "stays"];
  const clients = await Promise.all(
    names.map((clientId) => Client.connect({ clientId, gateway, subscribe: [channel] })),
  );
  await watching.until(() => (heard(watching).length >= names.length ? true : undefined));
  await evictDurableObject(gatewayOf(gateway));
  const began = Date.now();
  for (const client of clients.slice(0, 3)) client.socket.close(1000);
  await watching.until(() => (heard(watching).length >= names.length + 3 ? true : undefined));
  expect(Date.now() - began).toBeLessThan(GRACE_MS);
  expect(heard(watching).slice(names.length).sort()).toEqual(["-one", "-three", "-two"]);
  expect((await present(channel)).sort()).toEqual(["stays", "watcher"]);
});

test.concurrent("who drops and comes back in time, through another gateway, has not been away", async () => {
  const channel = freshChannel();
  const watching = await watcher(channel);
  const first = await Client.connect({
    clientId: "phone",
    gateway: freshGateway(),
    subscribe: [channel],
  });
  await hears(watching, "+phone");
  first.socket.close(4_000);
  const second = await Client.connect({
    clientId: "phone",
    gateway: freshGateway(),
    subscribe: [channel],
  });
  // Longer than the grace later, the only thing to hear is the one who leaves at once.
  await new Promise((resolve) => setTimeout(resolve, GRACE_MS + 300));
  expect(heard(watching)).toEqual(["+phone"]);
  second.socket.close(1000);
  await hears(watching, "+phone", "-phone");
});

test.concurrent("a member with two devices leaves when the second has gone", async () => {
  const channel = freshChannel();
  const watching = await watcher(channel);
  const devices = await Promise.all(
    [1, 2].map(() =>
      Client.connect({ clientId: "phone", gateway: freshGateway(), subscribe: [channel] }),
    ),
  );
  await hears(watching, "+phone");
  devices[0]?.socket.close(1000);
  const [object] = [exports.ChannelDurableObject.getByName(channel)];
  // The channel has heard of it when one of the two rows is gone.
  await vi.waitFor(async () => {
    const rows = await runInDurableObject(object, (_, { storage }) => [
      ...storage.sql.exec("SELECT session FROM present"),
    ]);
    expect(rows).toHaveLength(2);
  }, PATIENT);
  expect(heard(watching)).toEqual(["+phone"]);
  devices[1]?.socket.close(1000);
  await hears(watching, "+phone", "-phone");
});

test.concurrent("members of a gateway that lost its sockets leave once, without anybody asking", async () => {
  const channel = freshChannel();
  const watching = await watcher(channel);
  const gateway = freshGateway();
  const clients = await Promise.all(
    ["one", "two"].map((clientId) => Client.connect({ clientId, gateway, subscribe: [channel] })),
  );
  await watching.until(() => (heard(watching).length >= 2 ? true : undefined));
  await abort(gatewayOf(gateway));
  await Promise.all(clients.map((client) => client.closed()));
  expect(heard(watching)).toHaveLength(2);
  // The alarm that every gateway with sockets has stored; the rest happens by itself.
  expect(await runDurableObjectAlarm(gatewayOf(gateway))).toBe(true);
  await watching.until(() => (heard(watching).length >= 4 ? true : undefined));
  await new Promise((resolve) => setTimeout(resolve, GRACE_MS));
  expect(heard(watching).slice(2).sort()).toEqual(["-one", "-two"]);
  expect(await present(channel)).toEqual(["watcher"]);
  // Nothing is left to do: the gateway sleeps for good.
  await runInDurableObject(gatewayOf(gateway), async (_, { storage }) => {
    expect([...storage.sql.exec("SELECT * FROM registrations")]).toEqual([]);
    expect(await storage.getAlarm()).toBeNull();
  });
});

test.concurrent("a session that the server closed is no ghost of a later life", async () => {
  const channel = freshChannel();
  const watching = await watcher(channel);
  const gateway = freshGateway();
  const phone = await Client.connect({
    clientId: "phone",
    gateway,
    subscribe: [channel],
    halfOpen: true,
  });
  await hears(watching, "+phone");
  phone.send({ id: "twice", envelope: { case: "connect", value: {} } });
  await phone.closed();
  await evictDurableObject(gatewayOf(gateway));
  await runInDurableObject(gatewayOf(gateway), async (object, state) => {
    // Its client has not answered the close: a session made of the socket again would be a ghost.
    expect(state.getWebSockets()).toHaveLength(1);
    await object.alarm();
    const { engine } = object as unknown as { readonly engine: Engine };
    expect(engine.sessionCount).toBe(0);
  });
  await hears(watching, "+phone", "-phone");
});
