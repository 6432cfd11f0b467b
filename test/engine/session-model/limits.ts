/** What one session has been sent, how often it failed and how much it published. */
import type { World } from "./facts.ts";

/** B1 and B2: what a client has not taken in, as far as can be known. */
export class FlowModel {
  credit = false;
  sent = 0;
  received = 0;
  /** Bytes sent since the last sign of life. */
  unheard = 0;
  /** When the host last answered a heartbeat by itself, 0 for never. */
  heardAt = 0;
  /** Part of `unheard` that the server may have overlooked for good. */
  #excused = 0;
  #largest = 0;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** Whether a client without credit has been sent more than the bound, by a strict count. */
  get slow(): boolean {
    return !this.credit && this.unheard > this.#world.maxUnheardBytes;
  }

  /** A frame goes out. Whether it must be the last one. */
  writes(bytes: number): boolean {
    this.sent += bytes;
    this.unheard += bytes;
    this.#largest = Math.max(this.#largest, bytes);
    const { settings, maxUnheardBytes } = this.#world;
    if (this.credit) return this.sent - this.received > settings.creditBytes;
    // Of what was sent behind a heartbeat the server may overlook an eighth of the bound: so often
    // it asks the host.
    const grace = this.heardAt === 0 ? 0 : maxUnheardBytes / 8 + this.#largest;
    return this.unheard - this.#excused > maxUnheardBytes + grace;
  }

  receives(bytes: number): void {
    this.received = Math.max(this.received, bytes);
    this.sent = Math.max(this.sent, this.received);
  }

  /** A frame came in. */
  hears(): void {
    this.unheard = 0;
    this.#excused = 0;
  }

  /** The host answers a heartbeat by itself. Two in one millisecond are one. */
  heartbeat(): void {
    if (this.#world.clock.time === this.heardAt) return;
    this.heardAt = this.#world.clock.time;
    this.hears();
  }

  /** The node slept. */
  slept(connected: boolean): void {
    this.#excused = 0;
    if (connected) return;
    // Nobody saves what was sent to a client that has not connected.
    this.sent = 0;
    this.unheard = 0;
  }
}

/** L4, in windows of a minute. */
export class ErrorsModel {
  readonly #world: World;
  #count = 0;
  #since = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Counts one more. Whether that is too many. */
  exceeded(): boolean {
    const { clock, settings } = this.#world;
    if (clock.time - this.#since >= 60_000) {
      this.#since = clock.time;
      this.#count = 0;
    }
    this.#count += 1;
    return this.#count > settings.maxErrors;
  }
}

/** L1: so many publishes at once, and so many per second. */
export class PublishesModel {
  readonly #world: World;
  #tokens: number;
  #at: number;

  constructor(world: World) {
    this.#world = world;
    this.#tokens = world.settings.publishBurst;
    this.#at = world.clock.time;
  }

  /** Whether one more is allowed now. */
  take(): boolean {
    const { publishesPerSecond: rate, publishBurst } = this.#world.settings;
    if (rate === 0) return true;
    const now = this.#world.clock.time;
    this.#tokens = Math.min(publishBurst, this.#tokens + ((now - this.#at) * rate) / 1000);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
