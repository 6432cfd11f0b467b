/** What a client says of surveys: its answer to one, and one of its own, which comes back as in v0.1.1. */
import { create } from "@bufbuild/protobuf";
import { dataBytes } from "../../../protocol/cloudevents.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type {
  InboundMessage,
  SurveyRequest,
  SurveyResponse,
} from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { checkStruct } from "../application-values.ts";
import type { RequestContext } from "./context.ts";

export function surveyRequest(
  context: RequestContext,
  message: InboundMessage,
  { requestId, payload }: SurveyRequest,
): void {
  context.lastSurvey = requestId;
  const id = context.node.random.uuid();
  context.replies.reply(message, {
    case: "surveyResponse",
    value: { requestId, payload: echo(id, message.channel, payload) },
  });
}

export function surveyResponse(
  { node, client, lastSurvey }: RequestContext,
  _message: InboundMessage,
  answer: SurveyResponse,
): void {
  // An answer that names no survey is for the last one this client asked, as in v0.1.1.
  const requestId = answer.requestId || lastSurvey;
  checkStruct(answer.error?.metadata);
  node.surveys.answer(client.sessionId, requestId, answer);
}

function echo(id: string, channel: string, payload: CloudEvent | undefined): CloudEvent {
  return create(CloudEventSchema, {
    id,
    source: channel,
    specVersion: "1.0",
    type: "com.messageloop.survey.response",
    attributes: {
      datacontenttype: { attr: { case: "ceString", value: "application/octet-stream" } },
    },
    data: {
      case: "binaryData",
      value: payload === undefined ? new Uint8Array() : dataBytes(payload),
    },
  });
}
