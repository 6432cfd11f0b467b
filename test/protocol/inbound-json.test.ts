/** Frames of clients that are read without the runtime: whatever one holds, it is read as the runtime reads it. */
import { fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { codecFor } from "../../src/protocol/codec.ts";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { checkJson } from "../../src/protocol/json-strict.ts";
import { readInboundMessage } from "../../src/protocol/plain-json/gen/read.ts";
import { expectEqual } from "../support/expect-equal.ts";
import { eachStep, type SeededRandom } from "../support/random.ts";

const EVENT = { id: "1", source: "/s", specVersion: "1.0", type: "t", text_data: "hi" };
const VALUES: Readonly<Record<string, readonly JsonValue[]>> = {
  id: ["a", "", "ä", 1, null, "\ud800"],
  channel: ["chat.lobby", "", []],
  method: ["get", false],
  metadata: [{}, { trace: "1", "": "" }, { trace: 1 }, { "\ud800": "" }, null, [], "a"],
  time: ["0", "1800000000000", "18446744073709551615", "-1", "01", "x", 5, 1.5, null],
  again: [true, false, "true", null],
  publish: [EVENT, {}, null, { ...EVENT, more: 1 }, { id: 1 }],
  rpc_request: [EVENT, {}, { ...EVENT, attributes: { a: { ceString: "b" } } }],
  rpcRequest: [EVENT],
  ping: [{}],
  more: [1],
};
const POSITION = { epoch: "e", offset: "7" };
const ENTRIES: Readonly<Record<string, readonly JsonValue[]>> = {
  channel: ["chat.lobby", "", "ä", "\ud800", 1, null],
  token: ["t", 1],
  ephemeral: [true, false, "true", null],
  recover: [true, 1],
  rewind: [5, 0, 4_294_967_295, 4_294_967_296, -1, 1.5, "5", null],
  since: [
    POSITION,
    {},
    { ...POSITION, more: 1 },
    { epoch: 1 },
    { offset: 7 },
    { offset: "07" },
    null,
  ],
  positions: [{}, { "a.b": POSITION }],
  error: [{}, { code: "X" }],
};
const CONNECTS: Readonly<Record<string, readonly JsonValue[]>> = {
  client_id: ["c", "", "\ud800", 1, null],
  clientId: ["c"],
  client_type: ["web", 1],
  token: ["t", null],
  version: ["1", 1],
  capabilities: [["recovery"], [], [1], [null], null, "recovery"],
  max_frame_bytes: [1_024, 0, -1, 1.5, 4_294_967_296, "1024", null],
  maxFrameBytes: [1_024],
  auto: [true],
};

/** Nearly always as it should be, or nothing of it would be read here. */
function anyOf(
  random: SeededRandom,
  values: Readonly<Record<string, readonly JsonValue[]>>,
): JsonObject {
  const found: JsonObject = {};
  for (const [name, [usual, ...others]] of Object.entries(values)) {
    const chance = random.next();
    if (chance < 0.03) found[name] = random.pick(others.length === 0 ? [usual ?? null] : others);
    else if (chance < 0.5 && others.length > 1) found[name] = usual ?? null;
  }
  return found;
}

function anySubscriptions(random: SeededRandom): JsonValue {
  if (random.next() < 0.05) return random.pick([null, {}, [null], ["a"]]);
  const count = Math.floor(random.next() * 3);
  return Array.from({ length: count }, () => anyOf(random, ENTRIES));
}

/** A frame that begins a session. */
function anyBeginning(random: SeededRandom): JsonObject {
  const frame: JsonObject = { id: "1" };
  if (random.next() < 0.6) {
    frame["connect"] = {
      ...anyOf(random, CONNECTS),
      ...(random.next() < 0.5 ? { subscriptions: anySubscriptions(random) } : {}),
    };
  }
  if (random.next() < 0.45) frame["subscribe"] = { subscriptions: anySubscriptions(random) };
  if (random.next() < 0.03) frame["subscribe"] = random.pick<JsonValue>([{}, null, { more: 1 }]);
  return frame;
}

function anyFrame(random: SeededRandom): JsonObject {
  // Nearly all of a frame is as it should be, or none of it would be read here.
  const frame: JsonObject = {};
  for (const [name, [usual, ...others]] of Object.entries(VALUES)) {
    const envelope = name === "publish" || name === "rpc_request";
    const chance = random.next();
    if (chance < 0.05) frame[name] = random.pick(others.length === 0 ? [usual ?? null] : others);
    else if (chance < (envelope ? 0.4 : 0.6) && !["rpcRequest", "ping", "more"].includes(name)) {
      frame[name] = usual ?? null;
    }
  }
  return frame;
}

/** What the runtime makes of a frame; undefined for one that it refuses. */
function byRuntime(frame: JsonObject): unknown {
  try {
    checkJson(InboundMessageSchema, frame);
    return fromJson(InboundMessageSchema, frame, { ignoreUnknownFields: true });
  } catch {
    return undefined;
  }
}

test("what is read is what the runtime reads, and what it refuses is refused", () => {
  const { decodeInbound } = codecFor("json");
  let plain = 0;
  let refused = 0;
  eachStep(6_000, (random) => {
    const frame = random.next() < 0.5 ? anyFrame(random) : anyBeginning(random);
    const text = JSON.stringify(frame);
    if (readInboundMessage(frame) !== undefined) plain += 1;
    const expected = byRuntime(frame);
    if (expected === undefined) {
      refused += 1;
      expect(() => decodeInbound(text), text).toThrow("Failed to decode message");
    } else expectEqual(decodeInbound(text), expected, () => text);
  });
  expect(plain).toBeGreaterThan(300);
  expect(refused).toBeGreaterThan(100);
});

test("metadata under a name that would set a prototype is kept as the runtime keeps it", () => {
  const text = '{"metadata":{"__proto__":"a"},"publish":{"id":"1"}}';
  const { metadata } = codecFor("json").decodeInbound(text);
  expect(Object.entries(metadata)).toEqual([["__proto__", "a"]]);
});

test.each<[what: string, json: JsonValue]>([
  ["a text", "publish"],
  ["a list", []],
  ["a frame without a request", { id: "1" }],
  ["another request", { ping: {} }],
  ["two requests", { publish: {}, rpc_request: {} }],
  ["what no frame has", { publish: {}, more: 1 }],
])("%s is left to the runtime", (_, json) => {
  expect(readInboundMessage(json)).toBeUndefined();
});
