/** The strict decoder takes what v0.1.1's server sends and nothing that its clients cannot read. */
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { OutboundMessageSchema } from "../fixtures/wire-v1/gen/wire_v1_pb.js";
import { decodeStrictV1 } from "../support/strict-v1.ts";
import { frameOf, vectors } from "../support/vectors.ts";

const fromServer = vectors("server_to_client");
const misshapen = fromServer.filter(({ name }) => name.startsWith("ts.internal_shape."));
/** The reference breaks the rule it imposes: its Go SDK cannot read a message without payload. */
const payloadless = fromServer.filter(({ name }) => name.includes(".without_payload."));
const readable = fromServer.filter(
  (vector) => !misshapen.includes(vector) && !payloadless.includes(vector),
);

test("every vector from the server is in one of three groups", () => {
  expect([readable.length, misshapen.length, payloadless.length]).toEqual([59, 3, 2]);
});

test.each(readable)("accepts $name", (vector) => {
  const message = decodeStrictV1(frameOf(vector));
  expect(message.id).toBe((vector.decoded as { id: string }).id);
  expect(message.envelope.case).toBeDefined();
});

test.each(misshapen)("refuses $name", (vector) => {
  expect(() => decodeStrictV1(frameOf(vector))).toThrow(/"envelope" is unknown/);
});

test.each(payloadless)("refuses $name", (vector) => {
  expect(() => decodeStrictV1(frameOf(vector))).toThrow("A message has no payload.");
});

const base = {
  id: "i",
  metadata: { k: "v" },
  time: "1700000000456",
  publication: {
    messages: [
      {
        id: "m",
        channel: "c",
        offset: "1",
        payload: {
          id: "e",
          source: "c",
          spec_version: "1.0",
          type: "t",
          attributes: { datacontenttype: { ce_string: "text/plain; charset=utf-8" } },
          text_data: "hi",
        },
      },
    ],
  },
};

/** The frame with one place changed; undefined takes the key away. */
function planted(path: string, value: unknown): string {
  const frame = structuredClone(base) as Record<string, unknown>;
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  let place = frame;
  for (const key of keys) place = place[key] as Record<string, unknown>;
  place[last] = value;
  return JSON.stringify(frame);
}

test("the frame that violations are planted in is accepted", () => {
  expect(decodeStrictV1(JSON.stringify(base)).envelope.case).toBe("publication");
});

const payload = "publication.messages.0.payload";
const type = `${payload}.attributes.datacontenttype`;
test.each<[string, string, unknown]>([
  ["an extra key at the top", "epoch", "e"],
  ["an extra key in a publication", "publication.gap", true],
  ["an extra key in a message", "publication.messages.0.epoch", "e"],
  ["an extra key in an event", `${payload}.extra`, 1],
  ["an extra key in an attribute", `${type}.extra`, 1],
  ["a wrong type", "publication.messages.0.channel", 1],
  ["a number out of range", "publication.messages.0.offset", "18446744073709551616"],
  ["a nested metadata value", "metadata.k", { deep: "v" }],
  ["a second member of the envelope", "pong", {}],
  ["a second member of the data", `${payload}.binary_data`, "aGk="],
  ["no payload", payload, undefined],
  ["no data", `${payload}.text_data`, undefined],
  ["text_data with application/json", `${type}.ce_string`, "application/json"],
  ["text_data with text/plainer", `${type}.ce_string`, "text/plainer"],
  ["text_data without a content type", type, undefined],
  ["an attribute without value", type, {}],
  ["an attribute name with an underscore", `${payload}.attributes.a_b`, { ce_string: "x" }],
  ["an attribute name that is not ASCII", `${payload}.attributes.\u00e4`, { ce_string: "x" }],
  ["another source than the channel", `${payload}.source`, "elsewhere"],
  ["a lone surrogate", `${payload}.id`, "\ud800"],
])("JSON: refuses %s", (_, path, value) => {
  expect(() => decodeStrictV1(planted(path, value))).toThrow();
});

test.each([
  ["proto_data in a publication", { publication: { messages: [{ payload: { proto_data: {} } }] } }],
  ["proto_data in a reply", { rpc_reply: { proto_data: {} } }],
  ["proto_data in a survey", { survey_request: { payload: { proto_data: {} } } }],
  [
    "an extra key in a subscription",
    { connected: { subscriptions: [{ channel: "c", position: {} }] } },
  ],
  ["an extra key in an error", { error: { code: "X", retry: true } }],
  ["no payload in connected", { connected: { publications: [{ messages: [{ id: "m" }] }] } }],
])("JSON: refuses %s", (_, frame) => {
  expect(() => decodeStrictV1(JSON.stringify(frame))).toThrow();
});

