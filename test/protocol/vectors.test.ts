/** What v0.1.1's server sends decodes here and encodes again to the same message. */
import type { JsonValue } from "@bufbuild/protobuf";
import { fromJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { codecFor, encodeJson } from "../../src/protocol/codec.ts";
import { OutboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { directions, frameOf, unknownGaps, vectors } from "../support/vectors.ts";

/** What no server ever sent is the strict decoder's to refuse: see strict-v1.test.ts. */
const sent = vectors("server_to_client").filter(({ name }) => !name.startsWith("ts.internal_"));

test.each(sent)("$name", (vector) => {
  const codec = codecFor(vector.encoding === "json" ? "json" : "proto");
  const message = codec.decodeOutbound(frameOf(vector));
  const decoded = vector.decoded as JsonValue;
  expect(message).toEqual(fromJson(OutboundMessageSchema, decoded));
  expect(codec.decodeOutbound(codec.encodeOutbound(message))).toEqual(message);
  expect(JSON.parse(encodeJson(OutboundMessageSchema, message))).toEqual(
    JSON.parse(encodeJson(OutboundMessageSchema, fromJson(OutboundMessageSchema, decoded))),
  );
});

test("JSON leaves with snake_case names, as v0.1.1 sends them", () => {
  const exact = sent.filter(
    ({ encoding, name }) => encoding === "json" && !name.includes("lowerCamel"),
  );
  for (const vector of exact) {
    const frame = frameOf(vector);
    expect(
      JSON.parse(`${codecFor("json").encodeOutbound(codecFor("json").decodeOutbound(frame))}`),
    ).toEqual(JSON.parse(`${frame}`));
  }
  expect(exact.length).toBeGreaterThan(20);
});

test("every vector runs here, in the worker's or the backends' tests, or stands among the known gaps", () => {
  expect(unknownGaps()).toEqual([]);
  expect(directions()).toEqual([
    "client_to_server",
    "handshake",
    "http_backend_to_server",
    "server_to_client",
    "server_to_http_backend",
  ]);
});
