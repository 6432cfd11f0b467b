/**
 * Encodes what subscribers receive. A publication is encoded at most six times, for {JSON,
 * protobuf} x {v1, extended, compact}, each when the first subscriber of that kind needs it, and every
 * subscriber of the kind gets the same bytes. This is the hot path.
 */
import { WireType } from "@bufbuild/protobuf/wire";
import { eventForJson, eventForV1 } from "./cloudevents.ts";
import type { Encoding, Frame } from "./codec.ts";
import { CompactBatch } from "./compact/batch.ts";
import type { CloudEvent } from "./gen/io/cloudevents/v1/cloudevents_pb.js";
import type { Entry } from "./gen/messageloop/internal/v1/internal_pb.js";
import { MAX_JOINED_BYTES, MAX_JOINED_MESSAGES } from "./limits.ts";
import { eventJson } from "./plain-json/event.ts";
import { publisherJson } from "./plain-json/gen/write.ts";
import { writePublisher } from "./plain-protobuf/entry.ts";
import { eventOf, writeEvent } from "./plain-protobuf/event.ts";
import { writeTexts, written } from "./plain-protobuf/writer.ts";
import { frameLength } from "./utf8.ts";

/** What a client takes: only what v0.1.1 has, all fields and envelopes, or these with compact frames. */
export type ClientKind = "v1" | "extended" | "compact";

/** Which of the six encodings a session takes. */
export type Variant = 0 | 1 | 2 | 3 | 4 | 5;

/** All of them, by their number. */
export const VARIANTS: readonly { readonly encoding: Encoding; readonly kind: ClientKind }[] = [
  { encoding: "json", kind: "v1" },
  { encoding: "json", kind: "extended" },
  { encoding: "json", kind: "compact" },
  { encoding: "proto", kind: "v1" },
  { encoding: "proto", kind: "extended" },
  { encoding: "proto", kind: "compact" },
];

/**
 * @example
 * variantOf("proto", "compact"); // 5
 */
export function variantOf(encoding: Encoding, kind: ClientKind): Variant {
  return VARIANTS.findIndex((one) => one.encoding === encoding && one.kind === kind) as Variant;
}

export function encodingOf(variant: Variant): Encoding {
  return isJson(variant) ? "json" : "proto";
}

export function isJson(variant: Variant): boolean {
  return variant < 3;
}

export function isV1(variant: Variant): boolean {
  return variant % 3 === 0;
}

export function isCompact(variant: Variant): boolean {
  return variant % 3 === 2;
}

/** One number for each variant. */
export type PerVariant = [number, number, number, number, number, number];

/** A frame and its length on the wire, measured once for all its receivers. */
export interface SizedFrame {
  readonly data: Frame;
  /** Of UTF-8 for text. */
  readonly bytes: number;
  /** Whether it may overtake deliveries where a connection is backed up: answers and control. */
  readonly urgent: boolean;
  /** The form in which a host puts it on the wire, made by the host for its first receiver. */
  prepared: Uint8Array | undefined;
  /** The same for receivers that take it compressed. */
  compressed: Uint8Array | undefined;
}

/**
 * A frame with its length.
 *
 * @param urgent whether it may overtake deliveries: true for answers and control
 * @example
 * sized('{"pong":{}}').bytes; // 11
 */
export function sized(data: Frame, urgent = false): SizedFrame {
  const bytes = typeof data === "string" ? frameLength(data) : data.length;
  return { data, bytes, urgent, prepared: undefined, compressed: undefined };
}

/** What encoding has cost; shows whether the fast paths were taken. */
export interface EncodingCounters {
  /** Messages encoded, by variant. One per message and variant, for any number of subscribers. */
  readonly encoded: PerVariant;
  /** Events decoded from the log's bytes. Extended protobuf sessions need none. */
  decoded: number;
}

/** What a frame needs that the log does not know. */
export interface FrameStamp {
  /** A fresh random UUID. */
  id(): string;
  /** Unix milliseconds. */
  now(): number;
  readonly counters: EncodingCounters;
  /** A variant cannot carry an entry of the batch; reported once for each that is met. */
  unencodable(variant: Variant, error: unknown): void;
}

/** A frame that many sessions get, made once for each encoding that one of them takes. */
export class SharedFrame {
  readonly #make: (encoding: Encoding, maxFrameBytes: number) => Frame;
  readonly #frames: Record<Encoding, Map<number, SizedFrame> | undefined> = {
    json: undefined,
    proto: undefined,
  };

  constructor(make: (encoding: Encoding, maxFrameBytes: number) => Frame) {
    this.#make = make;
  }

  /** @param maxFrameBytes what the client has asked for; 0 where it has not */
  frame(encoding: Encoding, maxFrameBytes = 0): SizedFrame {
    this.#frames[encoding] ??= new Map();
    const frames = this.#frames[encoding];
    const known = frames.get(maxFrameBytes);
    if (known !== undefined) return known;
    const frame = sized(this.#make(encoding, maxFrameBytes));
    frames.set(maxFrameBytes, frame);
    return frame;
  }
}

