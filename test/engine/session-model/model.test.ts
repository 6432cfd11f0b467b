/**
 * Sessions under a random life, which do what the model in `model.ts` expects; and what it has
 * found so far, each in its shortest form.
 */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Backends } from "../../../src/engine/ports/backends.ts";
import { MessagingError } from "../../../src/protocol/errors.ts";
import { CloudEventSchema } from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type {
  SessionMarks,
  SessionRecord,
} from "../../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { sized } from "../../../src/protocol/publication-frames.ts";
import { seed, seededRandom, steps } from "../../support/random.ts";
import { LogBroker, ROOM } from "../log-broker.ts";
import { connect, type Init, kinds, scene, sceneWith, send, subscribe } from "../scene.ts";
import { ScriptedWorld } from "./world.ts";

const STEPS = 20_000;
/** Steps in one life of the world. */
const LIFE = 80;
/** Outcomes without which a long run has tested less than it should. */
const WANTED = [
  ...[1009, 1011, 3500, 3501, 3502, 3503, 3505, 3506, 3508, 3509, 3510, 3511, 4001],
  ...["connected", "subscribeAck", "unsubscribeAck", "publishAck", "rpcReply", "subRefreshAck"],
  ...["pong", "surveyRequest", "surveyResponse", "publication", "disconnect"],
  ...["subscribed", "unsubscribed"],
  ...["BAD_REQUEST", "AUTH_ERROR", "ACL_ERROR", "RPC_TIMEOUT", "PROXY_ERROR", "RATE_LIMITED"],
  ...["UNAVAILABLE", "INTERNAL_ERROR", "OWN_CODE", "slept", "lost"],
  ...["replay", "recovered", "no head_trimmed", "no expired", "no epoch_changed", "no limit"],
  ...["no unavailable", "gap head_trimmed", "gap expired", "gap epoch_changed"],
  ...["history", "presence", "presenceEvent", "duplicate"],
].map(String);

test("whatever sessions live through, they do what SPEC.md says", {
  timeout: 60_000 + 10 * steps(STEPS),
}, async () => {
  const [total, first] = [steps(STEPS), seed()];
  const seen = new Set<string>();
  for (let life = 0; life * LIFE < total; life++) {
    const random = seededRandom(Math.imul(first, 0x9e3779b1) ^ Math.imul(life + 1, 0x85ebca6b));
    const world = new ScriptedWorld(random, seen);
    let step = 0;
    try {
      for (; step < LIFE; step++) await world.step();
      await world.end();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const where = `MESSAGELOOP_TEST_SEED=${first}, life ${life}, step ${step}`;
      const last = world.history.slice(-40).join("\n");
      throw new Error(`${where}: ${reason}\n${last}`, { cause: error });
    }
  }
  if (total >= STEPS) expect(WANTED.filter((outcome) => !seen.has(outcome))).toEqual([]);
});

test("subscribes beside each other respect the limit of channels together", async () => {
  // U5. Once only what was registered counted, and not what still waited for its authorization.
  const { session } = scene({ maxSubscriptions: 1 });
  await connect(session);
  await Promise.all([send(session, subscribe("a")), send(session, subscribe("b"))]);
  expect(session.channels.length).toBeLessThanOrEqual(1);
});

test("only RPCs count as RPCs in flight", async () => {
  // R5. Once the calls that ask whether a session may subscribe took places as well.
  const backends: Backends = {
    authorizeSubscribe: () => new Promise(() => {}),
    rpc: async ({ payload }) => payload,
  };
  const { session, transport } = scene({ backends, maxInFlightRpcs: 1 });
  await connect(session);
  send(session, subscribe("a")).catch(expect.unreachable);
  await send(session, { envelope: { case: "rpcRequest", value: { id: "e", type: "t" } } });
  session.end(true);
  expect(kinds(transport)).toEqual(["connected", "rpcReply"]);
});

test("nobody is asked before it is connected", async () => {
  // V1. Once a channel of connect was surveyed while another one was still being decided.
  const backends: Backends = {
    authorizeSubscribe: async ({ channel }) => {
      if (channel === "slow") await new Promise(() => {});
    },
  };
  const { engine, session, transport } = scene({ backends });
  connect(session, "fast", "slow").catch(expect.unreachable);
  await new Promise(setImmediate);
  engine.survey("fast", create(CloudEventSchema)).catch(expect.unreachable);
  session.end(true);
  expect(kinds(transport)).toEqual([]);
});

