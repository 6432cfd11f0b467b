/** Objects whose database takes no writes: every request is answered at once, and all is well when it takes them again. */
import { runInDurableObject } from "cloudflare:test";
import { exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";
import { indexOf } from "../../src/objects/calls/lease-terms.ts";
import type { OutboundMessage } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { Client, freshChannel, texts } from "./socket.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

/** From now on the object's database is full: what takes no room is still done. */
async function fill(stub: DurableObjectStub): Promise<() => Promise<void>> {
  return await runInDurableObject(stub, (_, state) => {
    const { sql } = state.storage;
    const exec = sql.exec.bind(sql);
    const spy = vi
      .spyOn(sql, "exec")
      .mockImplementation((query: string, ...bindings: unknown[]) => {
        if (/^\s*(INSERT|UPDATE|CREATE)/.test(query)) {
          throw new Error("database or disk is full: SQLITE_FULL");
        }
        return exec(query, ...bindings);
      });
    return async () => {
      await runInDurableObject(stub, () => spy.mockRestore());
    };
  });
}

/** Longest time that an answer may take, in milliseconds: nobody waits for what cannot be, which takes five seconds. */
const AT_ONCE_MS = 4_000;

/** The code of an error, or of the error in the only entry of an acknowledgement; undefined where all is well. */
function codeOf({ envelope }: OutboundMessage): string | undefined {
  if (envelope.case === "error") return envelope.value.code;
  if (envelope.case !== "subscribeAck") return undefined;
  return envelope.value.subscriptions[0]?.error?.code;
}

const EVENT = { source: "/test", type: "t", data: { case: "textData", value: "x" } } as const;

function publishOf(channel: string) {
  return {
    channel,
    envelope: { case: "publish", value: { ...EVENT, id: crypto.randomUUID() } },
  } as const;
}

/** What a client may ask for that somebody has to write down, and which object does. */
const REQUESTS: Record<string, (client: Client, channel: string) => Promise<OutboundMessage>> = {
  "a subscribe, and the gateway": (client, channel) => client.subscribe(channel),
  "a subscribe, and the channel": (client, channel) => client.subscribe(channel),
  "an ephemeral subscribe, and the channel": (client, channel) =>
    client.subscribe({ channel, ephemeral: true }),
  "a subscribe to a pattern, and the gateway": (client, channel) =>
    client.subscribe(`${channel}.*`),
  "a subscribe to a pattern, and the index": (client, channel) => client.subscribe(`${channel}.*`),
  "a publish, and the channel": (client, channel) => client.request(publishOf(channel)),
  "a first publish, and the index": (client, channel) => client.request(publishOf(channel)),
};

let gateways = 0;

for (const [name, ask] of Object.entries(REQUESTS)) {
  const [what, who] = name.split(", and the ");
  test(`${what} is refused at once where the ${who} cannot write, and done when it can`, async () => {
    gateways += 1;
    const gateway = `sam-${gateways}`;
    // The index of a channel follows from its first word.
    const channel = freshChannel(crypto.randomUUID());
    const client = await Client.connect({ gateway });
    const stub = {
      gateway: exports.GatewayDurableObject.getByName(gateway),
      channel: exports.ChannelDurableObject.getByName(channel),
      index: exports.PatternDurableObject.getByName(indexOf(channel)),
    }[`${who}`];
    if (stub === undefined) throw new Error(`there is no ${who}`);
    const empty = await fill(stub);
    const began = Date.now();
    const refused = codeOf(await ask(client, channel));
    expect(Date.now() - began).toBeLessThan(AT_ONCE_MS);
    expect(refused).toBe("UNAVAILABLE");
    await empty();
    expect(codeOf(await ask(client, channel))).toBeUndefined();
    // What was refused left nothing behind that keeps messages away.
    await client.subscribe(channel);
    await client.publish(channel, "after");
    await client.until(() => texts(client.messages).includes("after") || undefined);
    expect(client.close).toBeUndefined();
  });
}

test("a connect with subscriptions says which of them the gateway cannot write down", async () => {
  const gateway = exports.GatewayDurableObject.getByName("sam-40");
  const other = await Client.connect({ gateway: "sam-40" });
  const empty = await fill(gateway);
  const client = await Client.open({ gateway: "sam-40" });
  const { envelope } = await client.connect({ subscriptions: [{ channel: freshChannel() }] });
  expect(envelope.case).toBe("connected");
  const { subscriptions = [] } = envelope.case === "connected" ? envelope.value : {};
  expect(subscriptions.map(({ error }) => error?.code)).toEqual(["UNAVAILABLE"]);
  await empty();
  expect(codeOf(await other.subscribe(freshChannel()))).toBeUndefined();
});

test("an unsubscribe is acknowledged where nobody can write, and the channel hears of it later", async () => {
  const channel = freshChannel();
  const client = await Client.connect({ gateway: "sam-41", subscribe: [channel] });
  const gateway = exports.GatewayDurableObject.getByName("sam-41");
  const object = exports.ChannelDurableObject.getByName(channel);
  const ends = [await fill(gateway), await fill(object)];
  expect((await client.unsubscribe(channel)).envelope.case).toBe("unsubscribeAck");
  for (const empty of ends) await empty();
  await client.subscribe(channel);
  await client.publish(channel, "after");
  expect(texts(await client.received(1))).toEqual(["after"]);
});

test("a session whose record has no place is closed, so that it can come back", async () => {
  // A record that does not fit on the socket goes to the database.
  const channels = Array.from({ length: 120 }, () => freshChannel("x".repeat(180)));
  const client = await Client.connect({ gateway: "sam-42", subscribe: channels.slice(1) });
  const empty = await fill(exports.GatewayDurableObject.getByName("sam-42"));
  client.subscribe(channels[0] ?? "").catch(() => {});
  expect(await client.closed()).toMatchObject({ code: 1011 });
  await empty();
  const again = await Client.connect({ gateway: "sam-42", subscribe: channels });
  await again.publish(channels[0] ?? "", "after");
  expect(texts(await again.received(1))).toEqual(["after"]);
});