const NO_BYTES = new Uint8Array();
/** What an entry takes beside its event. */
const ENTRY_BYTES = 256;
/** What a frame takes beside its messages, and each message beside itself, in bytes. */
const FRAME_BYTES = 128;
const MESSAGE_BYTES = 8;

/**
 * What a client's wish for frames of at most so many bytes means: a power of two, so that clients with
 * about the same wish share frames; 0 where frames are never larger in any case.
 */
export function frameLimit(maxFrameBytes: number): number {
  if (maxFrameBytes <= 0 || maxFrameBytes > 2 * MAX_JOINED_BYTES) return 0;
  return 2 ** Math.floor(Math.log2(maxFrameBytes));
}

/** A run of entries of one channel, ready to be written to any number of sessions. */
export class PublicationBatch {
  readonly channel: string;
  readonly epoch: string;
  /** Dense and ascending, never empty. */
  readonly entries: readonly Entry[];
  readonly firstOffset: number;
  readonly lastOffset: number;
  /** Whether the entries come out of the log and not live. */
  readonly replay: boolean;
  readonly #stamp: FrameStamp;
  readonly #events: (CloudEvent | undefined)[] = [];
  readonly #messages: (string | Uint8Array)[][] = VARIANTS.map(() => []);
  readonly #whole: (readonly SizedFrame[] | undefined)[] = [];
  /** The same for clients that have asked for smaller frames, by what they asked for. */
  #smaller: Map<number, (readonly SizedFrame[] | undefined)[]> | undefined;
  /** By variant, the offset of the last entry found that it cannot carry. */
  readonly #impossible: PerVariant = [0, 0, 0, 0, 0, 0];
  #compact: CompactBatch | undefined;

  constructor(
    channel: string,
    epoch: string,
    entries: readonly Entry[],
    stamp: FrameStamp,
    replay = false,
  ) {
    const first = entries[0];
    const last = entries.at(-1);
    if (first === undefined || last === undefined) throw new RangeError("a batch holds entries");
    this.channel = channel;
    this.epoch = epoch;
    this.entries = entries;
    this.firstOffset = Number(first.offset);
    this.lastOffset = Number(last.offset);
    this.replay = replay;
    this.#stamp = stamp;
  }

  /** What the batch takes in memory while it waits, about, in bytes. */
  get bytes(): number {
    let bytes = 0;
    for (const { body } of this.entries) bytes += ENTRY_BYTES + (body?.event.length ?? 0);
    return bytes;
  }

  /**
   * The frames for one kind of session, holding the entries after an offset; empty when there are
   * none, undefined when this encoding cannot carry one of them. Sessions that take the whole batch, nearly
   * all, share the same frames.
   *
   * @param maxFrameBytes as `frameLimit` says; a frame with one message may be larger
   */
  frames(variant: Variant, after: number, maxFrameBytes = 0): readonly SizedFrame[] | undefined {
    if (after >= this.lastOffset) return [];
    if (after < this.#impossible[variant]) return undefined;
    try {
      if (after >= this.firstOffset) {
        return this.#join(variant, after - this.firstOffset + 1, maxFrameBytes);
      }
      const whole = maxFrameBytes === 0 ? this.#whole : this.#wholeUpTo(maxFrameBytes);
      whole[variant] ??= this.#join(variant, 0, maxFrameBytes);
      return whole[variant];
    } catch (error) {
      this.#stamp.unencodable(variant, error);
      return undefined;
    }
  }

  #wholeUpTo(maxFrameBytes: number): (readonly SizedFrame[] | undefined)[] {
    this.#smaller ??= new Map();
    const known = this.#smaller.get(maxFrameBytes);
    if (known !== undefined) return known;
    const made: (readonly SizedFrame[] | undefined)[] = [];
    this.#smaller.set(maxFrameBytes, made);
    return made;
  }

  #join(variant: Variant, from: number, maxFrameBytes: number): SizedFrame[] {
    const messages: (string | Uint8Array)[] = [];
    for (let i = from; i < this.entries.length; i++) messages.push(this.#message(variant, i));
    if (isCompact(variant)) {
      const frames = this.#compactBatch.frames(encodingOf(variant), from, maxFrameBytes);
      return frames.map((frame) => sized(frame));
    }
    return joined(messages, variant, maxFrameBytes, this.#stamp);
  }

  #message(variant: Variant, index: number): string | Uint8Array {
    const known = this.#messages[variant]?.[index];
    if (known !== undefined) return known;
    const made = this.#make(variant, index);
    (this.#messages[variant] as (string | Uint8Array)[])[index] = made;
    this.#stamp.counters.encoded[variant] += 1;
    return made;
  }

  #make(variant: Variant, index: number): string | Uint8Array {
    const entry = this.entries[index] as Entry;
    try {
      if (isCompact(variant)) {
        const event = (): CloudEvent => this.#event(index, entry);
        return this.#compactBatch.message(encodingOf(variant), index, event);
      }
      return isJson(variant)
        ? this.#json(variant, index, entry)
        : this.#protobuf(variant, index, entry);
    } catch (error) {
      this.#impossible[variant] = Number(entry.offset);
      throw error;
    }
  }

