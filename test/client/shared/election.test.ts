/** Tabs that elect one of them to have the connection, by the locks and channels that Node has as browsers do. */
import { afterEach, expect, test } from "vitest";
import type { Client } from "../../../src/client/core/client.ts";
import type { ClientOptions } from "../../../src/client/core/options.ts";
import type { Clock } from "../../../src/client/core/ports.ts";
import { createClient } from "../../../src/client/dial.ts";
import {
  Election,
  type ElectionPlatform,
  type LocksLike,
} from "../../../src/client/shared/election.ts";
import { type PortLike, parcels } from "../../../src/client/shared/line.ts";
import { FakeServer } from "../../../src/client/testing/fake-server.ts";
import { json } from "../../../src/client/wire/json.ts";
import { MessagingError } from "../../../src/protocol/errors.ts";
import { eventually } from "../../support/eventually.ts";

/** So many times as fast as real time. */
const SPEED = 10;
const clock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now() * SPEED,
  after: (ms, run) => {
    const timer = setTimeout(run, ms / SPEED);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

const locks = (navigator as unknown as { readonly locks: LocksLike }).locks;
const ended: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

class Tab {
  readonly client: Client;
  readonly heard: string[] = [];
  readonly gaps: unknown[] = [];
  /** What has come and gone by channels that other tabs hear. */
  readonly said: unknown[] = [];
  /** The page goes, as far as the election knows. */
  leave = (): void => {};
  #frozen = false;
  /** Resolves when it is not frozen any more. */
  #thawed = Promise.resolve();
  #thaw = (): void => {};

  constructor(server: FakeServer, url: string, options: ClientOptions, platform: object = {}) {
    const own: ElectionPlatform = {
      locks: { request: (...terms) => this.#request(...terms) },
      channel: (name) => this.#channel(name),
      ports: () => {
        const { port1, port2 } = new MessageChannel();
        ended.unshift(() => port1.close());
        return [port1, port2] as unknown as [PortLike, PortLike];
      },
      onLeave: (left) => {
        this.leave = left;
        return () => {};
      },
      ...platform,
    };
    const terms = { url, codec: json, transport: server.transport, clock };
    const election = new Election({ ...terms, connectTimeoutMs: 30_000 }, own);
    this.client = createClient(url, {
      ...{ clock, encoding: parcels(json.subprotocol), transport: election.transport },
      onError: () => {},
      ...options,
    });
    ended.push(async () => {
      this.thaw();
      await this.client.close();
      this.leave();
    });
    this.client.addEventListener("gap", ({ detail }) => this.gaps.push(detail));
  }

  listen(channel: string, options = {}): void {
    const onMessage = (message: { channel: string; data: unknown }) =>
      this.heard.push(`${message.channel} ${message.data}`);
    this.client.subscribe(channel, { ...options, onMessage });
  }

  /** Its page stops: whatever other tabs say is not heard, and its locks stay. */
  freeze(): void {
    this.#frozen = true;
    this.#thawed = new Promise((resolve) => {
      this.#thaw = resolve;
    });
  }

  thaw(): void {
    this.#frozen = false;
    this.#thaw();
  }

  async #request(...terms: Parameters<LocksLike["request"]>): Promise<unknown> {
    try {
      return await locks.request(...terms);
    } catch (error) {
      // Nothing runs in a page that is frozen.
      await this.#thawed;
      throw error;
    }
  }

  #channel(name: string): PortLike {
    const channel = new BroadcastChannel(name) as unknown as PortLike;
    ended.unshift(() => channel.close());
    return {
      postMessage: (message) => {
        this.said.push(message);
        if (!this.#frozen) channel.postMessage(message);
      },
      addEventListener: (type, listener) =>
        channel.addEventListener(type, (event) => {
          if (!this.#frozen) listener(event);
        }),
      close: () => channel.close(),
    };
  }
}

let servers = 0;

