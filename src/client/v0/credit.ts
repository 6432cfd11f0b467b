/**
 * Counts what a connection has received and says when the server should hear of it. The server closes
 * a client that leaves more than its credit unacknowledged, instead of keeping for it what it does not
 * read.
 */
import type { Frame } from "../../protocol/codec.ts";
import { utf8Length } from "../../protocol/lean/utf8-length.ts";

/** Reports per credit: early enough that a client that keeps up never comes near the bound. */
const REPORTS_PER_CREDIT = 4;

export class Credit {
  readonly #report: (bytes: number) => void;
  #received = 0;
  #reported = 0;
  /** Bytes from one report to the next; no report is ever due without a grant. */
  #step = Number.POSITIVE_INFINITY;

  /** `report` is given everything received since the connection began. */
  constructor(report: (bytes: number) => void) {
    this.#report = report;
  }

  /** The server grants credit. What came in before counts, too. */
  grant(bytes: number): void {
    this.#step = bytes / REPORTS_PER_CREDIT;
    this.#reportWhenDue();
  }

  /** Notes a received WebSocket message. The text frame `pong` is none of them. */
  took(frame: Frame): void {
    this.#received += typeof frame === "string" ? utf8Length(frame) : frame.byteLength;
    this.#reportWhenDue();
  }

  #reportWhenDue(): void {
    if (this.#received - this.#reported < this.#step) return;
    this.#reported = this.#received;
    this.#report(this.#received);
  }
}
