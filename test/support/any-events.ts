/** Random CloudEvents, for what reads and writes them in more than one way. */
import { create } from "@bufbuild/protobuf";
import { AnySchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { attribute } from "../../src/protocol/cloudevents.ts";
import {
  type CloudEvent,
  type CloudEventAttributeValue,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { SeededRandom } from "./random.ts";

/** What events are made of, and how likely they hold what is seldom; likelihoods are from 0 to 1. */
export interface EventStuff {
  readonly texts: readonly string[];
  readonly bytes: readonly Uint8Array[];
  /** How likely an attribute is no text. */
  readonly oddAttribute: number;
  /** How likely the data is a protobuf message. */
  readonly protoData: number;
}

/**
 * An event whose fields may all be empty.
 *
 * @example
 * anyEvent(random, { texts: ["", "a"], bytes: [Uint8Array.of(1)], oddAttribute: 0.1, protoData: 0 });
 */
export function anyEvent(random: SeededRandom, stuff: EventStuff): CloudEvent {
  const { texts, bytes, protoData } = stuff;
  const names = ["time", "subject", "Über", ""].filter(() => random.next() < 0.4);
  const any = create(AnySchema, { typeUrl: "example.com/app.Note", value: Uint8Array.of(1) });
  const data: CloudEvent["data"][] = [
    { case: undefined },
    { case: "textData", value: random.pick(texts) },
    { case: "binaryData", value: random.pick(bytes) },
  ];
  return create(CloudEventSchema, {
    id: random.pick(texts),
    source: random.pick(texts),
    specVersion: random.pick(["1.0", ...texts]),
    type: random.pick(texts),
    attributes: Object.fromEntries(names.map((name) => [name, anyAttribute(random, stuff)])),
    data: random.next() < protoData ? { case: "protoData", value: any } : random.pick(data),
  });
}

function anyAttribute(
  random: SeededRandom,
  { texts, bytes, oddAttribute }: EventStuff,
): CloudEventAttributeValue {
  const text = random.pick(["ceString", "ceUri", "ceUriRef"] as const);
  if (random.next() >= oddAttribute) return attribute({ case: text, value: random.pick(texts) });
  return attribute(
    random.pick<CloudEventAttributeValue["attr"]>([
      { case: "ceBoolean", value: random.pick([true, false]) },
      { case: "ceInteger", value: random.pick([0, -1, 2 ** 31 - 1]) },
      { case: "ceBytes", value: random.pick(bytes) },
      { case: "ceTimestamp", value: create(TimestampSchema, { seconds: 5n, nanos: 10 }) },
      { case: undefined },
    ]),
  );
}
