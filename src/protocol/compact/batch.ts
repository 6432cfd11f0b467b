/** Messages of one channel as compact frames. */
import type { Encoding, Frame } from "../codec.ts";
import type { CloudEvent } from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import type { EntryBody } from "../gen/messageloop/internal/v1/internal_pb.js";
import { utf8Length } from "../lean/utf8-length.ts";
import { MAX_JOINED_BYTES, MAX_JOINED_MESSAGES } from "../limits.ts";
import { type Context, type OwnParts, ownParts } from "./contexts.ts";
import type { CompactEncoder, Head, Placed } from "./encoder.ts";
import { compactJson } from "./json.ts";
import { compactProtobuf } from "./protobuf.ts";

/** A message of a log, or of none. */
export interface CompactItem {
  /** Of one that is in no log. */
  readonly id?: string;
  /** Unix milliseconds. */
  readonly time: bigint;
  readonly body?: EntryBody | undefined;
}

/** What a frame takes beside its contexts and messages, and each of these beside itself, in bytes. */
const FRAME_BYTES = 128;
const PIECE_BYTES = 20;
/** What an expanded message takes beside its channel, its epoch, its context and itself, in bytes. */
const EXPANDED_BYTES = 128;
const MOST_LATER = 0xffff_ffffn;

/**
 * A batch as compact frames in both encodings. Each item is written once for an encoding, in `message`; `frames` then
 * joins what was written, for any start and any bound.
 *
 * @example
 * const batch = new CompactBatch({ channel, epoch, offset: 41, replay: false }, entries);
 * entries.forEach(({ body }, at) => batch.message("json", at, () => eventOf(body.event)));
 * batch.frames("json", 0, 0); // ['{"compact":{"channel":…,"contexts":[…],"offset":"41",…,"messages":[…]}}']
 */
export class CompactBatch {
  readonly #written: { readonly [E in Encoding]: Written<string> | Written<Uint8Array> };

  /** @param head of all items, of which there has to be one */
  constructor(head: Omit<Head, "time">, items: readonly CompactItem[]) {
    const source: Source = {
      head: { ...head, time: earliest(items) },
      items,
      own: ownParts(items.map(({ body }) => body)),
    };
    this.#written = {
      json: new Written(source, compactJson),
      proto: new Written(source, compactProtobuf),
    };
  }

  /**
   * Writes an item, where it has not been written yet. Returns what a frame will have of it.
   *
   * @param event the item's, out of its bytes
   * @throws Error where the encoding cannot carry it
   */
  message(encoding: Encoding, index: number, event: () => CloudEvent): Frame {
    return this.#written[encoding].message(index, event);
  }

  /**
   * Frames of the items from an index on, which have to be written.
   *
   * @param maxFrameBytes 0 for no wish; a frame with one message may be larger
   */
  frames(encoding: Encoding, from: number, maxFrameBytes: number): Frame[] {
    return this.#written[encoding].frames(from, maxFrameBytes);
  }
}

interface Source {
  readonly head: Head;
  readonly items: readonly CompactItem[];
  readonly own: readonly OwnParts[];
}

/** What was written in one encoding. It does not depend on which messages share a frame, so that each is written once. */
class Written<Piece extends Frame> {
  readonly #source: Source;
  readonly #encoder: CompactEncoder<Piece>;
  readonly #messages: Piece[] = [];
  readonly #contexts = new Map<Context, Piece>();
  /** What each message takes beside itself and its context when it is expanded. */
  readonly #expandedBytes: number;

  constructor(source: Source, encoder: CompactEncoder<Piece>) {
    const { channel, epoch } = source.head;
    this.#source = source;
    this.#encoder = encoder;
    this.#expandedBytes = EXPANDED_BYTES + channel.length + 2 * epoch.length;
  }

  message(index: number, event: () => CloudEvent): Piece {
    const known = this.#messages[index];
    if (known !== undefined) return known;
    const { head, items, own } = this.#source;
    const { id = "", time } = items[index] as CompactItem;
    const parts = own[index] as OwnParts;
    const later = time - head.time;
    const isFar = later > MOST_LATER;
    const message = {
      ...parts,
      id,
      later: isFar ? 0 : Number(later),
      time: isFar ? time : 0n,
    };
    // What its context has may be what cannot be written.
    this.#context(parts.context);
    const piece = this.#encoder.message(message, event);
    this.#messages[index] = piece;
    return piece;
  }

  frames(from: number, maxFrameBytes: number): Frame[] {
    const frames: Frame[] = [];
    const total = this.#source.items.length;
    for (let start = from; start < total; ) {
      const { frame, end } = this.#frame(start, maxFrameBytes);
      frames.push(frame);
      start = end;
    }
    return frames;
  }

  #frame(start: number, maxFrameBytes: number): { readonly frame: Frame; readonly end: number } {
    const { head, items, own } = this.#source;
    const contexts: Piece[] = [];
    const messages: Placed<Piece>[] = [];
    const numbers = new Map<Context, number>();
    let [expanded, bytes] = [0, FRAME_BYTES];
    let end = start;
    while (end < items.length && messages.length < MAX_JOINED_MESSAGES) {
      const piece = this.#messages[end] as Piece;
      const { context } = own[end] as OwnParts;
      const shared = this.#context(context);
      let number = numbers.get(context);
      expanded += this.#expandedBytes + shared.length + piece.length;
      if (maxFrameBytes > 0) {
        bytes += PIECE_BYTES + lengthOf(piece);
        if (number === undefined) bytes += PIECE_BYTES + lengthOf(shared);
      }
      // The usual bound need not be met to the byte.
      const isTooMuch = expanded > MAX_JOINED_BYTES || (maxFrameBytes > 0 && bytes > maxFrameBytes);
      if (isTooMuch && end > start) break;
      if (number === undefined) {
        number = contexts.length;
        numbers.set(context, number);
        contexts.push(shared);
      }
      messages.push({ piece, context: number });
      end += 1;
    }
    const offset = head.offset === 0 ? 0 : head.offset + start;
    return { frame: this.#encoder.frame({ ...head, offset }, contexts, messages), end };
  }

  #context(context: Context): Piece {
    const known = this.#contexts.get(context);
    if (known !== undefined) return known;
    const piece = this.#encoder.context(context);
    this.#contexts.set(context, piece);
    return piece;
  }
}

function earliest(items: readonly CompactItem[]): bigint {
  return items.reduce((least, { time }) => (time < least ? time : least), items[0]?.time ?? 0n);
}

function lengthOf(piece: Frame): number {
  return typeof piece === "string" ? utf8Length(piece) : piece.length;
}
