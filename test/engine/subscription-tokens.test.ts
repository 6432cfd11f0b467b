/** Tokens of single subscriptions: when they end what they have granted (X6), and what new ones change. */
import { expect, test } from "vitest";
import { type Backends, SubscriptionConsent } from "../../src/engine/ports/backends.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import {
  connectWith,
  kinds,
  type SceneOptions,
  type ScriptedTransport,
  scene,
  send,
} from "./scene.ts";

const START = 1_000_000;
const MINUTE_MS = 60_000;

/** What the server itself says where it has read a token that is good for so many minutes. */
function yesFor(minutes: number): undefined {
  return new SubscriptionConsent(START + minutes * MINUTE_MS) as unknown as undefined;
}

/** A token is the number of minutes for which it is good. */
const backends: Backends = {
  authorizeSubscribe: async ({ token }) => {
    if (token === "down") throw new Error("no route to 10.1.2.3");
    if (token === "no") throw new MessagingError("ACL_ERROR", "not yours");
    return token === "" ? undefined : yesFor(Number(token));
  },
};

async function connected(
  channels: Readonly<Record<string, string>>,
  capabilities: readonly string[] = ["control"],
  options: SceneOptions = {},
) {
  const looks: number[] = [];
  const all = scene({
    idleTimeoutMs: 100 * MINUTE_MS,
    backends,
    lookBy: (at) => looks.push(at),
    ...options,
  });
  const subscriptions = Object.entries(channels).map(([channel, token]) => ({ channel, token }));
  await connectWith(all.session, { capabilities: [...capabilities], subscriptions });
  const at = async (minutes: number) => {
    all.clock.time = START + minutes * MINUTE_MS;
    const next = all.engine.expire();
    await new Promise(setImmediate);
    return next;
  };
  const renew = async (tokens: Readonly<Record<string, string>>): Promise<void> =>
    await send(all.session, { envelope: { case: "subRefresh", value: { tokens: { ...tokens } } } });
  const subscribe = async (channel: string, token = ""): Promise<void> => {
    const value = { subscriptions: [{ channel, token }] };
    await send(all.session, { envelope: { case: "subscribe", value } });
  };
  return { ...all, looks, at, renew, subscribe };
}

/** What the client was told of its subscriptions, as lines. */
function story({ frames }: ScriptedTransport): string[] {
  return frames.flatMap((frame) => {
    const { envelope } = codecFor("json").decodeOutbound(frame);
    switch (envelope.case) {
      case "tokenExpiring":
        return [`expiring ${envelope.value.channels} ${envelope.value.expiresAt}`];
      case "unsubscribed":
        return [`unsubscribed ${envelope.value.subscriptions.map(({ channel }) => channel)}`];
      case "subRefreshAck":
        return envelope.value.subscriptions.map(
          ({ channel, error }) => `${channel} ${error?.code}`,
        );
      default:
        return [];
    }
  });
}

test("a subscription ends with its token, is told ahead, and others go on", async () => {
  const { at, broker, looks, session, transport } = await connected({
    a: "5",
    b: "5",
    c: "",
    d: "9",
  });
  expect(looks).toEqual([START + 4.5 * MINUTE_MS]);
  expect(await at(4.5)).toMatchObject({ token: START + 5 * MINUTE_MS });
  expect(story(transport)).toEqual([`expiring a,b ${START + 5 * MINUTE_MS}`]);
  await at(4.9);
  expect(await at(5)).toMatchObject({ token: START + 8.5 * MINUTE_MS });
  expect(story(transport).slice(1)).toEqual(["unsubscribed a,b"]);
  expect(session.channels).toEqual(["c", "d"]);
  expect([...broker.wanted]).toEqual(["c", "d"]);
  expect(transport.closed).toBeUndefined();
});

