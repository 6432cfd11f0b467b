/** Which calls are made again, what of it an operator reads, and what is made of answers of another version. */
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, expect, test, vi } from "vitest";
import { historyOf } from "../../src/objects/calls/channel-calls.ts";
import { activeOf } from "../../src/objects/calls/pattern-calls.ts";
import { retrying, toChannel } from "../../src/objects/calls/retry.ts";
import { publishQueue } from "../../src/objects/gateway/publish-queue.ts";
import { Turn } from "../../src/objects/gateway/turn.ts";
import { push } from "../../src/objects/pattern-index/push.ts";
import type { ChannelStub, PatternStub } from "../../src/objects/ports/calls.ts";
import { Trouble } from "../../src/objects/trouble.ts";
import { MessagingError, unavailable } from "../../src/protocol/errors.ts";
import {
  ActiveResponseSchema,
  HistoryResponseSchema,
  PublishItemSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { platform } from "../support/platform.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

function recorded() {
  const lines: string[] = [];
  const note =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
    };
  const logging = { ...platform, logger: { warn: note("warn"), info: note("info") } };
  return { lines, logging, trouble: new Trouble("calls", logging) };
}

/** Calls with these failures, one after the other, then an answer. */
async function tried(...failures: readonly unknown[]) {
  const left = [...failures];
  let calls = 0;
  const call = async (): Promise<string> => {
    calls += 1;
    if (left.length > 0) throw left.shift();
    return "answer";
  };
  const outcome = await retrying(call, toChannel(platform, recorded().trouble)).catch(
    (error: unknown) => error,
  );
  return { calls, outcome };
}

function remote(error: Error, more: object = {}): Error {
  return Object.assign(error, { remote: true, ...more });
}

test("what may pass is tried again", async () => {
  for (const failure of [
    unavailable("no answer in time"),
    new Error("Network connection lost."),
    Object.assign(new Error("reset"), { durableObjectReset: true }),
    remote(new TypeError("The RPC receiver does not implement the method")),
  ]) {
    expect(await tried(failure)).toEqual({ calls: 2, outcome: "answer" });
  }
});

test("a mistake in a request or an answer is not repeated, and keeps its name", async () => {
  const unreadable = new MessagingError("INTERNAL_ERROR", "an answer cannot be read");
  for (const failure of [new RangeError("no uint64"), new TypeError("no bytes"), unreadable]) {
    expect(await tried(failure)).toEqual({ calls: 1, outcome: failure });
  }
});

test("what the object itself states is the answer, and an overloaded one is left alone", async () => {
  const stated = remote(new Error("storage does not take this now"), { code: "UNAVAILABLE" });
  const first = await tried(stated);
  expect(first.calls).toBe(1);
  expect(first.outcome).toMatchObject({
    code: "UNAVAILABLE",
    message: stated.message,
    retry: true,
  });
  const second = await tried(remote(new Error("busy"), { overloaded: true }));
  expect(second.calls).toBe(1);
  expect(second.outcome).toMatchObject({ code: "UNAVAILABLE" });
});

test("trouble is told at the first failure, once a minute, and when it is over", () => {
  let now = 1_000_000;
  vi.spyOn(Date, "now").mockImplementation(() => now);
  const { lines, trouble } = recorded();
  trouble.worked();
  for (let i = 0; i < 125; i++) {
    trouble.failed(new Error("fault"), { gateway: "g1" });
    // One that works between failures is not the end.
    trouble.worked();
    now += 1_000;
  }
  expect(lines).toEqual([
    'warn calls fail {"gateway":"g1","error":"Error: fault"}',
    'warn calls fail {"gateway":"g1","error":"Error: fault","failures":61,"seconds":60}',
    'warn calls fail {"gateway":"g1","error":"Error: fault","failures":121,"seconds":120}',
  ]);
  now += 10_000;
  trouble.worked();
  trouble.worked();
  expect(lines.slice(3)).toEqual(['info calls work again {"failures":125,"seconds":135}']);
  trouble.failed("again");
  expect(lines).toHaveLength(5);
});

test("a channel that cannot be told by mistake is not called again, and the push waits for its time", async () => {
  const { lines, trouble } = recorded();
  const until = Date.now() + 300;
  const calls: string[] = [];
  const tell = async (channel: string): Promise<void> => {
    calls.push(channel);
    if (channel === "bad") throw new RangeError("no uint64");
    if (calls.length < 4) throw new Error("reset");
  };
  await push(
    [
      { channel: "bad", until },
      { channel: "good", until },
    ],
    { tell, now: () => Date.now(), timers: platform.timers, trouble },
  );
  expect(Date.now()).toBeGreaterThanOrEqual(until);
  expect(calls).toEqual(["bad", "good", "good", "good"]);
  expect(lines).toHaveLength(1);
});

test("a reason that only a newer version knows is unavailable", async () => {
  const history = async (reason: string): Promise<unknown> => {
    const answer = { position: { epoch: "e", offset: 3n }, first: 2n, reason };
    const bytes = toBinary(HistoryResponseSchema, create(HistoryResponseSchema, answer));
    const stub = { history: async () => bytes } as Partial<ChannelStub> as ChannelStub;
    return (await historyOf(stub, { limit: 1 })).reason;
  };
  const active = async (gap: string): Promise<unknown> => {
    const bytes = toBinary(ActiveResponseSchema, create(ActiveResponseSchema, { gap }));
    const stub = { active: async () => bytes } as Partial<PatternStub> as PatternStub;
    return (await activeOf(stub, "*", 0, 1)).gap;
  };
  for (const ask of [history, active]) {
    expect(await ask("")).toBeUndefined();
    expect(await ask("expired")).toBe("expired");
    expect(await ask("moved_elsewhere")).toBe("unavailable");
    expect(await ask("toString")).toBe("unavailable");
  }
});

test("an answer that cannot be read is an error, and is not asked for again", async () => {
  const { trouble } = recorded();
  let calls = 0;
  const stub = {
    history: async () => {
      calls += 1;
      // A field with the wire type 7, which there is not.
      return new Uint8Array([0x0f]);
    },
  } as Partial<ChannelStub> as ChannelStub;
  const asked = retrying(() => historyOf(stub, { limit: 1 }), toChannel(platform, trouble));
  await expect(asked).rejects.toMatchObject({ code: "INTERNAL_ERROR" });
  expect(calls).toBe(1);
});

test("a queue that is full refuses by a rejection", async () => {
  const { logging, trouble } = recorded();
  const turn = new Turn(platform.timers);
  const host = { platform: logging, channelTrouble: trouble, turn, region: "here" };
  const target = {
    publish: () => new Promise<never>(() => {}),
    registration: "",
    unanswered: () => {},
  };
  const queue = publishQueue(target, host);
  const body = new Uint8Array(4 * 1024 * 1024);
  const pushed = queue.push(create(PublishItemSchema, { key: "k", body }));
  await expect(pushed).rejects.toMatchObject({ code: "RATE_LIMITED" });
  expect(queue.idle).toBe(true);
});
