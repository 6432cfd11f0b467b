/**
 * Requests as CloudEvents in the structured mode, which the SDKs of CloudEvents and frameworks that build on them
 * take. An RPC is the client's own event; all else about it stands in extension attributes, so
 * that it is in the body and signed with it. Any other request is an event of ours around its message.
 */
import { create, type DescMessage, isMessage, type MessageShape } from "@bufbuild/protobuf";
import { BackendFailure } from "../../engine/ports/backends.ts";
import type { Random } from "../../engine/ports/platform.ts";
import { binaryEvent } from "../../protocol/binary/read.ts";
import { attribute } from "../../protocol/cloudevents.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type RPCRequest,
  RPCRequestSchema,
  RPCResponseSchema,
} from "../../protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { mediaTypeOf } from "../../protocol/media-type.ts";
import { structuredEvent } from "../../protocol/structured/read.ts";
import { structuredText } from "../../protocol/structured/write.ts";
import { utf8Encode } from "../../protocol/utf8.ts";
import type { Hook } from "../service.ts";
import type { BackendResponse } from "./call.ts";
import { checkStatus, checkType, type Form, messageOf, objectIn, wrongType } from "./form.ts";
import { JSON_TYPE, jsonOf } from "./json.ts";

export const STRUCTURED_TYPE = "application/cloudevents+json";
const EVENT_TYPES = "application/cloudevents";
/** Begins the type of an event of ours. */
export const TYPES = "com.messageloop.";
/** Is its source. */
export const SOURCE = "/messageloop";

/** @param random for the ids of our own events */
export function cloudEventsForm(random: Random): Form {
  return {
    write(hook, message) {
      const text = isMessage(message, RPCRequestSchema)
        ? rpcText(message)
        : structuredText(
            create(CloudEventSchema, {
              id: random.uuid(),
              source: SOURCE,
              type: `${TYPES}${hook.name}`,
              attributes: { datacontenttype: attribute({ case: "ceString", value: JSON_TYPE }) },
              data: { case: "textData", value: JSON.stringify(jsonOf(hook.input, message)) },
            }),
          );
      return { contentType: STRUCTURED_TYPE, body: utf8Encode(text) };
    },
    read<O extends DescMessage>(hook: Hook<DescMessage, O>, response: BackendResponse) {
      const { status, body, attributes } = response;
      if (hook.output.typeName === RPCResponseSchema.typeName) {
        // What handles events and has none to answer with says so by an empty answer.
        const none = status === 202 || status === 204 || (status === 200 && !attributes);
        if (none && body.length === 0) return create(hook.output);
        const payload = status === 200 ? eventOf(response) : undefined;
        if (payload !== undefined) {
          const answer: MessageShape<DescMessage> = create(RPCResponseSchema, { payload });
          return answer as MessageShape<O>;
        }
      }
      checkStatus(hook, response);
      checkType(response, JSON_TYPE);
      return messageOf(hook.output, objectIn(response.body).value);
    },
  };
}

/**
 * The client's event. What CloudEvents wants of every event and this one does not have is taken from the request.
 * No attribute of the client's own can stand in the place of one that names its user.
 */
function rpcText({ id, channel, method, payload, caller, metadata }: RPCRequest): string {
  const event = payload ?? create(CloudEventSchema);
  return structuredText(
    create(CloudEventSchema, {
      ...event,
      id: event.id || id || (caller?.sessionId ?? ""),
      source: event.source || encodeURIComponent(channel) || SOURCE,
      type: event.type || method || `${TYPES}rpc`,
    }),
    {
      mlchannel: channel,
      mlmethod: method,
      mlrequest: id,
      mlsession: caller?.sessionId ?? "",
      mluser: caller?.userId ?? "",
      mlclient: caller?.clientId ?? "",
      mlclienttype: caller?.clientType ?? "",
      mlmetadata: Object.keys(metadata).length === 0 ? "" : JSON.stringify(metadata),
    },
  );
}

function isStructured({ contentType }: BackendResponse): boolean {
  const { name, text } = mediaTypeOf(contentType);
  if (name !== STRUCTURED_TYPE) return false;
  if (!text) throw wrongType(contentType, STRUCTURED_TYPE);
  return true;
}

/** The event that an answer is, in either mode; undefined where it is something else. */
function eventOf(response: BackendResponse): CloudEvent | undefined {
  const { attributes, body, contentType } = response;
  if (isStructured(response)) {
    const { value, text } = objectIn(body);
    return checked(() => structuredEvent(value, text));
  }
  // Batches, and forms of an event that are not read.
  if (attributes === undefined || mediaTypeOf(contentType).name.startsWith(EVENT_TYPES)) {
    return undefined;
  }
  if (/[^\t\x20-\x7e]/.test(contentType)) {
    throw new BackendFailure("answer", "the content type is not ASCII");
  }
  const type = contentType === "" ? undefined : contentType;
  return checked(() => binaryEvent(attributes.values, type, body, attributes.areText));
}

function checked(read: () => CloudEvent): CloudEvent {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MessagingError)) throw error;
    // The rest of its words quotes values.
    const [, name = "a member"] =
      /^(?:the attribute |the header ce-)?([a-z0-9_]+) (?:is|holds|stands) /.exec(error.message) ??
      [];
    throw new BackendFailure("field", `${name} of the event is not what it has to be`);
  }
}