test("a v1 client, which cannot be told, is closed with 3500", async () => {
  const { at, transport } = await connected({ a: "5", b: "" }, []);
  await at(4.9);
  expect(kinds(transport)).toEqual(["connected"]);
  await at(5);
  expect(transport.closed?.code).toBe(3500);
});

test("a new token puts the end off, one without an end for good, and so does a subscribe", async () => {
  const { at, renew, session, subscribe, transport } = await connected({ a: "5", b: "5", c: "5" });
  await at(4.6);
  await renew({ a: "10" });
  await renew({ b: "" });
  await subscribe("c", "10");
  expect(story(transport).slice(1)).toEqual(["a undefined", "b undefined"]);
  await at(9.6);
  expect(story(transport).slice(3)).toEqual([`expiring a,c ${START + 10 * MINUTE_MS}`]);
  await at(10);
  expect(session.channels).toEqual(["b"]);
});

test("a token that is refused ends its subscription, and one that nobody can look at does not", async () => {
  const { at, renew, session, transport } = await connected({ a: "5", b: "5", c: "" });
  await renew({ a: "no", b: "down", c: "down", d: "9" });
  expect(story(transport)).toEqual([
    "unsubscribed a",
    "a ACL_ERROR",
    "b UNAVAILABLE",
    "c UNAVAILABLE",
    "d BAD_REQUEST",
  ]);
  expect(session.channels).toEqual(["b", "c"]);
  expect(transport.frames.join()).not.toContain("10.1.2.3");
  // It holds until it ends, and no longer.
  await at(5);
  expect(session.channels).toEqual(["c"]);
});

test("a token that is being looked at while the old one ends keeps the subscription", async () => {
  const { promise: decided, resolve: decide } = Promise.withResolvers<undefined>();
  let calls = 0;
  const { at, renew, session, transport } = await connected({ a: "5" }, ["control"], {
    backends: {
      authorizeSubscribe: async () => {
        calls += 1;
        return calls === 1 ? yesFor(5) : await decided;
      },
    },
  });
  const renewing = renew({ a: "x" });
  await at(5);
  expect(session.channels).toEqual(["a"]);
  decide(yesFor(9));
  await renewing;
  await new Promise(setImmediate);
  expect(session.channels).toEqual(["a"]);
  expect(story(transport)).toEqual(["a undefined"]);
  await at(9);
  expect(session.channels).toEqual([]);
});

test("a channel that was left has no end any more", async () => {
  const { at, session, subscribe, transport } = await connected({ a: "5", b: "" });
  const value = { subscriptions: [{ channel: "a" }] };
  await send(session, { envelope: { case: "unsubscribe", value } });
  await at(5);
  expect(story(transport).filter((line) => line.startsWith("unsubscribed"))).toEqual([]);
  await subscribe("a");
  await at(9);
  expect(session.channels).toEqual(["b", "a"]);
});

test("ends are remembered in a sleep, and what was told of them", async () => {
  const { at, engine, session, transport } = await connected({ a: "5", b: "" });
  await at(4.6);
  const record = session.record();
  session.end(true);
  transport.frames.length = 0;
  const woken = engine.restore(transport, record);
  await at(4.9);
  expect(story(transport)).toEqual([]);
  await at(5);
  expect(story(transport)).toEqual(["unsubscribed a"]);
  expect(woken.channels).toEqual(["b"]);
});

test("what a backend answers is a refusal, whatever it looks like", async () => {
  const answer = { expiresAt: START + MINUTE_MS } as unknown as undefined;
  const { session } = await connected({ a: "x" }, ["control"], {
    backends: { authorizeSubscribe: async () => answer },
  });
  expect(session.channels).toEqual([]);
});

test("there are as many tokens as there may be subscriptions", async () => {
  const { renew, transport } = await connected({ a: "5" }, ["control"], { maxSubscriptions: 2 });
  await renew({ a: "9", b: "9", c: "9" });
  expect(kinds(transport)).toEqual(["connected", "error BAD_REQUEST"]);
});
