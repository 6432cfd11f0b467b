/** What the SDK hands out of compact frames, beside what it hands out of the frames of other clients. */
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { receivedMessage } from "../../../src/client/core/message.ts";
import { protobuf } from "../../../src/client/protobuf/codec.ts";
import type { Frame, WireMessage } from "../../../src/client/wire/frames.ts";
import { json } from "../../../src/client/wire/json.ts";
import { attribute } from "../../../src/protocol/cloudevents.ts";
import { CloudEventSchema } from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { EntrySchema } from "../../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  type ClientKind,
  PublicationBatch,
  variantOf,
} from "../../../src/protocol/publication-frames.ts";
import { anyEntries, CANONICAL_TEXTS, OTHER_TEXTS } from "../../support/any-entries.ts";
import { expectEqual } from "../../support/expect-equal.ts";
import { eachStep, steps } from "../../support/random.ts";

const STAMP = {
  id: () => "id",
  now: () => 7,
  counters: { encoded: [0, 0, 0, 0, 0, 0] as [number, number, number, number, number, number] },
  unencodable: () => {},
};

const CODECS = { json, proto: protobuf };

function read(
  batch: PublicationBatch,
  encoding: "json" | "proto",
  kind: ClientKind,
): WireMessage[] {
  const frames = batch.frames(variantOf(encoding, kind), 0) ?? [];
  return frames.flatMap(({ data }) => {
    const { publication } = CODECS[encoding].decode(data as Frame);
    return publication?.messages ?? [];
  });
}

test("applications get of a compact frame what they get of any other", () => {
  let messages = 0;
  eachStep(2_500, (random) => {
    const counters = { ...STAMP.counters, decoded: 0 };
    // Few of them, so that frames begin as those before.
    const epoch = random.pick(["e1", '"ä']);
    const channel = random.pick(["room", "ä"]);
    const batch = new PublicationBatch(channel, epoch, anyEntries(random), { ...STAMP, counters });
    for (const encoding of ["json", "proto"] as const) {
      const got = read(batch, encoding, "compact").map(receivedMessage);
      expectEqual(got, read(batch, encoding, "extended").map(receivedMessage));
      messages += got.length;
    }
  });
  expect(messages).toBeGreaterThan(steps(10_000));
});

test.each(["json", "proto"] as const)(
  "what an application does to a message is done to no other: %s",
  (encoding) => {
    const counters = { ...STAMP.counters, decoded: 0 };
    const entry = (offset: bigint) => {
      const event = toBinary(
        CloudEventSchema,
        create(CloudEventSchema, { id: `${offset}`, type: "t" }),
      );
      return create(EntrySchema, { offset, body: { event, metadata: { tag: "a" } } });
    };
    const taken = (offset: bigint): string[] => {
      const entries = [entry(offset), entry(offset + 1n)];
      const batch = new PublicationBatch("mine", "e", entries, { ...STAMP, counters });
      return read(batch, encoding, "compact").map((wire) => {
        const metadata = receivedMessage(wire).metadata as Record<string, string>;
        const before = JSON.stringify(metadata);
        metadata["tag"] = "changed";
        return before;
      });
    };
    const untouched = ['{"tag":"a"}', '{"tag":"a"}'];
    expect([taken(1n), taken(3n)]).toEqual([untouched, untouched]);
  },
);

test.each([...CANONICAL_TEXTS, ...OTHER_TEXTS])(
  "data that says to be JSON is what was published: %s",
  (text) => {
    const event = create(CloudEventSchema, {
      id: "1",
      attributes: {
        datacontenttype: attribute({ case: "ceString", value: "application/json" }),
      },
      data: { case: "textData", value: text },
    });
    const body = { event: toBinary(CloudEventSchema, event) };
    const entries = [1n, 2n].map((offset) => create(EntrySchema, { offset, body }));
    for (const some of [entries.slice(0, 1), entries]) {
      const counters = { ...STAMP.counters, decoded: 0 };
      const batch = new PublicationBatch("room", "e1", some, { ...STAMP, counters });
      const [frame] = batch.frames(variantOf("json", "compact"), 0) ?? [];
      const isPlain = CANONICAL_TEXTS.includes(text);
      expect(String(frame?.data).includes(`"json_data":${text}`)).toBe(isPlain);
      for (const { payload = {} } of read(batch, "json", "compact")) {
        const { json_data, text_data } = payload;
        expect(isPlain ? JSON.stringify(json_data) : text_data).toBe(text);
      }
      const wanted = read(batch, "json", "extended").map(receivedMessage);
      expect(read(batch, "json", "compact").map(receivedMessage)).toStrictEqual(wanted);
    }
  },
);
