/**
 * How sockets are closed. The runtime does not answer a peer's close frame on hibernatable sockets: a peer left
 * without an answer waits until the object sleeps, ten seconds after its last event, and then reports 1006.
 */
import type { Frame } from "../protocol/codec.ts";
import type { Disconnect } from "../protocol/codes.ts";
import { MAX_REASON_BYTES } from "../protocol/limits.ts";
import { utf8Cut } from "../protocol/utf8.ts";

/** The part of a socket that is used. */
export interface ClosableSocket {
  close(code?: number, reason?: string): void;
}

/** Closes from our side. A socket that is closing or gone is left as it is. */
export function closeSocket(socket: ClosableSocket, { code, reason }: Disconnect): void {
  try {
    socket.close(code, utf8Cut(reason, MAX_REASON_BYTES));
  } catch {
    closeQuietly(socket);
  }
}

/** Answers a peer's close frame with its own code. */
export function answerClose(socket: ClosableSocket, code: number, reason: string): void {
  // 1006 means that there was no close frame, and so no peer to answer.
  if (code === 1006) return;
  // 1005 means a close frame without a code; it must not be sent as one.
  if (code === 1005) closeQuietly(socket);
  else closeSocket(socket, { code, reason });
}

function closeQuietly(socket: ClosableSocket): void {
  try {
    socket.close();
  } catch {
    // Already closed: that is what was wanted.
  }
}

/** What the bridge of a door says to the gateway by itself, where else frames of its client are. */
const CLOSE_WORD = "close ";

/** Asks a gateway to end the session of a bridge, so that its client gets the reason as any other. */
export function closeWord(code: number, retryAfterMs = 0): string {
  return `${CLOSE_WORD}${code} ${retryAfterMs}`;
}

/** With what a bridge asks a gateway to end its session; undefined for a client's frame. */
export function askedClose(frame: Frame): { code: number; retryAfterMs: number } | undefined {
  if (typeof frame !== "string" || !frame.startsWith(CLOSE_WORD)) return undefined;
  const [code, retryAfterMs] = frame.slice(CLOSE_WORD.length).split(" ");
  return { code: Number(code), retryAfterMs: Number(retryAfterMs) };
}
