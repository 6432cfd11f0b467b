/** Traces of the frames of a user or a channel: what they say, what they never say, and that they end by themselves. */
import { expect, test } from "vitest";
import { Traces, type TracesHost, type TraceTerms } from "../../src/engine/frames/traces.ts";
import type { Cluster } from "../../src/engine/ports/cluster.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import type {
  NodeAnswer,
  NodeCall,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_TRACED_FRAMES, MAX_TRACES, TRACE_WAIT_MS } from "../../src/protocol/limits.ts";
import { sized } from "../../src/protocol/publication-frames.ts";
import { connectWith, ManualTimers, QuietBroker, type SceneOptions, sceneWith } from "./scene.ts";

const EVENT = { id: "e", source: "/s", spec_version: "1.0", type: "t", text_data: "hello" };
const frame = (envelope: object) => JSON.stringify({ id: "1", channel: "news", ...envelope });

function traced(options: SceneOptions = {}) {
  const made = sceneWith(new QuietBroker(), {
    backends: { authenticate: async () => ({ userId: "ada" }) },
    ...options,
  });
  const { clock, engine, timers } = made;
  const terms: TraceTerms = {
    id: "one",
    userId: "ada",
    channel: "",
    payloads: false,
    until: clock.time + 60_000,
  };
  /** Reads, and lets the time pass that a reading waits. */
  const read = async (more: Partial<TraceTerms> = {}, during?: () => unknown) => {
    const reading = engine.trace({ ...terms, ...more });
    // A refusal is looked at by who awaits it.
    reading.catch(() => {});
    for (let i = 0; i < 4; i++) await Promise.resolve();
    await during?.();
    clock.time += TRACE_WAIT_MS;
    timers.fire(TRACE_WAIT_MS);
    return await reading;
  };
  return { ...made, read };
}

test("every frame of a user: kind, size, direction and what became of it, and no token", async () => {
  const { session, read } = traced();
  await connectWith(session, { token: "secret-token", capabilities: ["control"] });
  const { frames, leftOut } = await read({}, async () => {
    await session.receive(frame({ publish: EVENT }));
    await session.receive(frame({ publish: { ...EVENT, attributes: { odd: {} } } }));
    await session.receive(frame({ sub_refresh: { channel: "news", token: "secret-token" } }));
    await session.receive("{no json");
    session.close({ code: 4001, reason: "bye" });
  });
  expect(leftOut).toBe(0);
  expect(
    frames.map(({ inbound, kind, outcome }) => `${inbound ? ">" : "<"} ${kind} ${outcome}`),
  ).toEqual([
    "> publish taken",
    "< publish_ack sent",
    "> publish taken",
    "< error BAD_REQUEST",
    "> sub_refresh taken",
    "< sub_refresh_ack sent",
    ">  BAD_REQUEST",
    "< error BAD_REQUEST",
    "< disconnect sent",
    "< end 4001",
  ]);
  expect(frames[0]).toMatchObject({
    sessionId: "s",
    userId: "ada",
    id: "1",
    channel: "news",
    bytes: frame({ publish: EVENT }).length,
    payload: "",
  });
  const all = JSON.stringify(frames, (_, value: unknown) =>
    typeof value === "bigint" ? `${value}` : value,
  );
  expect(all).not.toContain("secret-token");
  expect(all).not.toContain("hello");
});

test("with payloads events come with their frames, and a frame with a token has none", async () => {
  const { session, read } = traced();
  await connectWith(session, { token: "secret-token" });
  const { frames } = await read({ payloads: true }, async () => {
    await session.receive(frame({ publish: { ...EVENT, text_data: "x".repeat(5_000) } }));
    await session.receive(frame({ sub_refresh: { channel: "news", token: "secret-token" } }));
  });
  expect(frames[0]?.payload).toContain('"source":"/s"');
  expect(frames[0]?.payload).toHaveLength(4_096);
  expect(frames.map(({ kind, payload }) => [kind, payload !== ""])).toEqual([
    ["publish", true],
    ["publish_ack", false],
    ["sub_refresh", false],
    ["sub_refresh_ack", false],
  ]);
});

