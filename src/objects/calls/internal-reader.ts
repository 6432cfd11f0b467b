/**
 * What channels and gateways send each other most, read without the runtime, which walks over a schema for each of the
 * entries. What is seldom is left to it, so that both say the same of every message.
 */
import { fromBinary } from "@bufbuild/protobuf";
import {
  type DeliverRequest,
  DeliverRequestSchema,
  type PublishRequest,
  PublishRequestSchema,
  type PublishResponse,
  PublishResponseSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  readDeliverRequest,
  readPublishRequest,
  readPublishResponse,
} from "../../protocol/plain-protobuf/gen/read.ts";
import { whole } from "../../protocol/plain-protobuf/reader.ts";
import { readAnswer } from "./answers.ts";

/**
 * Reads a DeliverRequest.
 *
 * @throws Error for what is none
 */
export function readDelivery(bytes: Uint8Array): DeliverRequest {
  return whole(bytes, readDeliverRequest) ?? fromBinary(DeliverRequestSchema, bytes);
}

/**
 * Reads a PublishRequest.
 *
 * @throws Error for what is none
 */
export function readPublishes(bytes: Uint8Array): PublishRequest {
  return whole(bytes, readPublishRequest) ?? fromBinary(PublishRequestSchema, bytes);
}

/**
 * Reads a PublishResponse.
 *
 * @throws MessagingError INTERNAL_ERROR where it cannot be read
 */
export function readPublished(bytes: Uint8Array): PublishResponse {
  return whole(bytes, readPublishResponse) ?? readAnswer(PublishResponseSchema, bytes);
}
