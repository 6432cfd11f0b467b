/** Requests of the server API have the rules of frames by WebSocket, in JSON and in protobuf, and are refused in words of our own. */
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { decodeRequest } from "../../src/http/api/request.ts";
import {
  type PublishRequest,
  PublishRequestSchema,
} from "../../src/protocol/gen/messageloop/server/v1/api_pb.js";

/** What a call is given for a text; an error's text where it is refused. */
function taken(text: string | Uint8Array): PublishRequest | string {
  try {
    return decodeRequest(PublishRequestSchema, "json", text);
  } catch (error) {
    return (error as Error).message;
  }
}

const REFUSED = "the request is no PublishRequest in JSON";
const event = (attribute: string) =>
  `{"publications":[{"payload":{"id":"1","attributes":{"a":${attribute}}}}]}`;

test("[SPEC-F4] a repeated key takes its last value, at every depth and below unknown ones", () => {
  const seen = taken(
    '{"request_id":"1","request_id":"2","x":{"y":1,"y":2},"publications":[{"id":"a","\\u0069d":"b"}]}',
  );
  expect(seen).toMatchObject({ requestId: "2", publications: [{ id: "b" }] });
});

test.each([
  ["30 February", event('{"ce_timestamp":"2023-02-30T00:00:00Z"}')],
  ["hour 24", event('{"ce_timestamp":"2023-02-20T24:00:00Z"}')],
  ["a number in base 16", event('{"ce_integer":"0x10"}')],
  ["blanks around a number", event('{"ce_integer":" 1"}')],
  ["bytes that are not base64", event('{"ce_bytes":"QQ="}')],
  ["what is no JSON", "{'a':1}"],
  ["nothing", ""],
  ["a mark of byte order", '\ufeff{"request_id":"1"}'],
  ["bytes that are no UTF-8", Buffer.from('{"request_id":"\xff"}', "latin1")],
])("%s is refused", (_, text) => {
  expect(taken(text)).toBe(REFUSED);
});

test.each([
  ['{"publications":7}', "PublishRequest.publications"],
  [event('{"ce_integer":1e999}'), "CloudEventAttributeValue.ce_integer"],
  ['{"request_id":1e999}', "PublishRequest.request_id"],
  ['{"publications":1e999}', "PublishRequest.publications"],
])("the field is named that cannot be read: %s", (text, field) => {
  expect(taken(text)).toBe(`${REFUSED}: ${field} cannot be read`);
});

test("numbers beyond every number and deep nesting are nobody's business in unknown fields", () => {
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
  expect(taken(`{"request_id":"1","x":1e999,"y":${deep}}`)).toMatchObject({ requestId: "1" });
  expect(taken(`{"publications":${deep}}`)).toContain(REFUSED);
});

test("[SPEC-F3] a field of another wire type than its own counts as unknown", () => {
  const { number } = PublishRequestSchema.field.requestId;
  const bytes = new BinaryWriter().tag(number, WireType.Varint).uint32(5).finish();
  const other = toBinary(
    PublishRequestSchema,
    create(PublishRequestSchema, { metadata: { a: "b" } }),
  );
  const seen = decodeRequest(PublishRequestSchema, "proto", Buffer.concat([bytes, other]));
  expect(seen).toMatchObject({ requestId: "", metadata: { a: "b" } });
});

test.each([
  ["a tag that is none", [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ["a field that is longer than the request", [0x0a, 0x05, 0x01]],
  ["a publication that a field leaves", [0x12, 0x02, 0x0a, 0x05, 0x41, 0x41, 0x41, 0x41, 0x41]],
])("protobuf with %s is refused", (_, bytes) => {
  expect(() => decodeRequest(PublishRequestSchema, "proto", Uint8Array.from(bytes))).toThrow(
    /^the request is no PublishRequest in protobuf$/,
  );
});
