/** What the engine tells of sessions: each event once, in order, with who authentication says it is, before the ack. */
import { expect, test } from "vitest";
import type { Lifecycle, LifecycleEvent, LifecycleKind } from "../../src/engine/ports/lifecycle.ts";
import { SESSION_KINDS } from "../../src/engine/ports/lifecycle.ts";
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import {
  connect,
  connectWith,
  kinds,
  type SceneOptions,
  ScriptedTransport,
  scene,
  send,
  subscribe,
} from "./scene.ts";

/** Keeps what it is told, at once or when the test says so. */
class Told implements Lifecycle {
  readonly kinds: ReadonlySet<LifecycleKind>;
  readonly stats = { waiting: 0, delivered: 0, failures: 0, overflowed: 0, expired: 0 };
  readonly events: LifecycleEvent[] = [];
  readonly #late: boolean;
  #waiting: PromiseWithResolvers<void>[] = [];

  constructor({ late = false, only = SESSION_KINDS as readonly LifecycleKind[] } = {}) {
    this.#late = late;
    this.kinds = new Set(only);
  }

  get lines(): string[] {
    return this.events.map(({ kind, channel }) => (channel === "" ? kind : `${kind} ${channel}`));
  }

  record(events: readonly LifecycleEvent[]): Promise<void> | undefined {
    this.events.push(...events);
    if (!this.#late) return undefined;
    const kept = Promise.withResolvers<void>();
    this.#waiting.push(kept);
    return kept.promise;
  }

