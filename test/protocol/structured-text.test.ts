/** Events as documents of the structured mode: what is written is read again as the same event. */
import { create } from "@bufbuild/protobuf";
import { AnySchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { attribute } from "../../src/protocol/cloudevents.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { structuredEvent } from "../../src/protocol/structured/read.ts";
import { structuredText } from "../../src/protocol/structured/write.ts";

const text = (value: string) => attribute({ case: "ceString", value });

type Fields = Partial<Pick<CloudEvent, "attributes" | "data">>;

function event(init: Fields = {}): CloudEvent {
  const fields = { id: "1", source: "/s", type: "t", specVersion: "1.0" };
  return create(CloudEventSchema, { ...fields, ...init });
}

test("attributes by their kinds, and names that CloudEvents does not allow", () => {
  const time = create(TimestampSchema, { seconds: 1_700_000_000n, nanos: 1 });
  const written = structuredText(
    event({
      attributes: {
        flag: attribute({ case: "ceBoolean", value: false }),
        count: attribute({ case: "ceInteger", value: 0 }),
        bytes: attribute({ case: "ceBytes", value: Buffer.from("b") }),
        dataschema: attribute({ case: "ceUri", value: "x:y" }),
        Ref: attribute({ case: "ceUriRef", value: "/r" }),
        time: attribute({ case: "ceTimestamp", value: time }),
        constructor: text("a name like another"),
        "no-name": text("dropped"),
        data: text("dropped"),
        source: text("dropped"),
        empty: attribute({ case: undefined }),
      },
    }),
  );
  expect(JSON.parse(written)).toEqual({
    specversion: "1.0",
    id: "1",
    source: "/s",
    type: "t",
    flag: false,
    count: 0,
    bytes: "Yg==",
    dataschema: "x:y",
    ref: "/r",
    time: "2023-11-14T22:13:20.000000001Z",
    constructor: "a name like another",
  });
});

test.each([
  ["text", { case: "textData", value: 'a"\n\u{1f600}' }, "text/plain", { data: 'a"\n\u{1f600}' }],
  ["empty text", { case: "textData", value: "" }, "text/plain", { data: "" }],
  ["JSON", { case: "textData", value: '{"a":1}' }, "application/json", { data: { a: 1 } }],
  ["bytes of JSON", { case: "binaryData", value: Buffer.from("[1]") }, "a/b+json", { data: [1] }],
  ["no JSON", { case: "textData", value: "{" }, "application/json", { data_base64: "ew==" }],
  ["bytes of text", { case: "binaryData", value: Buffer.from("a") }, "text/csv", { data: "a" }],
  [
    "no text",
    { case: "binaryData", value: Buffer.from([255]) },
    "text/csv",
    { data_base64: "/w==" },
  ],
  ["bytes", { case: "binaryData", value: Buffer.from("a") }, "a/b", { data_base64: "YQ==" }],
  ["no bytes", { case: "binaryData", value: Buffer.from("") }, "a/b", {}],
  ["nothing", { case: undefined }, "a/b", {}],
] as [string, CloudEvent["data"], string, object][])("data: %s", (_, data, type, expected) => {
  const document = JSON.parse(
    structuredText(event({ data, attributes: { datacontenttype: text(type) } })),
  );
  const { data: told, data_base64 } = document;
  expect({
    ...(told === undefined ? {} : { data: told }),
    ...(data_base64 === undefined ? {} : { data_base64 }),
  }).toEqual(expected);
  expect(document.datacontenttype).toBe(type);
});

test("JSON stands there as it was written, and text without a type says that it is text", () => {
  const data = { case: "textData", value: '{"n": 1.50, "n": 9007199254740993}' } as const;
  const attributes = { datacontenttype: text("application/json") };
  expect(structuredText(event({ data, attributes }))).toContain(
    '"data":{"n": 1.50, "n": 9007199254740993}',
  );
  expect(
    JSON.parse(structuredText(event({ data: { case: "textData", value: "{}" } }))),
  ).toMatchObject({
    datacontenttype: "text/plain",
    data: "{}",
  });
});

test("a protobuf message is its bytes, with its type as schema", () => {
  const value = create(AnySchema, { typeUrl: "x.y/Z", value: Buffer.from("p") });
  expect(JSON.parse(structuredText(event({ data: { case: "protoData", value } })))).toMatchObject({
    datacontenttype: "application/protobuf",
    dataschema: "x.y/Z",
    data_base64: "cA==",
  });
});

test("what is written is read as the same event", () => {
  const attributes = { datacontenttype: text("application/json"), tenant: text("a") };
  const written = event({ attributes, data: { case: "textData", value: '{"a":[1.0]}' } });
  const document = structuredText(written);
  expect(structuredEvent(JSON.parse(document), document)).toEqual(written);
});
