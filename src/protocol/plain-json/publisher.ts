/** A publisher in protobuf JSON, written without the runtime. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { Publisher } from "../gen/messageloop/v1/service_pb.js";

/** A publisher by the names of the proto file. */
export function publisherJson({ clientId, userId, sessionId }: Publisher): JsonObject {
  const json: JsonObject = {};
  if (clientId !== "") json["client_id"] = clientId;
  if (userId !== "") json["user_id"] = userId;
  if (sessionId !== "") json["session_id"] = sessionId;
  return json;
}