test("a subscription that was taken back is in no record", async () => {
  // U3. Once a request that succeeded meanwhile saved it, and nobody saved again when it was gone.
  const backends: Backends = {
    authorizeSubscribe: async ({ channel }) => {
      if (channel === "slow") await new Promise(setImmediate);
      if (channel === "slow") throw new MessagingError("UNAVAILABLE", "not now");
    },
  };
  const { session, transport } = scene({ backends });
  let saved: readonly string[] = [];
  transport.save = (record?: SessionRecord) => {
    saved = record?.subscriptions.map(({ channel }) => channel) ?? [];
  };
  await send(session, { envelope: { case: "connect", value: {} } });
  const refused = send(session, subscribe("fast", "slow"));
  await send(session, subscribe("other"));
  await refused;
  expect(session.channels).toEqual(["other"]);
  expect(saved).toEqual(["other"]);
});

test("a sign of life without an answer outlives a sleep", async () => {
  // B2. Once the mark of what is unheard of was saved with the next write only, or 15 s later.
  const { session, timers, transport } = scene();
  let saved: SessionMarks | undefined;
  transport.mark = (marks?: SessionMarks) => {
    saved = marks;
  };
  await connect(session);
  session.write(sized("x".repeat(1_000)));
  timers.fire();
  await send(session, { envelope: { case: undefined } });
  timers.fire();
  expect(session.marks().unheard).toBe(0n);
  expect(saved?.unheard).toBe(0n);
});

test("frames before connect are signs of life as well", async () => {
  // S6 and B2. Once what was sent to a client before connect added up, whatever it sent.
  const { session } = scene();
  session.write(sized("x".repeat(1_000)));
  await send(session, { envelope: { case: "ping", value: {} } });
  expect(session.marks().unheard).toBeLessThan(100n);
});

test("a heartbeat from before a sleep is no sign of life after it", async () => {
  // B2. Once a node that woke did not know which heartbeat it had counted already.
  const most = { ...sized("x"), bytes: 30 * 1024 * 1024 };
  const first = scene();
  await connect(first.session);
  first.transport.heardAt = 5;
  first.session.write(most);
  first.session.write(most);
  expect(first.transport.closed).toBeUndefined();
  const second = scene();
  second.transport.heardAt = 5;
  const record = { ...first.session.record(), marks: first.session.marks() };
  second.engine.restore(second.transport, record).write(most);
  expect(second.transport.closed?.code).toBe(3510);
});

test("what has no answer is not refused for what is under way", async () => {
  // L2, B1 and V2. Once a client whose requests were slow could not say what it had received.
  const backends: Backends = { rpc: () => new Promise(() => {}) };
  const { session, transport } = scene({ backends, maxOpenRequestBytes: 10 });
  await send(session, { envelope: { case: "connect", value: { capabilities: ["credit"] } } });
  const request: Init = { envelope: { case: "rpcRequest", value: { id: "e", type: "t" } } };
  send(session, request).catch(expect.unreachable);
  await send(session, { envelope: { case: "received", value: { bytes: 1n } } });
  expect(kinds(transport).filter((kind) => kind === "error RATE_LIMITED")).toHaveLength(1);
  expect(session.marks().received).toBe(1n);
});

test("who stands first after a sleep remembers what another one did before", async () => {
  // Once the one before forgot it, having woken behind another, and nobody knew after the next sleep.
  class Remembering extends LogBroker {
    known = true;
    override position() {
      return this.known ? this.handed : undefined;
    }
    snapshot(channel: string) {
      return this.known ? { channel, epoch: this.epoch, offset: 7n } : undefined;
    }
    restore(): void {
      this.known = true;
    }
  }
  const before = sceneWith(new Remembering());
  await connect(before.session, ROOM);
  const second = before.engine.accept(before.transport, "second", "json");
  await connect(second, ROOM);
  const records = [before.session, second].map((session) => {
    return { ...session.record(), marks: session.marks() };
  });
  expect(records.map(({ marks }) => marks.seenChannels.length)).toEqual([1, 0]);
  const broker = new Remembering();
  broker.known = false;
  const { engine, transport, timers } = sceneWith(broker);
  const saved: SessionMarks[] = [];
  transport.mark = (marks?: SessionMarks) => {
    if (marks !== undefined) saved.push(marks);
  };
  for (const record of records.reverse()) engine.restore(transport, record);
  timers.fire();
  expect(saved.map(({ seenChannels }) => seenChannels)).toMatchObject([[{ offset: 7n }]]);
});
