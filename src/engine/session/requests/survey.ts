/**
 * What a client says of surveys: its answer to one, and one of its own. That goes to the subscribers of a channel where
 * the client has the capability for it; else it comes back as in v0.1.1.
 */
import { create } from "@bufbuild/protobuf";
import { checkChannel } from "../../../channels/names.ts";
import { canonicalEvent, dataBytes } from "../../../protocol/cloudevents.ts";
import { MessagingError } from "../../../protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type InboundMessage,
  InboundMessageSchema,
  type SurveyRequest,
  type SurveyResponse,
} from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_JOINED_BYTES, SURVEY_TIMEOUT_MS } from "../../../protocol/limits.ts";
import { checkStruct } from "../application-values.ts";
import { mustBeAllowed } from "./access.ts";
import type { RequestContext } from "./context.ts";
import { mustHave } from "./reads.ts";
import { resultParts } from "./survey-result.ts";

export async function surveyRequest(
  context: RequestContext,
  message: InboundMessage,
  request: SurveyRequest,
): Promise<void> {
  const { channel } = message;
  const asks = context.client.can("survey");
  // What is no channel is none whatever the rules say of it. An echo may name anything, as in v0.1.1.
  if (asks) checkChannel(channel);
  mustBeAllowed(context, "survey", channel);
  if (asks) await survey(context, message, request);
  else echo(context, message, request);
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

async function survey(
  context: RequestContext,
  message: InboundMessage,
  { requestId, payload, timeoutMs, othersOnly }: SurveyRequest,
): Promise<void> {
  const { node, session, client, replies, surveys } = context;
  const { channel } = message;
  const question = canonicalEvent(payload ?? create(CloudEventSchema));
  mayAsk(context, channel);
  surveys.begin(node.steadyNow());
  try {
    const outcome = await node.surveyRuns.run({
      id: node.random.uuid(),
      channel,
      question,
      timeoutMs: timeoutMs || SURVEY_TIMEOUT_MS,
      maxAudience: node.settings.surveyAudience,
      except: othersOnly ? client.sessionId : undefined,
      cancellation: surveys,
    });
    if (session.ended) return;
    // What stands around the list is the same in every part, but for the metadata, which is sent once.
    const later = create(InboundMessageSchema, { id: message.id });
    const around = replies.answer(later, {
      case: "surveyResult",
      value: { requestId, more: true },
    });
    const room = (session.maxFrameBytes || MAX_JOINED_BYTES) - around.bytes;
    let head = message;
    for (const value of resultParts(requestId, outcome, client, room)) {
      replies.reply(head, { case: "surveyResult", value });
      head = later;
    }
  } finally {
    surveys.end();
  }
}

/**
 * Whether the client may put a question to a channel.
 *
 * @throws MessagingError BAD_REQUEST for a channel without surveys, ACL_ERROR for one that the client does not have
 */
function mayAsk(context: RequestContext, channel: string): void {
  if (!context.node.rules.of(channel).survey) {
    throw new MessagingError("BAD_REQUEST", "surveys are switched off for this channel");
  }
  mustHave(context, channel);
}

function echo(
  context: RequestContext,
  message: InboundMessage,
  { requestId, payload }: SurveyRequest,
): void {
  context.lastSurvey = requestId;
  const id = context.node.random.uuid();
  context.replies.reply(message, {
    case: "surveyResponse",
    value: { requestId, payload: echoed(id, message.channel, payload) },
  });
}

function echoed(id: string, channel: string, payload: CloudEvent | undefined): CloudEvent {
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
