/**
 * How much of what a connection was sent it has not taken in, as far as can be known. A client with
 * credit says what it has received. Of any other client a host without sight of its socket's buffer
 * knows only that it lives: what was sent since its last sign of life may lie unread.
 */

/** The part that a sleeping host must remember. */
export interface OutflowMarks {
  readonly sent: number;
  readonly received: number;
  readonly unheard: number;
  /** The last heartbeat that was counted as a sign of life, Unix milliseconds. */
  readonly heardAt: number;
}

/**
 * Looks for an answered heartbeat on the way to the limit. What was sent between the heartbeat and the
 * look is forgiven, so the more looks, the sharper the limit.
 */
const LOOKS = 8;

export interface OutflowLimits {
  /** Bytes that a client with credit may leave unacknowledged. */
  readonly credit: number;
  /**
   * Bytes to any other client between two signs of life; undefined where the host watches the
   * socket's own buffer.
   */
  readonly unheard: number | undefined;
}

/** A transport, as far as it matters here: it may answer heartbeats by itself. */
export interface HeartbeatHost {
  /** When it last did, Unix milliseconds. */
  heard?(): number;
}

export class Outflow {
  readonly #limits: OutflowLimits;
  readonly #host: HeartbeatHost;
  /** Whether the client says what it has received. */
  #credit = false;
  #sent = 0;
  #received = 0;
  #unheard = 0;
  /** When `unheard` was last set to zero by a heartbeat that the host answered, Unix milliseconds. */
  #heardAt = 0;
  /** Where `unheard` next makes it worth asking the host for a heartbeat. */
  #lookAt: number;

  constructor(limits: OutflowLimits, host: HeartbeatHost) {
    this.#limits = limits;
    this.#host = host;
    this.#lookAt = (limits.unheard ?? 0) / LOOKS;
  }

  get marks(): OutflowMarks {
    return {
      sent: this.#sent,
      received: this.#received,
      unheard: this.#unheard,
      heardAt: this.#heardAt,
    };
  }

  /** The client has been granted credit. Everything sent so far counts. */
  grantCredit(): void {
    this.#credit = true;
  }

  restore({ sent, received, unheard, heardAt }: OutflowMarks): void {
    this.#sent = sent;
    this.#received = received;
    this.#unheard = unheard;
    this.#heardAt = heardAt;
  }

  /** Notes a write. */
  wrote(bytes: number): void {
    this.#sent += bytes;
    this.#unheard += bytes;
  }

  /** A frame came in: the client lives. Returns whether that changes anything. */
  heard(): boolean {
    if (this.#unheard === 0) return false;
    this.#unheard = 0;
    this.#lookAt = (this.#limits.unheard ?? 0) / LOOKS;
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
    const { credit, unheard } = this.#limits;
    if (this.#credit) return this.#sent - this.#received > credit;
    if (unheard === undefined || this.#unheard <= this.#lookAt) return false;
    const at = this.#host.heard?.() ?? 0;
    if (at > this.#heardAt) {
      this.#heardAt = at;
      this.#unheard = 0;
    }
    this.#lookAt = Math.min(this.#unheard + unheard / LOOKS, unheard);
    return this.#unheard > unheard;
  }
}
