/** How what a compact frame is made of is written, in one encoding. */
import type { Frame } from "../codec.ts";
import type { CloudEvent } from "../gen/io/cloudevents/v1/cloudevents_pb.js";
import type { Context, OwnParts } from "./contexts.ts";

/** What stands in a frame once. */
export interface Head {
  readonly channel: string;
  /** Empty for messages that are in no log. */
  readonly epoch: string;
  /** Of the first message; 0 without an epoch. */
  readonly offset: number;
  /** Unix milliseconds. */
  readonly time: bigint;
  readonly replay: boolean;
}

/** A message, without what its frame and its context have. */
export interface OwnMessage extends OwnParts {
  /** Milliseconds after the head's time. */
  readonly later: number;
  /** Where `later` is too small for it; else 0. Unix milliseconds. */
  readonly time: bigint;
  /** Of one that is in no log; else empty. */
  readonly id: string;
}

/** What has been written of a message, and the number of its context in the frame. */
export interface Placed<Piece> {
  readonly piece: Piece;
  readonly context: number;
}

/** @typeParam Piece text for JSON, bytes for protobuf */
export interface CompactEncoder<Piece extends Frame> {
  context(context: Context): Piece;
  /** @param event the message's event, out of its bytes */
  message(message: OwnMessage, event: () => CloudEvent): Piece;
  frame(head: Head, contexts: readonly Piece[], messages: readonly Placed<Piece>[]): Frame;
}
