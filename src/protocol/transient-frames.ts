/** Encodes messages that are outside of every log, once for each kind of client that receives them. */
import { create, toBinary, toJson } from "@bufbuild/protobuf";
import { eventForJson, eventForV1, eventForV1Session } from "./cloudevents.ts";
import { CompactBatch } from "./compact/batch.ts";
import type { Transient } from "./gen/messageloop/internal/v1/internal_pb.js";
import { type Message, MessageSchema } from "./gen/messageloop/v1/service_pb.js";
import { eventOf } from "./plain-protobuf/event.ts";
import {
  encodingOf,
  type FrameStamp,
  isCompact,
  isJson,
  isV1,
  joined,
  type SizedFrame,
  sized,
  type Variant,
} from "./publication-frames.ts";

/** What a message takes beside its event, in bytes. */
const MESSAGE_BYTES = 256;

/** Messages of one channel, or of none, ready to be written to any number of sessions. */
export class TransientBatch {
  /** Empty for messages that are for the sessions themselves. */
  readonly channel: string;
  /** Never empty. */
  readonly messages: readonly Transient[];
  readonly #stamp: FrameStamp;
  /** By variant and what clients have asked for. */
  readonly #frames = new Map<string, readonly SizedFrame[] | undefined>();
  #compact: CompactBatch | undefined;

  constructor(channel: string, messages: readonly Transient[], stamp: FrameStamp) {
    this.channel = channel;
    this.messages = messages;
    this.#stamp = stamp;
  }

  /** What the batch takes in memory while it waits, about, in bytes. */
  get bytes(): number {
    let bytes = 0;
    for (const { body } of this.messages) bytes += MESSAGE_BYTES + (body?.event.length ?? 0);
    return bytes;
  }

  /**
   * The frames for one kind of session; undefined where its encoding cannot carry one of the messages.
   *
   * @param maxFrameBytes as `frameLimit` says; a frame with one message may be larger
   */
  frames(variant: Variant, maxFrameBytes = 0): readonly SizedFrame[] | undefined {
    const kind = `${variant} ${maxFrameBytes}`;
    if (!this.#frames.has(kind)) this.#frames.set(kind, this.#made(variant, maxFrameBytes));
    return this.#frames.get(kind);
  }

  #made(variant: Variant, maxFrameBytes: number): readonly SizedFrame[] | undefined {
    try {
      if (isCompact(variant)) return this.#compactFrames(variant, maxFrameBytes);
      const messages = this.messages.map((message) => {
        this.#stamp.counters.decoded += 1;
        this.#stamp.counters.encoded[variant] += 1;
        const told = messageOf(this.channel, message, variant);
        return isJson(variant)
          ? JSON.stringify(toJson(MessageSchema, told, { useProtoFieldName: true }))
          : toBinary(MessageSchema, told);
      });
      return joined(messages, variant, maxFrameBytes, this.#stamp);
    } catch (error) {
      this.#stamp.unencodable(variant, error);
      return undefined;
    }
  }

  #compactFrames(variant: Variant, maxFrameBytes: number): readonly SizedFrame[] {
    const { channel, messages } = this;
    const encoding = encodingOf(variant);
    this.#compact ??= new CompactBatch({ channel, epoch: "", offset: 0, replay: false }, messages);
    const compact = this.#compact;
    messages.forEach(({ body }, index) => {
      compact.message(encoding, index, () => {
        this.#stamp.counters.decoded += 1;
        return eventOf(body?.event ?? new Uint8Array());
      });
      this.#stamp.counters.encoded[variant] += 1;
    });
    return compact.frames(encoding, 0, maxFrameBytes).map((frame) => sized(frame));
  }
}

/** It has no place in a log: neither offset nor epoch. */
function messageOf(channel: string, { id, time, body }: Transient, variant: Variant): Message {
  const event = eventOf(body?.event ?? new Uint8Array());
  if (isV1(variant)) {
    const payload = channel === "" ? eventForV1Session(event) : eventForV1(event, channel);
    return create(MessageSchema, { id, channel, payload });
  }
  return create(MessageSchema, {
    id,
    channel,
    payload: isJson(variant) ? eventForJson(event) : event,
    time,
    ...(body?.publisher === undefined ? {} : { publisher: body.publisher }),
    metadata: body?.metadata ?? {},
  });
}
