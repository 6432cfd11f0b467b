/**
 * What a stream has to know of its messages, in JSON and in protobuf: how they are put into calls, and which of those
 * that come are the stream's own. Everything else is the codec's, which reads each frame once.
 */
import type { Frame } from "../wire/frames.ts";
import { fieldOf, fieldsOf, integerField, lengthPrefix } from "./protobuf-fields.ts";

/** What a stream says first. */
export interface Opened {
  readonly sessionId: string;
  readonly secret: string;
  /** How often heartbeats come, in milliseconds; 0 for never. */
  readonly heartbeatMs: number;
}

/** A message that comes. */
export type Told =
  | { readonly kind: "frame"; readonly frame: Frame }
  | { readonly kind: "heartbeat" }
  /** The last frame of a stream that the server ends, with the close code. */
  | {
      readonly kind: "farewell";
      readonly frame: Frame;
      readonly code: number;
      readonly reason: string;
    };

/** What a call of Send carries. */
export interface SendBody {
  readonly sessionId: string;
  /** Number of the first frame. */
  readonly seq: number;
  readonly frames: readonly Frame[];
}

export interface Form {
  /** As content types end. */
  readonly type: "json" | "proto";
  /** The request of Open, out of the frame `connect`. */
  connect(frame: Frame): Uint8Array;
  /** @throws for what is no `opened` */
  opened(message: Uint8Array): Opened;
  told(message: Uint8Array<ArrayBuffer>): Told;
  /** The request of Send. */
  send(body: SendBody): string | Uint8Array<ArrayBuffer>;
}

const FAREWELL = "DISCONNECT_ERROR";
/** A longer message is no heartbeat. */
const LONGEST_HEARTBEAT = 32;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** The form that goes with a WebSocket's subprotocol. */
export function formOf(subprotocol: string): Form {
  return subprotocol.endsWith("json") ? json : protobuf;
}

/** The part of a frame in JSON that is looked at here. */
interface JsonFrame {
  readonly id?: string;
  readonly time?: unknown;
  readonly connect?: object;
  readonly pong?: object;
  readonly opened?: {
    readonly session_id?: string;
    readonly secret?: string;
    readonly heartbeat_interval_ms?: number;
  };
  readonly error?: {
    readonly code?: string;
    readonly message?: string;
    readonly metadata?: { readonly code?: unknown };
  };
}

const json: Form = {
  type: "json",
  connect: (frame) => {
    const { connect = {} } = JSON.parse(String(frame)) as JsonFrame;
    return encoder.encode(JSON.stringify(connect));
  },
  opened: (message) => {
    const { opened } = JSON.parse(decoder.decode(message)) as JsonFrame;
    if (opened === undefined) throw new TypeError("the stream does not begin with opened");
    const { session_id = "", secret = "", heartbeat_interval_ms = 0 } = opened;
    return { sessionId: session_id, secret, heartbeatMs: heartbeat_interval_ms };
  },
  told: (message) =>
    carefully(message, () => {
      const frame = decoder.decode(message);
      const mayBeHeartbeat = frame.length <= LONGEST_HEARTBEAT;
      // Most frames are neither, and are read by their codec alone.
      if (!mayBeHeartbeat && !frame.includes(FAREWELL)) return { kind: "frame", frame };
      const { id, time, pong, error } = JSON.parse(frame) as JsonFrame;
      if (pong !== undefined && !id && !time) return { kind: "heartbeat" };
      if (error?.code !== FAREWELL) return { kind: "frame", frame };
      const { message: reason = "", metadata } = error;
      return { kind: "farewell", frame, code: Number(metadata?.code), reason };
    }),
  send: ({ sessionId, seq, frames }) =>
    `{"session_id":${JSON.stringify(sessionId)},"seq":"${seq}","messages":[${frames.join(",")}]}`,
};

/** Numbers of fields in proto/messageloop/v1/service.proto and what it imports. */
const ID = 1;
const TIME = 3;
const CONNECT = 11;
const ERROR = 11;
const PONG = 16;
const OPENED = 38;

const protobuf: Form = {
  type: "proto",
  connect: (frame) => bytesOf(fieldOf(fieldsOf(frame as Uint8Array), CONNECT)),
  opened: (message) => {
    const opened = fieldOf(fieldsOf(message), OPENED);
    if (opened === undefined) throw new TypeError("the stream does not begin with opened");
    const fields = fieldsOf(bytesOf(opened));
    return {
      sessionId: textOf(fieldOf(fields, 1)),
      secret: textOf(fieldOf(fields, 2)),
      heartbeatMs: Number(fieldOf(fields, 3) ?? 0),
    };
  },
  told: (message) =>
    carefully(message, () => {
      const fields = fieldsOf(message);
      const has = (number: number): boolean => fieldOf(fields, number) !== undefined;
      if (has(PONG) && !has(ID) && !has(TIME)) return { kind: "heartbeat" };
      const error = fieldsOf(bytesOf(fieldOf(fields, ERROR)));
      if (textOf(fieldOf(error, 1)) !== FAREWELL) return { kind: "frame", frame: message };
      const reason = textOf(fieldOf(error, 3));
      const code = numberIn(bytesOf(fieldOf(error, 4)), "code");
      return { kind: "farewell", frame: message, code, reason };
    }),
  send: ({ sessionId, seq, frames }) => {
    const id = encoder.encode(sessionId);
    const parts: Uint8Array[] = [lengthPrefix(1, id.length), id, integerField(2, seq)];
    for (const frame of frames as readonly Uint8Array[]) {
      parts.push(lengthPrefix(3, frame.length), frame);
    }
    const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  },
};

/** What cannot be read is for the codec to complain of. */
function carefully(message: Uint8Array<ArrayBuffer>, look: () => Told): Told {
  try {
    return look();
  } catch {
    return { kind: "frame", frame: message };
  }
}

function bytesOf(value: number | Uint8Array | undefined): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array();
}

function textOf(value: number | Uint8Array | undefined): string {
  return decoder.decode(bytesOf(value));
}

/** A number in a `google.protobuf.Struct`. */
function numberIn(struct: Uint8Array, name: string): number {
  for (const [, entry] of fieldsOf(struct)) {
    const member = fieldsOf(bytesOf(entry));
    if (textOf(fieldOf(member, 1)) !== name) continue;
    const value = bytesOf(fieldOf(fieldsOf(bytesOf(fieldOf(member, 2))), 2));
    return new DataView(value.buffer, value.byteOffset, value.length).getFloat64(0, true);
  }
  return Number.NaN;
}
