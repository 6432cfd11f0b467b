/** How members leave: at once, after the grace period, or not at all because they are back. */
import assert from "node:assert/strict";
import { type Client, valueAs } from "../../support/client.ts";
import { type Case, EXTENDED, ONE } from "../case.ts";
import { memberName } from "../journal.ts";
import { RULES } from "../variants.ts";
import { changes, watcherOf } from "./presence.ts";

/** Less than the grace period of a channel without a rule. */
export const AT_ONCE_MS = 4_000;

export const presenceLeavingCases: readonly Case[] = [
  {
    rules: ["M3"],
    over: "websocket",
    title: "who unsubscribes, or closes with 1000 or without a code, leaves at once",
    kinds: ONE,
    async run(context) {
      const channel = context.channel();
      const watcher = await watcherOf(context, channel);
      const endings: ((client: Client) => unknown)[] = [
        (client) => client.unsubscribe(channel),
        (client) => client.socket.close(1000),
        (client) => client.socket.close(),
      ];
      const expected: string[] = [];
      /** All that is expected has been told so long after something, in milliseconds. */
      const told = async (end: () => unknown): Promise<number> => {
        const began = Date.now();
        await end();
        await watcher.several("presenceEvent", expected.length);
        return Date.now() - began;
      };
      const took: number[] = [];
      for (const end of endings) {
        const clientId = `leaver${expected.length}`;
        const client = await context.client({ clientId, subscriptions: [{ channel }] });
        expected.push(`join /${clientId}`, `leave /${clientId}`);
        await watcher.several("presenceEvent", expected.length - 1);
        took.push(await told(() => end(client)));
      }
      // Who is back leaves at once, too: nobody waits for the session that dropped.
      const entry = { clientId: "returns", subscriptions: [{ channel }] };
      const dropped = await context.client(entry);
      dropped.socket.terminate();
      await dropped.closed();
      const returned = await context.client(entry, { node: 1 });
      expected.push("join /returns", "leave /returns");
      took.push(await told(() => returned.socket.close(1000)));
      assert.ok(Math.max(...took) < AT_ONCE_MS, `${took} ms`);
      assert.deepEqual(changes(watcher, channel), expected);
    },
  },
  {
    rules: ["M3"],
    title: "of any other end the leave waits; who is back within the grace has never been away",
    server: "rules",
    kinds: ONE,
    async run(context) {
      const channel = context.channel("grace");
      const watcher = await watcherOf(context, channel);
      const join = async (clientId: string, node: number) =>
        await context.client({ clientId, subscriptions: [{ channel }] }, { node });
      const back = await join("back", 0);
      const [drops, stays] = [await join("twice", 0), await join("twice", 1)];
      const gone = await join("gone", 0);
      const away = await join("away", 1);
      const v1 = await context.client(
        { clientId: "v1", subscriptions: [{ channel }] },
        { extended: false },
      );
      await watcher.several("presenceEvent", 5);
      back.socket.terminate();
      drops.socket.terminate();
      const returned = await join("back", 1);
      const began = Date.now();
      gone.socket.terminate();
      v1.socket.terminate();
      // As a browser does whose page is loaded again.
      away.socket.close(1001);
      const events = await watcher.several("presenceEvent", 6);
      // Timers count whole milliseconds, and begin in the middle of one.
      assert.ok(Date.now() - began >= RULES.graceMs - 2, `${Date.now() - began} ms`);
      assert.equal(events.at(-1)?.change.case, "leave");
      await watcher.several("presenceEvent", 8);
      const [, , , , , ...left] = changes(watcher, channel);
      assert.deepEqual(left.sort(), ["leave /away", "leave /gone", "leave /v1"]);
      // The grace of those who are still there has been over for as long.
      returned.socket.close(1000);
      stays.socket.close(1000);
      await watcher.several("presenceEvent", 10);
      const [first, ...rest] = changes(watcher, channel);
      assert.equal(first, "join /back");
      assert.equal(rest.length, 9);
      assert.deepEqual(rest.slice(-2).sort(), ["leave /back", "leave /twice"]);
      const envelope = { case: "presenceRequest", value: { channel } } as const;
      const answer = await watcher.request({ envelope });
      assert.deepEqual(valueAs(answer, "presence").members.map(memberName), ["/watcher"]);
    },
  },
  {
    rules: ["M7", "K2"],
    title: "where events were lost, all that holds is told to those who follow, unasked",
    server: "backend",
    kinds: EXTENDED,
    async run(context) {
      const channel = context.channel();
      const here = { node: 0 };
      const watcher = await context.client(
        { clientId: "watcher", subscriptions: [{ channel }] },
        { ...here, capabilities: ["presence"] },
      );
      const others = [
        await context.subscriber(channel, here),
        await context.subscriber(channel, { ...here, extended: false }),
      ];
      await watcher.several("presenceEvent", 1);
      await watcher.rpc("lose-presence", "", channel);
      const told = await watcher.next("presence");
      assert.equal(told.channel, channel);
      assert.equal(told.total, 2);
      assert.deepEqual(told.members.map(memberName), ["/watcher", "/test"]);
      const [event] = watcher.all("presenceEvent");
      assert.equal(told.generation?.epoch, event?.generation?.epoch);
      assert.ok((told.generation?.number ?? 0n) >= (event?.generation?.number ?? 0n));
      for (const other of others) {
        await other.ping();
        assert.deepEqual(other.all("presence"), []);
      }
    },
  },
];
