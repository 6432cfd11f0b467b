/** What a subscriber receives of an event, by encoding and kind of client. */
import { create, createRegistry, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { anyPack, StringValueSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { Client, freshChannel } from "./socket.ts";

type EventInit = MessageInitShape<typeof CloudEventSchema>;

const bytes = new Uint8Array([0, 1, 2, 254, 255]);
const attributes = {
  datacontenttype: { attr: { case: "ceString", value: "application/x-test" } },
  dataschema: { attr: { case: "ceUri", value: "https://example.com/schema" } },
  subject: { attr: { case: "ceString", value: "s\u00fcbject \u{1f600}" } },
  time: { attr: { case: "ceTimestamp", value: { seconds: 1700000000n, nanos: 123000000 } } },
  flag: { attr: { case: "ceBoolean", value: true } },
  number: { attr: { case: "ceInteger", value: -7 } },
  raw: { attr: { case: "ceBytes", value: bytes } },
  ref: { attr: { case: "ceUriRef", value: "../a" } },
} as const satisfies EventInit["attributes"];

const any = anyPack(StringValueSchema, create(StringValueSchema, { value: "typed" }));
const cases: Record<string, EventInit["data"]> = {
  text: { case: "textData", value: "h\u00e9llo" },
  binary: { case: "binaryData", value: bytes },
  proto: { case: "protoData", value: any },
  nothing: { case: undefined },
};

function event(data: EventInit["data"]): CloudEvent {
  return create(CloudEventSchema, {
    id: "evt-1",
    source: "/the/source",
    specVersion: "1.0",
    type: "a.type",
    attributes,
    ...(data === undefined ? {} : { data }),
  });
}

async function exchange(
  from: "json" | "proto",
  to: "json" | "proto",
  extended: boolean,
  sent: CloudEvent,
) {
  const channel = freshChannel();
  const receiver = await Client.connect({ encoding: to, extended, subscribe: [channel] });
  const sender = await Client.connect({ encoding: from, clientId: "sender" });
  await sender.request({
    channel,
    metadata: { trace: "abc" },
    envelope: { case: "publish", value: sent },
  });
  const [message] = await receiver.received(1);
  if (message === undefined) throw new Error("no message");
  return { channel, message };
}

/** Events compare by what they say, not by how the object was made. */
function json(value: CloudEvent | undefined): unknown {
  return toJson(CloudEventSchema, value ?? create(CloudEventSchema), {
    registry: createRegistry(StringValueSchema),
  });
}

/** `proto_data` as a JSON connection carries it. */
function asPlain(sent: CloudEvent): CloudEvent {
  if (sent.data.case !== "protoData") return sent;
  return create(CloudEventSchema, {
    id: sent.id,
    source: sent.source,
    specVersion: sent.specVersion,
    type: sent.type,
    attributes: {
      ...attributes,
      datacontenttype: { attr: { case: "ceString", value: "application/protobuf" } },
      dataschema: { attr: { case: "ceUri", value: any.typeUrl } },
    },
    data: { case: "binaryData", value: any.value },
  });
}

for (const [kind, data] of Object.entries(cases)) {
  for (const from of ["json", "proto"] as const) {
    // A JSON client has no registry for an Any, so it cannot publish one.
    if (kind === "proto" && from === "json") continue;
    for (const to of ["json", "proto"] as const) {
      test(`${kind} data from ${from} reaches an extended ${to} client as published`, async () => {
        const sent = event(data);
        const { message } = await exchange(from, to, true, sent);
        expect(json(message.payload)).toEqual(json(to === "json" ? asPlain(sent) : sent));
        expect(message.id).toBe(`${message.epoch}-1`);
        expect(message.metadata).toEqual({ trace: "abc" });
        expect(message.publisher?.clientId).toBe("sender");
        expect(Number(message.time)).toBeGreaterThan(1_700_000_000_000);
      });

      test(`${kind} data from ${from} reaches a v1 ${to} client in v0.1.1's shape`, async () => {
        const sent = asPlain(event(data));
        const { channel, message } = await exchange(from, to, false, event(data));
        const value =
          sent.data.case === "textData"
            ? new TextEncoder().encode(sent.data.value)
            : (sent.data.value ?? new Uint8Array());
        const expected = {
          ...sent,
          source: channel,
          data: { case: "binaryData", value },
        } as CloudEvent;
        expect(json(message.payload)).toEqual(json(expected));
        expect(message.epoch).toBe("");
        expect(message.publisher).toBeUndefined();
        expect(message.metadata).toEqual({});
      });
    }
  }
}

test("attributes that repeat fields are stripped, and v1 clients get no name their SDK refuses", async () => {
  const sent = create(CloudEventSchema, {
    id: "evt-1",
    source: "/s",
    type: "t",
    attributes: {
      id: { attr: { case: "ceString", value: "evt-1" } },
      specversion: { attr: { case: "ceString", value: "1.0" } },
      with_underscore: { attr: { case: "ceString", value: "x" } },
      plain: { attr: { case: "ceString", value: "y" } },
    },
    data: { case: "textData", value: "" },
  });
  const extended = await exchange("json", "json", true, sent);
  expect(Object.keys(extended.message.payload?.attributes ?? {}).sort()).toEqual([
    "plain",
    "with_underscore",
  ]);
  expect(extended.message.payload?.specVersion).toBe("1.0");
  const v1 = await exchange("json", "json", false, sent);
  expect(Object.keys(v1.message.payload?.attributes ?? {})).toEqual(["plain"]);
});
