/** What the broker costs beside Redis itself: the same script, bare, through the same client. */
import { toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { RedisKeys } from "../../src/brokers/redis/keys.ts";
import { PUBLISH } from "../../src/brokers/redis/scripts/log.ts";
import { EntryBodySchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { openCommands } from "../../src/server/redis/commands.ts";
import { bodyOf, newPrefix, openNode } from "./nodes.ts";
import { redisServer } from "./servers.ts";

const IN_FLIGHT = 64;
const MS = 1_500;
const ROUNDS = 3;
/** Rounds at most. */
const MOST_ROUNDS = 8;
const LEAST = 0.6;

test.each([16, 1_000])(
  "the broker publishes to %i channels at no less than 0.6 of the rate of its bare script",
  async (count) => {
    const server = await redisServer();
    const address = { urls: [server.url], cluster: false };
    const commands = await openCommands(address);
    const node = await openNode({ address, prefix: newPrefix() });
    const keys = new RedisKeys(newPrefix());
    const text = "x".repeat(128);
    const names = Array.from({ length: count }, (_, i) => `c${i}`);
    const own = names.map((name) => keys.channel(name));
    const bare = async (i: number): Promise<void> => {
      const name = names[i % count] ?? "";
      const terms = [
        "epoch",
        "0",
        "",
        "0",
        "0",
        "86400000",
        keys.topic(name),
        "256",
        "8192",
        "300000",
      ];
      const body = toBinary(EntryBodySchema, bodyOf(text));
      await commands.run(PUBLISH, own[i % count] ?? [], [...terms, crypto.randomUUID(), body]);
    };
    const brokers = async (i: number): Promise<void> => {
      await node.publish(names[i % count] ?? "", text);
    };
    const rates = { bare: [] as number[], broker: [] as number[] };
    // A neighbour only ever makes them lower, so that the best of each is what there is.
    const best = (kind: "bare" | "broker"): number => Math.max(...rates[kind]);
    const ratio = (): number => best("broker") / best("bare");
    try {
      await rate(bare, 500);
      await rate(brokers, 500);
      // In turn, so that what else the machine does meets both; and again where it left neither alone.
      for (let round = 0; round < ROUNDS || (ratio() <= LEAST && round < MOST_ROUNDS); round++) {
        rates.bare.push(await rate(bare, MS));
        rates.broker.push(await rate(brokers, MS));
      }
    } finally {
      await node.close();
      commands.close();
      await server.stop();
    }
    const [bareRate, brokerRate] = [best("bare"), best("broker")].map(Math.round);
    console.log(
      `${count} channels: bare ${bareRate}/s, broker ${brokerRate}/s, ratio ${ratio().toFixed(2)}`,
    );
    expect(ratio()).toBeGreaterThan(LEAST);
  },
);

/** Calls per second, so many at a time. */
async function rate(call: (i: number) => Promise<void>, ms: number): Promise<number> {
  const end = performance.now() + ms;
  let count = 0;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      while (performance.now() < end) await call(count++);
    }),
  );
  return (count / (performance.now() - began)) * 1_000;
}
