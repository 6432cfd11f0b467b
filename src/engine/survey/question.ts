/** A survey's question, encoded once for each kind of client, for any number of subscribers. */
import { create } from "@bufbuild/protobuf";
import { attribute, eventForJson, eventForV1 } from "../../protocol/cloudevents.ts";
import { codecFor } from "../../protocol/codec.ts";
import { unsolicited } from "../../protocol/envelopes.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  encodingOf,
  isJson,
  isV1,
  type SizedFrame,
  sized,
  type Variant,
} from "../../protocol/publication-frames.ts";

/** The event type of a question that names none, and its content type, as in v0.1.1. */
const QUESTION_TYPE = "com.messageloop.survey";
const QUESTION_CONTENT_TYPE = "application/octet-stream";

export class Question {
  readonly #id: string;
  readonly #event: CloudEvent;
  readonly #time: number;
  /** By variant. */
  readonly #frames: (SizedFrame | undefined)[] = [];

  /**
   * @param id names the survey: the request, the event and the message have it
   * @param channel becomes the event's source, so that v1 clients know where the question comes from
   * @param event canonical
   * @param time of the message, Unix milliseconds
   */
  constructor(id: string, channel: string, event: CloudEvent, time: number) {
    this.#id = id;
    this.#time = time;
    this.#event = create(CloudEventSchema, {
      ...event,
      id,
      source: channel,
      type: event.type || QUESTION_TYPE,
      attributes: {
        datacontenttype: attribute({ case: "ceString", value: QUESTION_CONTENT_TYPE }),
        ...event.attributes,
      },
    });
  }

  frame(variant: Variant): SizedFrame {
    const known = this.#frames[variant];
    if (known !== undefined) return known;
    const value = { requestId: this.#id, payload: this.#payload(variant) };
    const message = unsolicited(this.#id, this.#time, { case: "surveyRequest", value });
    const frame = sized(codecFor(encodingOf(variant)).encodeOutbound(message), true);
    this.#frames[variant] = frame;
    return frame;
  }

  /** The event in the form that clients of a variant take. */
  #payload(variant: Variant): CloudEvent {
    if (isV1(variant)) return eventForV1(this.#event, this.#event.source);
    return isJson(variant) ? eventForJson(this.#event) : this.#event;
  }
}