test.each([
  ["an array", "[]"],
  ["a truncated frame", '{"id":"1"'],
  ["a repeated key", '{"id":"1","pong":{},"id":"1"}'],
  ["a repeated key in another spelling", '{"id":"1","\\u0069d":"1","pong":{}}'],
  ["a repeated member of the envelope", '{"pong":{},"pong":{}}'],
])("JSON: refuses %s", (_, frame) => {
  expect(() => decodeStrictV1(frame)).toThrow(/^The frame is not one of v0\.1\.1: /);
});

test("error.metadata is free", () => {
  const error = { code: "X", metadata: { retry_after_ms: 5, deep: [{ any: null }] } };
  expect(decodeStrictV1(JSON.stringify({ error })).envelope.case).toBe("error");
});

const LENGTH = WireType.LengthDelimited;

/** A message inside fields, outermost first; `fill` writes the innermost. */
function nested(path: readonly number[], fill: (writer: BinaryWriter) => void): Uint8Array {
  const writer = new BinaryWriter();
  for (const number of path) writer.tag(number, LENGTH).fork();
  fill(writer);
  for (const _ of path) writer.join();
  return writer.finish();
}

test.each<[string, number[]]>([
  ["the frame", []],
  ["a metadata entry", [2]],
  ["a pong", [16]],
  ["a message", [18, 3]],
  ["a payload", [18, 3, 4]],
  ["an attribute's entry", [18, 3, 4, 5]],
  ["an attribute", [18, 3, 4, 5, 2]],
  ["a timestamp", [18, 3, 4, 5, 2, 7]],
  ["an Any", [15, 8]],
  ["a subscription", [12, 2]],
  ["a Struct", [11, 4]],
  ["a Struct's entry", [11, 4, 1]],
  ["a Struct's value", [11, 4, 1, 2]],
  ["a list's value inside a Struct", [11, 4, 1, 2, 6, 1]],
])("protobuf: refuses an unknown field in %s", (_, path) => {
  const frame = nested(path, (writer) => writer.tag(30, WireType.Varint).uint32(1));
  expect(() => decodeStrictV1(frame)).toThrow(/field number 30 is unknown/);
});

test("protobuf: refuses a known field of another wire type", () => {
  const frame = nested([18, 3], (writer) => writer.tag(3, LENGTH).string("7"));
  expect(() => decodeStrictV1(frame)).toThrow(/another wire type/);
});

test("protobuf: refuses a field that leaves its message", () => {
  const frame = new Uint8Array([0x92, 1, 2, 0x1a, 3, 0x0a, 1, 0x61]);
  expect(() => decodeStrictV1(frame)).toThrow(/longer than the message around it/);
});

test("protobuf: refuses text that is not UTF-8", () => {
  const frame = nested([18, 3], (writer) => writer.tag(1, LENGTH).bytes(new Uint8Array([0xff])));
  expect(() => decodeStrictV1(frame)).toThrow(/^The frame is not one of v0\.1\.1: /);
});

type Message = Parameters<typeof messages>[0];

function messages(message: {
  channel?: string;
  payload?: {
    source?: string;
    attributes?: Record<string, { attr: { case: "ceString"; value: string } }>;
    data?:
      | { case: "textData"; value: string }
      | { case: "binaryData"; value: Uint8Array }
      | { case: "protoData"; value: { typeUrl: string } };
  };
}): Uint8Array {
  const publication = { messages: [message] };
  return toBinary(
    OutboundMessageSchema,
    create(OutboundMessageSchema, { envelope: { case: "publication", value: publication } }),
  );
}

test.each<[string, Message]>([
  ["no payload", { channel: "c" }],
  ["no data", { payload: {} }],
  ["text_data without a content type", { payload: { data: { case: "textData", value: "x" } } }],
  ["proto_data", { payload: { data: { case: "protoData", value: { typeUrl: "t" } } } }],
  [
    "an attribute name with a dash",
    {
      payload: {
        attributes: { "a-b": { attr: { case: "ceString", value: "x" } } },
        data: { case: "binaryData", value: new Uint8Array() },
      },
    },
  ],
])("protobuf: refuses %s", (_, message) => {
  expect(() => decodeStrictV1(messages(message))).toThrow(/\.$/);
});

test("protobuf: empty binary_data is data", () => {
  const data = { case: "binaryData", value: new Uint8Array() } as const;
  const frame = messages({ channel: "c", payload: { source: "c", data } });
  expect(decodeStrictV1(frame).envelope.case).toBe("publication");
});