test("a trace of a channel has the frames that name it, of every session", async () => {
  const { session, read } = traced();
  await connectWith(session, {});
  const of = { userId: "", channel: "news" };
  const { frames } = await read(of, async () => {
    await session.receive(frame({ publish: EVENT }));
    await session.receive(frame({ channel: "other", publish: EVENT }));
    await session.receive(frame({ subscribe: { subscriptions: [{ channel: "news" }] } }));
  });
  expect(frames.map(({ kind }) => kind)).toEqual(["publish", "subscribe", "subscribe_ack"]);
});

test("a trace of a channel names no other one, and has no payload of a frame that does", async () => {
  const { session, read } = traced();
  await connectWith(session, {});
  const subscriptions = [{ channel: "hidden" }, { channel: "news" }];
  const { frames } = await read({ userId: "", channel: "news", payloads: true }, async () => {
    await session.receive(frame({ channel: "", subscribe: { subscriptions } }));
    const messages = ["hidden", "news"].map((channel) => ({ channel, payload: EVENT }));
    const data = JSON.stringify({ id: "2", publication: { messages } });
    session.write(sized(data));
  });
  expect(frames.map(({ kind, channel, payload }) => [kind, channel, payload])).toEqual([
    ["subscribe", "news", ""],
    ["subscribe_ack", "news", ""],
    ["publication", "news", ""],
  ]);
});

test("other users' frames are not in it, and what had no room is counted", async () => {
  const { session, read } = traced();
  await connectWith(session, {});
  expect(
    (await read({ userId: "ben" }, () => session.receive(frame({ ping: {} })))).frames,
  ).toEqual([]);
  const { frames, leftOut } = await read({ id: "two" }, async () => {
    for (let i = 0; i < MAX_TRACED_FRAMES; i++) await session.receive(frame({ ping: {} }));
  });
  expect([frames.length, leftOut]).toEqual([MAX_TRACED_FRAMES, MAX_TRACED_FRAMES]);
});

test("a trace that nobody reads ends by a timer, whatever the clock says", async () => {
  const clock = { time: 1_000_000, now: () => clock.time };
  const timers = new ManualTimers();
  const host: TracesHost = { clock, timers, logger: { warn: () => {} }, watch: undefined };
  const traces = new Traces(host);
  const terms = { id: "one", userId: "ada", channel: "", payloads: false, until: 2_000_000 };
  const reading = traces.read(terms);
  expect(host.watch).toBe(traces);
  timers.fire();
  await reading;
  clock.time -= 10_000;
  timers.fire();
  expect(host.watch).toBeUndefined();
});

test("so many run at once, an id is of one trace, and one that nobody reads ends", async () => {
  const { timers, read } = traced();
  for (let i = 0; i < MAX_TRACES; i++) await read({ id: `t${i}` });
  await expect(read({ id: "more" })).rejects.toMatchObject({ code: "RATE_LIMITED" });
  await expect(read({ id: "t9", userId: "ben" })).rejects.toMatchObject({ code: "NOT_FOUND" });
  // Each reading puts the end off.
  await read({ id: "t0" });
  timers.fire();
  for (let i = 0; i < MAX_TRACES; i++) await read({ id: `other${i}` });
  await expect(read({ id: "t0" })).rejects.toMatchObject({ code: "RATE_LIMITED" });
});

test("the nodes that hear a channel are asked as well, and one that does not answer is named", async () => {
  const answers = new Map<string, (call: NodeCall) => Promise<NodeAnswer["answer"]>>();
  class Clustered extends QuietBroker {
    readonly cluster: Cluster;
    constructor(node: string) {
      super();
      this.cluster = {
        node,
        start: (answer) => answers.set(node, answer),
        others: async () => ["far", "gone"],
        call: async (to, call) => {
          const answer = answers.get(to);
          if (answer === undefined) throw new MessagingError("UNAVAILABLE", "it has gone");
          return await answer(call);
        },
      };
    }
  }
  const far = sceneWith(new Clustered("far"));
  const near = sceneWith(new Clustered("near"));
  await connectWith(far.session, {});
  const until = near.clock.time + 60_000;
  const reading = near.engine.trace({
    id: "one",
    userId: "",
    channel: "news",
    payloads: false,
    until,
  });
  for (let i = 0; i < 20; i++) await Promise.resolve();
  await far.session.receive(frame({ publish: EVENT }));
  near.timers.fire();
  far.timers.fire();
  const { frames, unreached } = await reading;
  expect(frames.map(({ kind, sessionId }) => `${sessionId} ${kind}`)).toEqual(["s publish"]);
  expect(unreached).toEqual(["gone"]);
});
