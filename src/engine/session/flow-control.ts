/**
 * Flow control: how much of what a connection was sent it has not taken in, as far as can be known. A client with
 * credit says what it has received. Of any other client a host without sight of its socket's buffer
 * knows only that it lives: what was sent since its last sign of life may lie unread.
 */

/** The part that a sleeping host must remember. */
export interface FlowMarks {
  readonly sent: number;
  readonly received: number;
  readonly bytesSinceHeard: number;
  /** The last heartbeat that was counted as a sign of life, Unix milliseconds. */
  readonly heardAt: number;
}

/**
 * Checks for an answered heartbeat on the way to the limit. What was sent between the heartbeat and the
 * check is forgiven, so the more checks, the sharper the limit.
 */
const HEARTBEAT_CHECKS = 8;

export interface FlowLimits {
  /** Bytes that a client with credit may leave unacknowledged. */
  readonly credit: number;
  /**
   * Bytes to any other client between two signs of life; undefined where the host watches the
   * socket's own buffer.
   */
  readonly bytesSinceHeard: number | undefined;
}

/** A transport, as far as it matters here: it may answer heartbeats by itself. */
export interface HeartbeatHost {
  /** When it last did, Unix milliseconds. */
  heard?(): number;
}

export class FlowControl {
  readonly #limits: FlowLimits;
  readonly #host: HeartbeatHost;
  /** Whether the client says what it has received. */
  #credit = false;
  #sent = 0;
  #received = 0;
  #bytesSinceHeard = 0;
  /** When `bytesSinceHeard` was last set to zero by a heartbeat that the host answered, Unix milliseconds. */
  #heardAt = 0;
  /** Where `bytesSinceHeard` next makes it worth asking the host for a heartbeat. */
  #checkAt: number;

  constructor(limits: FlowLimits, host: HeartbeatHost) {
    this.#limits = limits;
    this.#host = host;
    this.#checkAt = (limits.bytesSinceHeard ?? 0) / HEARTBEAT_CHECKS;
  }

  get marks(): FlowMarks {
    return {
      sent: this.#sent,
      received: this.#received,
      bytesSinceHeard: this.#bytesSinceHeard,
      heardAt: this.#heardAt,
    };
  }

  /** The client has been granted credit. Everything sent so far counts. */
  grantCredit(): void {
    this.#credit = true;
  }

  restore({ sent, received, bytesSinceHeard, heardAt }: FlowMarks): void {
    this.#sent = sent;
    this.#received = received;
    this.#bytesSinceHeard = bytesSinceHeard;
    this.#heardAt = heardAt;
  }

  /** Notes a write. */
  wrote(bytes: number): void {
    this.#sent += bytes;
    this.#bytesSinceHeard += bytes;
  }

  /** A frame came in: the client lives. Returns whether that changes anything. */
  heard(): boolean {
    if (this.#bytesSinceHeard === 0) return false;
    this.#bytesSinceHeard = 0;
    this.#checkAt = (this.#limits.bytesSinceHeard ?? 0) / HEARTBEAT_CHECKS;
    return true;
  }

  /** The client says how many bytes it has received in all. Smaller than before means nothing. */
  received(bytes: number): void {
    this.#received = Math.max(this.#received, bytes);
    // A host that slept may have forgotten the last of what it sent.
    this.#sent = Math.max(this.#sent, this.#received);
  }

  /** Whether too much lies unread. */
  get exceeded(): boolean {
    const { credit, bytesSinceHeard: most } = this.#limits;
    if (this.#credit) return this.#sent - this.#received > credit;
    if (most === undefined || this.#bytesSinceHeard <= this.#checkAt) return false;
    const at = this.#host.heard?.() ?? 0;
    if (at > this.#heardAt) {
      this.#heardAt = at;
      this.#bytesSinceHeard = 0;
    }
    this.#checkAt = Math.min(this.#bytesSinceHeard + most / HEARTBEAT_CHECKS, most);
    return this.#bytesSinceHeard > most;
  }
}
