/** How long a node remembers those that it has heard, and what becomes of their old messages. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { NodeCalls } from "../../../src/brokers/redis/node-calls.ts";
import { Troubles } from "../../../src/brokers/redis/outage/troubles.ts";
import {
  NodeCallSchema,
  NodeMessageSchema,
  SignedNodeMessageSchema,
} from "../../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";

const HOUR_MS = 3_600_000;
const SIGNATURE = new Uint8Array([1, 2, 3]);

function scene() {
  let now = 1_700_000_000_000;
  const sent: Uint8Array[] = [];
  const logger = { warn: () => {} };
  const clock = { now: () => now };
  const nodeCalls = (node: string) =>
    new NodeCalls({
      clock,
      timers: { after: () => () => {} },
      troubles: new Troubles(clock, logger),
      commands: {
        command: async (_, args) => {
          if (args[2] instanceof Uint8Array) sent.push(args[2]);
          return 1;
        },
        run: async () => [],
      },
      outage: { since: undefined },
      signer: { sign: () => SIGNATURE, verify: (_, signature) => signature.length === 3 },
      node,
      topicOf: (name) => name,
      now: clock.now,
      others: async () => ["receiver"],
      ...logger,
    });
  const receiver = nodeCalls("receiver");
  let calls = 0;
  receiver.start(async () => {
    calls += 1;
    return { case: "disconnected", value: true };
  });
  return {
    nodeCalls,
    receiver,
    sent,
    calls: () => calls,
    pass: (ms: number) => {
      now += ms;
    },
    /** What a node that is one of us says. */
    message: (sender: string, sequence: bigint, timeMs = now) =>
      toBinary(
        SignedNodeMessageSchema,
        create(SignedNodeMessageSchema, {
          message: toBinary(
            NodeMessageSchema,
            create(NodeMessageSchema, {
              sender,
              receiver: "receiver",
              sequence,
              timeMs: BigInt(timeMs),
              body: { case: "asked", value: {} },
            }),
          ),
          signature: SIGNATURE,
        }),
      ),
  };
}

test("nodes that are gone are forgotten, and their messages are still good for one time only", () => {
  const { receiver, message, calls, pass } = scene();
  const recorded: Uint8Array[] = [];
  for (let i = 0; i < 1_000; i++) {
    const said = message(`node${i}`, 1n);
    recorded.push(said);
    receiver.take(said);
    pass(60_000);
  }
  expect(calls()).toBe(1_000);
  expect(receiver.known).toBeLessThan(30);
  for (const said of recorded) receiver.take(said);
  expect(calls()).toBe(1_000);
  expect(receiver.refused).toEqual({ unsigned: 0, misdirected: 0, replayed: 1_000 });
});

test("a node that was silent for long goes on, and one that says what time it is not is not obeyed", () => {
  const { receiver, message, calls, pass } = scene();
  receiver.take(message("a", 1n));
  pass(24 * HOUR_MS);
  receiver.take(message("a", 2n));
  expect(calls()).toBe(2);
  for (const time of [0, 1_700_000_000_000, 1_700_000_000_000 + 48 * HOUR_MS]) {
    receiver.take(message("b", 1n, time));
  }
  expect(calls()).toBe(2);
  expect(receiver.refused.replayed).toBe(3);
});

test("what is sent says when, by the time of all nodes", async () => {
  const { nodeCalls, sent } = scene();
  const asking = nodeCalls("sender").call("receiver", create(NodeCallSchema, {}), 1_000);
  while (sent.length === 0) await Promise.resolve();
  const { message } = fromBinary(SignedNodeMessageSchema, sent[0] ?? new Uint8Array());
  expect(fromBinary(NodeMessageSchema, message).timeMs).toBe(1_700_000_000_000n);
  asking.catch(() => {});
});