  get #compactBatch(): CompactBatch {
    const { channel, epoch, firstOffset: offset, replay } = this;
    this.#compact ??= new CompactBatch({ channel, epoch, offset, replay }, this.entries);
    return this.#compact;
  }

  #event(index: number, entry: Entry): CloudEvent {
    const known = this.#events[index];
    if (known !== undefined) return known;
    const event = eventOf(entry.body?.event ?? NO_BYTES);
    this.#events[index] = event;
    this.#stamp.counters.decoded += 1;
    return event;
  }

  #json(variant: Variant, index: number, entry: Entry): string {
    const event = this.#event(index, entry);
    const id = `${this.epoch}-${entry.offset}`;
    const message: Record<string, unknown> = {
      id,
      channel: this.channel,
      offset: `${entry.offset}`,
    };
    if (isV1(variant)) {
      message["payload"] = eventJson(eventForV1(event, this.channel));
    } else {
      message["payload"] = eventJson(eventForJson(event));
      message["epoch"] = this.epoch;
      message["time"] = `${entry.time}`;
      if (this.replay) message["replay"] = true;
      const publisher = entry.body?.publisher;
      if (publisher !== undefined) {
        message["publisher"] = publisherJson(publisher);
      }
      const metadata = entry.body?.metadata;
      if (metadata !== undefined && Object.keys(metadata).length > 0)
        message["metadata"] = metadata;
    }
    return JSON.stringify(message);
  }

  #protobuf(variant: Variant, index: number, entry: Entry): Uint8Array {
    const forV1 = isV1(variant) ? eventForV1(this.#event(index, entry), this.channel) : undefined;
    const { offset, time, body } = entry;
    return written((writer) => {
      writer.tag(1, WireType.LengthDelimited).string(`${this.epoch}-${offset}`);
      writer.tag(2, WireType.LengthDelimited).string(this.channel);
      writer.tag(3, WireType.Varint).uint64(offset);
      if (forV1 !== undefined) {
        writer.tag(4, WireType.LengthDelimited).fork();
        writeEvent(writer, forV1);
        writer.join();
        return;
      }
      // The event's bytes are spliced as they came through the door.
      writer.tag(4, WireType.LengthDelimited).bytes(body?.event ?? NO_BYTES);
      writer.tag(16, WireType.LengthDelimited).string(this.epoch);
      writer.tag(17, WireType.Varint).uint64(time);
      if (this.replay) writer.tag(18, WireType.Varint).bool(true);
      if (body?.publisher !== undefined) {
        writer.tag(19, WireType.LengthDelimited).fork();
        writePublisher(writer, body.publisher);
        writer.join();
      }
      writeTexts(writer, 20, body?.metadata ?? {});
    });
  }
}

/** Frames of publications that hold these encoded messages. */
export function joined(
  messages: readonly (string | Uint8Array)[],
  variant: Variant,
  maxFrameBytes: number,
  stamp: FrameStamp,
): SizedFrame[] {
  const limit = maxFrameBytes === 0 ? MAX_JOINED_BYTES : maxFrameBytes - FRAME_BYTES;
  const frames: SizedFrame[] = [];
  const total = messages.length;
  let start = 0;
  while (start < total) {
    let end = start;
    let bytes = 0;
    while (end < total && end - start < MAX_JOINED_MESSAGES) {
      const message = messages[end] as string | Uint8Array;
      // The usual bound need not be met to the byte.
      const size = maxFrameBytes === 0 ? message.length : MESSAGE_BYTES + lengthOf(message);
      if (end > start && bytes + size > limit) break;
      bytes += size;
      end++;
    }
    frames.push(sized(frameOf(messages, variant, start, end, stamp)));
    start = end;
  }
  return frames;
}

function frameOf(
  messages: readonly (string | Uint8Array)[],
  variant: Variant,
  start: number,
  end: number,
  stamp: FrameStamp,
): Frame {
  const id = stamp.id();
  const time = stamp.now();
  if (isJson(variant)) {
    let texts = messages[start] as string;
    for (let i = start + 1; i < end; i++) texts += `,${messages[i] as string}`;
    return `{"id":"${id}","time":"${time}","publication":{"messages":[${texts}]}}`;
  }
  return written((writer) => {
    writer.tag(1, WireType.LengthDelimited).string(id);
    writer.tag(3, WireType.Varint).uint64(time);
    writer.tag(18, WireType.LengthDelimited).fork();
    for (let i = start; i < end; i++) {
      writer.tag(3, WireType.LengthDelimited).bytes(messages[i] as Uint8Array);
    }
    writer.join();
  });
}

function lengthOf(data: Frame): number {
  return typeof data === "string" ? frameLength(data) : data.length;
}
