/** What looks at the frames of a node's sessions while somebody traces them. */
import type { Encoding } from "../../protocol/codec.ts";
import type { InboundMessage } from "../../protocol/gen/messageloop/v1/service_pb.js";
import type { SizedFrame } from "../../protocol/publication-frames.ts";

/** The session that a frame is of. */
export interface WatchedSession {
  readonly id: string;
  readonly userId: string;
  readonly clientId: string;
  readonly encoding: Encoding;
}

/** It never throws, and changes nothing. */
export interface FrameWatch {
  /** A frame of the client. @param bytes its length on the wire */
  took(session: WatchedSession, message: InboundMessage, bytes: number): void;
  /** One that could not be read. @param code of the error that its client gets */
  refused(session: WatchedSession, bytes: number, code: string): void;
  /** A frame for the client. */
  wrote(session: WatchedSession, frame: SizedFrame): void;
  /** The session has ended. @param code why, where it is known */
  ended(session: WatchedSession, code: number | undefined): void;
}
