/** Recovery, history and presence over streams. */
import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { InboundMessageSchema } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Inbound } from "../../support/client.ts";
import { envelopeOf } from "../../support/stream-client.ts";
import { type Case, EXTENDED } from "../case.ts";
import { fill } from "../journal.ts";
import { RULES } from "../variants.ts";
import { changes, watcherOf } from "./presence.ts";
import { AT_ONCE_MS } from "./presence-leaving.ts";
import { firstAnswer, type StreamKind, streaming } from "./streams.ts";

const KINDS_OF_STREAM: readonly StreamKind[] = ["grpc", "connect", "json"];

export const streamChannelCases: readonly Case[] = [
  {
    rules: ["G1", "C4", "H2", "M4"],
    title: "a stream recovers, reads history and sees who is there, as a socket does",
    kinds: EXTENDED.filter(({ encoding }) => encoding === "proto"),
    observes: ["grpc"],
    async run(context) {
      const channel = context.channel();
      const publisher = await context.subscriber(channel);
      const epoch = await fill(publisher, channel, 3);
      await streaming(context, async (open) => {
        for (const kind of KINDS_OF_STREAM) {
          const client = open(kind);
          const capabilities = ["recovery", "history", "presence"];
          await client.connect(context, { capabilities });
          const subscriptions = [{ channel, since: { epoch, offset: "1" } }];
          await client.request({ subscribe: { subscriptions } });
          await client.until(() => client.received.find((one) => envelopeOf(one) === "recovered"));
          const kinds = client.received.map(envelopeOf);
          assert.deepEqual(kinds, ["connected", "subscribe_ack", "publication", "recovered"]);
          assert.equal(client.texts.length, 2);
          const page = await client.request({ history_request: { channel, limit: -1 } });
          const { messages } = page["history"] as { messages: unknown[] };
          assert.equal(messages.length, 3);
          const present = await client.request({ presence_request: { channel } });
          assert.equal(envelopeOf(present), "presence");
          client.halfClose();
          assert.equal(await client.ended(), 0);
        }
      });
    },
  },
  {
    rules: ["G3", "M3"],
    title: "who ends its half of a stream leaves at once; who loses the connection may come back",
    kinds: EXTENDED.filter(({ encoding }) => encoding === "proto"),
    server: "rules",
    observes: ["grpc"],
    async run(context) {
      const [channel, patient] = [context.channel("grace"), context.channel()];
      const watchers = [
        await watcherOf(context, channel),
        await watcherOf(context, patient),
      ] as const;
      const began = Date.now();
      const value = { clientId: "cut", capabilities: ["test"], subscriptions: [{ channel }] };
      await firstAnswer(context.grpc, framed({ envelope: { case: "connect", value } }));
      let expected = 0;
      await streaming(context, async (open) => {
        for (const kind of KINDS_OF_STREAM) {
          const client = open(kind);
          await client.connect(context, {
            client_id: kind,
            subscriptions: [{ channel: patient }],
          });
          const closed = Date.now();
          client.halfClose();
          await client.ended();
          expected += 2;
          await watchers[1].several("presenceEvent", expected);
          assert.ok(Date.now() - closed < AT_ONCE_MS);
        }
      });
      await watchers[0].several("presenceEvent", 2);
      assert.ok(Date.now() - began >= RULES.graceMs);
      assert.deepEqual(changes(watchers[0], channel), ["join /cut", "leave /cut"]);
      assert.deepEqual(
        changes(watchers[1], patient).sort(),
        ["join", "leave"].flatMap((what) =>
          [...KINDS_OF_STREAM].sort().map((kind) => `${what} /${kind}`),
        ),
      );
    },
  },
];

/** A message as gRPC has it on a stream. */
function framed(message: Inbound): Uint8Array {
  const bytes = toBinary(InboundMessageSchema, create(InboundMessageSchema, message));
  const frame = new Uint8Array(5 + bytes.length);
  new DataView(frame.buffer).setUint32(1, bytes.length);
  frame.set(bytes, 5);
  return frame;
}
