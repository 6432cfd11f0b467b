/** Clients of v1 that send as fast as they can and do not read what became of it, as the v0.1.1 Go SDK does. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { MAX_WAITING_SESSION_BYTES } from "../../../src/protocol/limits.ts";
import { kindOf, texts } from "../../support/client.ts";
import { type Case, V1 } from "../case.ts";

const EVENTS = 3_000;
const EVENT_BYTES = 4 * 1024;
const RPCS = 100;
/** Bytes of one request of a flood, and requests that are more than may wait on a host that cannot slow a client. */
const FLOOD_BYTES = 60_000;
const FLOOD = Math.ceil((1.25 * MAX_WAITING_SESSION_BYTES) / FLOOD_BYTES);
/** How long each of them takes: short where all are done, and too long where they have to pile up on any machine. */
const FLOOD_MS = { slowed: "200", piled: "20000" };

export const burstCases: readonly Case[] = [
  {
    rules: ["L5", "P3"],
    title:
      "3,000 publishes of 4 KB that nobody waits for all arrive, in order, beside another fast client",
    server: "load",
    kinds: V1,
    async run(context) {
      const channel = context.channel();
      const reader = await context.subscriber(channel, { extended: true });
      const [first, second] = [await context.client(), await context.client()];
      const text = (who: string, i: number): string => `${who} ${i} `.padEnd(EVENT_BYTES, "x");
      for (let i = 0; i < EVENTS; i++) {
        const data = { case: "textData", value: text("first", i) } as const;
        const value = { id: `${i}`, source: "/go", type: "t", data };
        first.send({ channel, envelope: { case: "publish", value } });
        // The reader is in this process: it has to have its turn.
        if (i % 20 === 0) await setImmediate();
        if (i % 10 > 0) continue;
        const value2 = { ...value, data: { ...data, value: text("second", i / 10) } };
        second.send({ channel, envelope: { case: "publish", value: value2 } });
      }
      const messages = await reader.received(EVENTS + EVENTS / 10, 90_000);
      for (const [who, count] of [
        ["first", EVENTS],
        ["second", EVENTS / 10],
      ] as const) {
        const seen = texts(messages).filter((one) => one.startsWith(who));
        assert.deepEqual(
          seen.map((one) => one.split(" ")[1]),
          Array.from({ length: count }, (_, i) => `${i}`),
        );
      }
      for (const client of [first, second]) {
        assert.equal(client.close, undefined);
        assert.deepEqual(client.all("error"), []);
      }
    },
  },
  {
    rules: ["R5", "L5"],
    title: `${RPCS} RPCs of a v1 client at once are all answered, and its ping does not wait for them`,
    server: "tight",
    kinds: V1,
    async run(context) {
      const client = await context.client();
      const open = Array.from({ length: RPCS }, (_, i) => client.rpc("slow", `${10 + (i % 3)}`));
      const pong = await client.ping();
      const kinds = (await Promise.all(open)).map(kindOf);
      assert.deepEqual(
        kinds,
        Array.from({ length: RPCS }, () => "rpcReply"),
      );
      // By the order of arrival: what comes while this process has no turn is seen at once.
      assert.ok(client.replies.indexOf(pong) < client.replies.length - 1, "the ping waited");
    },
  },
  {
    rules: ["L5"],
    over: "websocket",
    title:
      "a v1 client that asks for more than can be done is slowed, or closed with 3510 by a host that cannot slow it",
    server: "backend",
    kinds: V1,
    async run(context) {
      const client = await context.client();
      const slowed = context.host.capabilities?.slowsSenders !== false;
      const text = (slowed ? FLOOD_MS.slowed : FLOOD_MS.piled).padEnd(FLOOD_BYTES, " ");
      const open = Array.from({ length: FLOOD }, () => client.rpc("slow", text));
      const outcomes = Promise.allSettled(open);
      if (!slowed) {
        assert.equal((await client.closed(30_000)).code, 3510);
        await outcomes;
        return;
      }
      const answers = (await outcomes).map((outcome) =>
        outcome.status === "fulfilled" ? kindOf(outcome.value) : String(outcome.reason),
      );
      assert.deepEqual(
        answers,
        Array.from({ length: FLOOD }, () => "rpcReply"),
      );
      assert.equal(client.close, undefined);
    },
  },
];
