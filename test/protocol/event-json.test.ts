/** Events in protobuf JSON that are written and read without the runtime: whatever an event holds, both agree. */
import { create, fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { attribute } from "../../src/protocol/cloudevents.ts";
import { codecFor, encodeJson } from "../../src/protocol/codec.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { OutboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { checkJson } from "../../src/protocol/json-strict.ts";
import { eventJson } from "../../src/protocol/plain-json/event.ts";
import { readCloudEvent } from "../../src/protocol/plain-json/gen/read.ts";
import { anyEvent as anyEventOf } from "../support/any-events.ts";
import { eachStep, type SeededRandom } from "../support/random.ts";

const TEXTS = ["", "a", "ä\u0000\u{1f600}", '"\\', "__proto__", "2026-01-01T00:00:00Z"];
const BYTES = [new Uint8Array(), Uint8Array.of(0, 255, 62, 63)];

function anyEvent(random: SeededRandom): CloudEvent {
  return anyEventOf(random, { texts: TEXTS, bytes: BYTES, oddAttribute: 0.6, protoData: 0 });
}

test("what is written is what the runtime writes, and what is read is what it reads", () => {
  let plain = 0;
  eachStep(500, (random) => {
    const event = anyEvent(random);
    const written = toJson(CloudEventSchema, event, { useProtoFieldName: true });
    expect(JSON.stringify(eventJson(event))).toBe(JSON.stringify(written));
    for (const json of [written, toJson(CloudEventSchema, event)]) {
      const read = readCloudEvent(json);
      if (read === undefined) continue;
      plain += 1;
      expect(read).toEqual(fromJson(CloudEventSchema, json));
    }
  });
  expect(plain).toBeGreaterThan(100);
});

test("an answer to an RPC is what the runtime makes of it", () => {
  const { encodeOutbound } = codecFor("json");
  eachStep(100, (random) => {
    const message = create(OutboundMessageSchema, {
      id: random.pick(TEXTS),
      metadata: random.pick<Record<string, string>>([{}, { trace: "1", "": "" }]),
      time: random.pick([0n, 1_800_000_000_000n, 2n ** 64n - 1n]),
      envelope: { case: "rpcReply", value: anyEvent(random) },
    });
    expect(encodeOutbound(message)).toBe(encodeJson(OutboundMessageSchema, message));
  });
});

test("an attribute that would set a prototype is written all the same", () => {
  const event = create(CloudEventSchema, { id: "1" });
  const value = attribute({ case: "ceString", value: "a" });
  Object.defineProperty(event.attributes, "__proto__", { value, enumerable: true });
  expect(JSON.stringify(eventJson(event))).toBe(
    '{"id":"1","attributes":{"__proto__":{"ce_string":"a"}}}',
  );
});

test("data that is a protobuf message has no form without a registry", () => {
  const value = create(AnySchema, { typeUrl: "example.com/app.Note", value: Uint8Array.of(1) });
  const event = create(CloudEventSchema, { data: { case: "protoData", value } });
  expect(() => eventJson(event)).toThrow();
});

test.each<[what: string, json: JsonValue]>([
  ["a text", "event"],
  ["a list", []],
  ["nothing", null],
  ["an id that is a number", { id: 1 }],
  ["an id that is null", { id: null }],
  ["an id that is no Unicode", { id: "\ud800" }],
  ["both spellings of a field", { spec_version: "1.0", specVersion: "" }],
  ["both spellings of its data", { text_data: "a", textData: "a" }],
  ["two kinds of data", { text_data: "a", binary_data: "" }],
  ["data that is null", { text_data: null }],
  ["bytes that are no base64", { binary_data: "a" }],
  ["a message as its data", { proto_data: { "@type": "example.com/app.Note" } }],
  ["what no event has", { id: "1", more: true }],
  ["attributes that are a list", { attributes: [] }],
  ["an attribute that is a text", { attributes: { a: "b" } }],
  ["an attribute without a value", { attributes: { a: {} } }],
  ["an attribute of two kinds", { attributes: { a: { ce_string: "", ce_uri: "" } } }],
  ["an attribute that is a number", { attributes: { a: { ce_string: 1 } } }],
  ["an attribute that is no text", { attributes: { a: { ce_integer: 1 } } }],
  ["an attribute of a kind that is none", { attributes: { a: { ce_text: "" } } }],
  ["an attribute whose name is no Unicode", { attributes: { "\ud800": { ce_string: "" } } }],
  [
    "an attribute that would set a prototype",
    JSON.parse('{"attributes":{"__proto__":{"ce_string":""}}}'),
  ],
])("%s is left to the runtime", (_, json) => {
  expect(readCloudEvent(json)).toBeUndefined();
});

test("bytes are read in each form that the runtime takes", () => {
  for (const binary_data of ["AP8+Pw==", "AP8-Pw", "AP8+Pw", ""]) {
    const json = { binary_data };
    checkJson(CloudEventSchema, json);
    expect(readCloudEvent(json)).toEqual(fromJson(CloudEventSchema, json));
  }
});