function scene() {
  const server = new FakeServer({
    clock,
    authenticate: (token) => {
      if (token.includes("bad")) throw new MessagingError("AUTH_ERROR", "not this token");
      return token.split(":")[0] ?? "";
    },
  });
  servers += 1;
  const url = `ws://fake-${servers}/ws`;
  let published = 0;
  const tab = async (token: string, options: ClientOptions = {}, platform = {}) => {
    const one = new Tab(server, url, { token, ...options }, platform);
    one.listen("room");
    await eventually(
      () => one.client.state,
      (state) => state === "connected",
    );
    return one;
  };
  const publish = () => {
    published += 1;
    const event = { id: `${published}`, source: "/s", type: "t", text_data: `${published}` };
    server.publish("room", event);
  };
  /** Waits until tabs have heard everything, once and in order. */
  const heardBy = async (...tabs: readonly Tab[]) => {
    for (const { heard, gaps } of tabs) {
      await eventually(
        () => heard,
        (all) => all.at(-1) === `room ${published}`,
      );
      const first = Number(heard[0]?.split(" ")[1]);
      const expected = Array.from({ length: published - first + 1 }, (_, i) => `room ${first + i}`);
      expect(heard).toEqual(expected);
      expect(gaps).toEqual([]);
    }
  };
  const users = () => server.sessions.map(({ userId }) => userId).toSorted();
  const haveSessions = (...expected: string[]) =>
    eventually(users, (all) => `${all}` === `${expected}`);
  return { server, tab, publish, heardBy, haveSessions };
}

test("one tab of each user has the connection, and another one when it is left", async () => {
  const { tab, publish, heardBy, haveSessions } = scene();
  const leader = await tab("ann:1");
  const others = [await tab("ann:2"), await tab("ann:3")];
  const other = await tab("bob:1");
  await haveSessions("ann", "bob");
  publish();
  await heardBy(leader, ...others, other);
  const before = others[0]?.client.sessionId;
  // Its client has gone, and its page has not: others go on as they were.
  await leader.client.close();
  publish();
  await heardBy(...others, other);
  expect(others[0]?.client.sessionId).toBe(before);
  leader.leave();
  publish();
  await heardBy(...others, other);
  expect(others[0]?.client.sessionId).not.toBe(before);
  await haveSessions("ann", "bob");
  for (const { client } of others) await client.close();
  await haveSessions("bob");
});

test("a leader that is frozen loses its place to the next tab, and follows when it wakes", async () => {
  const { tab, publish, heardBy, haveSessions } = scene();
  const frozen = await tab("ann:1");
  const before = frozen.client.sessionId;
  frozen.freeze();
  const next = await tab("ann:2");
  expect(next.client.sessionId).not.toBe(before);
  const third = await tab("ann:3");
  expect(third.client.sessionId).toBe(next.client.sessionId);
  frozen.thaw();
  // Its lock was taken away: it has come back, and follows.
  await haveSessions("ann");
  await eventually(
    () => frozen.client,
    ({ sessionId }) => sessionId === next.client.sessionId,
  );
  publish();
  await heardBy(frozen, next, third);
});

test("no token goes to another tab", async () => {
  const { tab, publish, heardBy, haveSessions } = scene();
  const leader = await tab("ann:secret-1");
  const follower = await tab("ann:secret-2");
  await follower.client.refresh("ann:secret-3");
  await expect(follower.client.refresh("ann:secret-bad")).rejects.toMatchObject({
    code: "AUTH_ERROR",
  });
  publish();
  await heardBy(leader, follower);
  await haveSessions("ann");
  // A tab with tokens of subscriptions has a connection of its own.
  const own = await tab("ann:secret-4");
  own.listen("other", { token: "secret-5" });
  await haveSessions("ann", "ann");
  await eventually(
    () => own.client.state,
    (state) => state === "connected",
  );
  publish();
  await heardBy(leader, follower, own);
  const moved = follower.client.refresh("bob:secret-6").catch(() => {});
  await haveSessions("ann", "ann", "bob");
  await moved;
  for (const { said } of [leader, follower, own]) {
    expect(JSON.stringify(said)).not.toContain("secret");
  }
});

test("without locks every tab has a connection of its own", async () => {
  const { tab, publish, heardBy, haveSessions } = scene();
  const refusing: LocksLike = { request: () => Promise.reject(new Error("not here")) };
  const tabs = [
    await tab("ann:1", {}, { locks: undefined }),
    await tab("ann:2", {}, { channel: undefined }),
    await tab("ann:3", {}, { locks: refusing }),
  ];
  await haveSessions("ann", "ann", "ann");
  publish();
  await heardBy(...tabs);
});
