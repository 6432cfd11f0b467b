/**
 * Events in protobuf JSON without the runtime, which walks over a schema for it. What is seldom in an event is left to
 * it, so that both say the same of every event.
 */
import { type JsonObject, toJson } from "@bufbuild/protobuf";
import { type CloudEvent, CloudEventSchema } from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import { cloudEventJson } from "./gen/write.ts";

/**
 * An event by the names of the proto file.
 *
 * @throws Error for data that is a protobuf message, which needs a registry: see `eventForJson`
 * @example
 * eventJson(create(CloudEventSchema, { id: "1", source: "/s", type: "t" })); // { id: "1", source: "/s", type: "t" }
 */
export function eventJson(event: CloudEvent): JsonObject {
  const json = cloudEventJson(event);
  return json ?? (toJson(CloudEventSchema, event, { useProtoFieldName: true }) as JsonObject);
}