  async keep(): Promise<void> {
    await turn();
    for (const { resolve } of this.#waiting.splice(0)) resolve();
    await turn();
  }

  async fail(): Promise<void> {
    await turn();
    const error = new MessagingError("UNAVAILABLE", "Redis is away");
    for (const { reject } of this.#waiting.splice(0)) reject(error);
    await turn();
  }
}

async function turn(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
}

const unsubscribe = (...channels: string[]) => ({
  envelope: {
    case: "unsubscribe" as const,
    value: { subscriptions: channels.map((channel) => ({ channel })) },
  },
});

function told(options: SceneOptions = {}, terms: ConstructorParameters<typeof Told>[0] = {}) {
  const lifecycle = new Told(terms);
  return { lifecycle, ...scene({ ...options, lifecycle }) };
}

test("a life is told once and in its order, with the ids that it had from the start", async () => {
  const { lifecycle, session } = told();
  await connect(session, "a", "b.*");
  await send(session, subscribe("c", "a"));
  await send(session, subscribe("c"));
  await send(session, unsubscribe("a", "a", "never"));
  session.end(true);
  session.end(false);
  session.close(DISCONNECTS.internal);
  expect(lifecycle.lines).toEqual([
    "connected",
    "subscribed a",
    "subscribed b.*",
    "subscribed c",
    "unsubscribed a",
    "disconnected",
  ]);
  expect(new Set(lifecycle.events.map(({ id }) => id)).size).toBe(6);
  expect(new Set(lifecycle.events.map(({ sessionId }) => sessionId))).toEqual(new Set(["s"]));
  expect(lifecycle.events.at(-1)).toMatchObject({ code: 1000, reason: "" });
});

test("the user is who authentication says it is, whatever the client calls itself", async () => {
  const { lifecycle, session } = told({
    backends: { authenticate: async () => ({ userId: "ada" }) },
  });
  const names = { clientId: "root", clientType: "web", token: "t" };
  await connectWith(session, { ...names, subscriptions: [{ channel: "a" }] });
  session.end(false);
  expect(lifecycle.lines).toEqual(["connected", "subscribed a", "disconnected"]);
  for (const event of lifecycle.events) {
    expect(event).toMatchObject({ userId: "ada", clientId: "root", clientType: "web" });
  }
  expect(lifecycle.events.at(-1)).toMatchObject({ code: 1006 });
});

test("a session that the server closes says with what", async () => {
  const { lifecycle, session } = told();
  await connect(session);
  session.close({ code: 4001, reason: "out" });
  expect(lifecycle.events.at(-1)).toMatchObject({
    kind: "disconnected",
    code: 4001,
    reason: "out",
  });
});

test("who was never connected has no life: refused, too slow, or gone before it was decided", async () => {
  const refusing = told({
    backends: {
      authenticate: async () => {
        throw new MessagingError("AUTH_ERROR", "no");
      },
    },
  });
  await connect(refusing.session);
  expect(refusing.lifecycle.events).toEqual([]);
  const silent = told();
  silent.session.end(false);
  expect(silent.lifecycle.events).toEqual([]);
  const denied = told({
    backends: {
      authorizeSubscribe: async () => {
        throw new MessagingError("ACL_ERROR", "no");
      },
    },
  });
  await connectWith(denied.session, { subscriptions: [{ channel: "a" }] });
  expect(denied.transport.closed).toBeDefined();
  expect(denied.lifecycle.events).toEqual([]);
});

test("only what is granted is told, and a subscribe of which a v1 client gets nothing tells nothing", async () => {
  const backends: SceneOptions["backends"] = {
    authorizeSubscribe: async ({ channel }) => {
      if (channel === "no") throw new MessagingError("ACL_ERROR", "no");
    },
  };
  const extended = told({ backends });
  await connect(extended.session);
  await send(extended.session, subscribe("yes", "no"));
  expect(extended.lifecycle.lines).toEqual(["connected", "subscribed yes"]);
  const v1 = told({ backends });
  await connectWith(v1.session, {});
  await send(v1.session, subscribe("yes", "no"));
  expect(v1.lifecycle.lines).toEqual(["connected", "disconnected"]);
});

test("the server's side subscribes and unsubscribes, and is told of alike", async () => {
  const { engine, lifecycle, session } = told();
  await connect(session, "a");
  await engine.subscribe("s", ["a", "b"]);
  await engine.unsubscribe("s", ["b", "never"]);
  expect(lifecycle.lines).toEqual(["connected", "subscribed a", "subscribed b", "unsubscribed b"]);
});

test("kinds that nobody hears are not made", async () => {
  const { lifecycle, session } = told({}, { only: ["disconnected"] });
  await connect(session, "a");
  await send(session, subscribe("b"));
  await send(session, unsubscribe("b"));
  session.end(true);
  expect(lifecycle.lines).toEqual(["disconnected"]);
});

test("nothing is answered before what is told of it is kept", async () => {
  const { lifecycle, session, transport } = told({}, { late: true });
  const connecting = connect(session, "a");
  await turn();
  expect(lifecycle.lines).toEqual(["connected", "subscribed a"]);
  expect(kinds(transport)).toEqual([]);
  await lifecycle.keep();
  await connecting;
  expect(kinds(transport)).toEqual(["connected"]);
  const subscribing = send(session, subscribe("b"));
  await turn();
  expect(kinds(transport)).toEqual(["connected"]);
  await lifecycle.keep();
  await subscribing;
  expect(kinds(transport)).toEqual(["connected", "subscribeAck"]);
  const leaving = send(session, unsubscribe("b"));
  await turn();
  expect(kinds(transport)).toEqual(["connected", "subscribeAck"]);
  await lifecycle.keep();
  await leaving;
  expect(kinds(transport)).toEqual(["connected", "subscribeAck", "unsubscribeAck"]);
});

test("a connect that cannot be kept is refused, and so is a subscribe, which is taken back", async () => {
  const failing = told({}, { late: true });
  const connecting = connect(failing.session, "a");
  await failing.lifecycle.fail();
  await connecting;
  expect(kinds(failing.transport)).toEqual(["error UNAVAILABLE"]);
  expect(failing.broker.wanted.size).toBe(0);
  expect(failing.lifecycle.lines).toEqual(["connected", "subscribed a", "disconnected"]);

  const { broker, lifecycle, session, transport } = told({}, { late: true });
  const connected = connect(session);
  await lifecycle.keep();
  await connected;
  const subscribing = send(session, subscribe("b"));
  await lifecycle.fail();
  await subscribing;
  expect(kinds(transport)).toEqual(["connected", "error UNAVAILABLE"]);
  expect(broker.wanted.size).toBe(0);
  expect(lifecycle.lines).toEqual(["connected", "subscribed b", "unsubscribed b"]);
  await lifecycle.fail();
  expect(session.connected).toBe(true);
});

test("who goes while its connect is kept is told of after it", async () => {
  const { lifecycle, session, transport } = told({}, { late: true });
  const connecting = connect(session, "a");
  await turn();
  session.end(false);
  await lifecycle.keep();
  await connecting;
  expect(kinds(transport)).toEqual([]);
  expect(lifecycle.lines).toEqual(["connected", "subscribed a", "disconnected"]);
});

test("a channel is occupied by its first session and vacated by the last, whichever way that goes", async () => {
  const { engine, lifecycle, session } = told({}, { only: ["occupied", "vacated"] });
  const other = engine.accept(new ScriptedTransport(), "t", "json");
  await connect(session, "a", "p.*");
  await connect(other, "a");
  await send(other, subscribe("a", "b"));
  await send(session, unsubscribe("a"));
  await send(session, unsubscribe("a"));
  await engine.subscribe("s", ["b"]);
  other.end(true);
  session.end(false);
  session.end(false);
  expect(lifecycle.lines).toEqual(["occupied a", "occupied b", "vacated a", "vacated b"]);
  for (const event of lifecycle.events) {
    expect(event).toMatchObject({ sessionId: "", userId: "", clientId: "", clientType: "" });
  }
});

test("a channel that a refused subscribe has named is not occupied", async () => {
  const { lifecycle, session } = told(
    {
      backends: {
        authorizeSubscribe: async () => {
          throw new MessagingError("ACL_ERROR", "no");
        },
      },
    },
    { only: ["occupied", "vacated"] },
  );
  await connect(session);
  await send(session, subscribe("a"));
  session.end(true);
  expect(lifecycle.events).toEqual([]);
});
