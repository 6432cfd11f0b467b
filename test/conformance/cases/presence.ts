/** Who is present in a channel: what is told of it, and what may be asked. */
import assert from "node:assert/strict";
import type { Presence } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { type Client, valueAs } from "../../support/client.ts";
import { eventually } from "../../support/eventually.ts";
import { type Case, type Context, EXTENDED, ONE } from "../case.ts";
import { journal, memberName } from "../journal.ts";

export const FOLLOWING = { capabilities: ["presence"] } as const;

/** A client that hears who comes and goes, and is a member itself. */
export async function watcherOf(context: Context, channel: string): Promise<Client> {
  return await context.client({ clientId: "watcher", subscriptions: [{ channel }] }, FOLLOWING);
}

export function changes(client: Client, channel: string): string[] {
  return journal(client, channel).filter((line) => /^(join|leave) /.test(line));
}

export async function ask(client: Client, channel: string) {
  return await client.request({ envelope: { case: "presenceRequest", value: { channel } } });
}

export async function members(client: Client, channel: string): Promise<Presence> {
  return valueAs(await ask(client, channel), "presence");
}

export function names(presence: Presence): string[] {
  return presence.members.map(memberName);
}

/**
 * What a client knows that started from an answer and heard what came after it. A list that it has not asked for
 * replaces what it knew: on the way to it events were lost (M7).
 */
function known(client: Client, answer: Presence): string[] {
  let generation = answer.generation?.number ?? 0n;
  let present = new Set(names(answer));
  for (const { envelope } of client.replies) {
    if (envelope.case === "presence") {
      const number = envelope.value.generation?.number ?? 0n;
      if (number <= generation) continue;
      generation = number;
      present = new Set(names(envelope.value));
    }
    if (envelope.case !== "presenceEvent") continue;
    const { change, generation: at } = envelope.value;
    if ((at?.number ?? 0n) <= generation) continue;
    generation = at?.number ?? 0n;
    const name = memberName(change.value);
    if (change.case === "leave") assert.ok(present.delete(name), `${name} left and was not there`);
    else {
      assert.ok(!present.has(name), `${name} joined and was there`);
      present.add(name);
    }
  }
  return [...present].sort();
}

export const presenceCases: readonly Case[] = [
  {
    rules: ["M1", "M2", "K2"],
    title: "who comes and goes is told once to others that ask to know, and never to oneself",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel();
      const watcher = await watcherOf(context, channel);
      const mute = await context.client({ clientId: "mute", subscriptions: [{ channel }] });
      const old = await context.client(
        { clientId: "old", subscriptions: [{ channel }] },
        { extended: false },
      );
      const guest = await context.client({ clientId: "guest" }, FOLLOWING);
      await guest.subscribe(channel);
      // To subscribe again joins nobody.
      await guest.subscribe(channel);
      await old.subscribe(channel);
      await watcher.several("presenceEvent", 3);
      await guest.unsubscribe(channel);
      await watcher.several("presenceEvent", 4);
      await old.unsubscribe(channel);
      await watcher.several("presenceEvent", 5);
      const last = await context.client({ clientId: "last" }, FOLLOWING);
      await last.subscribe(channel);
      await watcher.several("presenceEvent", 6);
      assert.deepEqual(changes(watcher, channel), [
        "join /mute",
        "join /old",
        "join /guest",
        "leave /guest",
        "leave /old",
        "join /last",
      ]);
      assert.ok(
        watcher.all("presenceEvent").every(({ change }) => (change.value?.time ?? 0n) > 0n),
      );
      for (const client of [mute, guest, old, last]) {
        await client.ping();
        assert.deepEqual(client.all("presenceEvent"), []);
      }
    },
  },
  {
    rules: ["M1", "M2"],
    over: "websocket",
    title: "an ephemeral subscription is no member and hears of the others; it can become one",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel();
      const watcher = await watcherOf(context, channel);
      const ghost = await context.client({ clientId: "ghost" }, FOLLOWING);
      await ghost.subscribe({ channel, ephemeral: true });
      const other = await context.subscriber(channel);
      await ghost.several("presenceEvent", 1);
      assert.deepEqual(names(await members(ghost, channel)), ["/watcher", "/test"]);
      await ghost.subscribe({ channel, ephemeral: false });
      await watcher.several("presenceEvent", 2);
      assert.deepEqual(names(await members(ghost, channel)), ["/watcher", "/test", "/ghost"]);
      await ghost.subscribe({ channel, ephemeral: true });
      await watcher.several("presenceEvent", 3);
      assert.deepEqual(names(await members(ghost, channel)), ["/watcher", "/test"]);
      ghost.socket.close(1000);
      await ghost.closed();
      other.socket.close(1000);
      await watcher.several("presenceEvent", 4);
      assert.deepEqual(changes(watcher, channel), [
        "join /test",
        "join /ghost",
        "leave /ghost",
        "leave /test",
      ]);
    },
  },
  {
    rules: ["M1", "M2", "M3"],
    over: "websocket",
    title: "user and client are a member, with any number of sessions on any nodes",
    server: "auth",
    kinds: ONE,
    async run(context) {
      const channel = context.channel();
      const watcher = await context.client(
        { token: "user:w", clientId: "watcher", subscriptions: [{ channel }] },
        FOLLOWING,
      );
      const join = async (user: string, clientId: string, node: number) =>
        await context.client(
          { token: `user:${user}`, clientId, subscriptions: [{ channel }] },
          { ...FOLLOWING, node },
        );
      const first = await join("ada", "phone", 0);
      await join("ada", "laptop", 0);
      const bob = await join("bob", "phone", 1);
      await join("ada", "", 1);
      const second = await join("ada", "phone", 1);
      await watcher.several("presenceEvent", 4);
      const all = ["ada/phone", "ada/laptop", "bob/phone", "ada/"];
      const answer = await members(watcher, channel);
      assert.deepEqual([names(answer), answer.total], [["w/watcher", ...all], 5]);
      first.socket.close(1000);
      await first.closed();
      bob.socket.close(1000);
      await watcher.several("presenceEvent", 5);
      await second.several("presenceEvent", 1);
      second.socket.close(1000);
      await watcher.several("presenceEvent", 6);
      const joins = all.map((name) => `join ${name}`);
      assert.deepEqual(changes(watcher, channel), [...joins, "leave bob/phone", "leave ada/phone"]);
      // The second session of a member hears of others, and not of its own.
      assert.deepEqual(changes(second, channel), ["leave bob/phone"]);
    },
  },
  {
    rules: ["M1", "M2"],
    title: "who has neither a user nor a client id is a member for each session",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel();
      const watcher = await watcherOf(context, channel);
      const sessions: string[] = [];
      const clients: Client[] = [];
      for (const extended of [true, true, false]) {
        const client = await context.open({ ...FOLLOWING, extended });
        const reply = await client.connect({ clientId: "", subscriptions: [{ channel }] });
        sessions.push(valueAs(reply, "connected").sessionId);
        clients.push(client);
      }
      const joins = sessions.map((session) => `join ${session}`);
      await watcher.several("presenceEvent", 3);
      assert.deepEqual(changes(watcher, channel), joins);
      assert.deepEqual(names(await members(watcher, channel)), ["/watcher", ...sessions]);
      const [first, second] = clients;
      await first?.several("presenceEvent", 2);
      assert.deepEqual(first && changes(first, channel), joins.slice(1));
      await second?.several("presenceEvent", 1);
      assert.deepEqual(second && changes(second, channel), joins.slice(2));
    },
  },
  {
    rules: ["M2", "M6"],
    title: "in a throng an answer and the events behind it tell who is there, to early and late",
    kinds: ONE,
    async run(context) {
      const channel = context.channel();
      const early = await watcherOf(context, channel);
      const before = await members(early, channel);
      const wander = async (index: number): Promise<void> => {
        const client = await context.client({ clientId: `m${index}` }, { node: index % 2 });
        for (let i = 0; i < 9; i++) {
          if (i % 2 === 0) await client.subscribe(channel);
          else await client.unsubscribe(channel);
        }
      };
      const wandering = Promise.all(Array.from({ length: 8 }, (_, index) => wander(index)));
      await early.several("presenceEvent", 20);
      const late = await context.client(
        { clientId: "late", subscriptions: [{ channel }] },
        { ...FOLLOWING, node: 1 },
      );
      const between = await members(late, channel);
      await wandering;
      for (const [client, start] of [
        [early, before],
        [late, between],
      ] as const) {
        const now = await eventually(
          async () => known(client, start),
          (present) => present.length === 10,
        );
        assert.deepEqual(now, names(await members(client, channel)).sort());
        const generations = client.all("presenceEvent").map(({ generation }) => generation);
        assert.equal(new Set(generations.map((generation) => generation?.epoch)).size, 1);
        generations.reduce((previous, next) => {
          assert.ok((next?.number ?? 0n) > (previous?.number ?? 0n), "generations rise");
          return next;
        });
      }
    },
  },
];
