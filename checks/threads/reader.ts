/** A client that reads channels, and remembers what has come and what it was told to be missing. */
import type { Client, Gap } from "../../src/index.ts";

/** One of so many messages is not taken where that is planted. */
const PLANTED = 2_000;

interface Place {
  readonly channel: string;
  readonly epoch: string;
  readonly offset: number;
}

export class Reader {
  readonly ready: Promise<unknown>;
  /** What came twice or out of order. */
  readonly problems: string[] = [];
  /** The offsets of each log that have come. */
  readonly #seen = new Map<string, Set<number>>();
  readonly #last = new Map<string, number>();
  readonly #gaps: Gap[] = [];
  #messages = 0;

  constructor(client: Client, channels: readonly string[], plant: boolean) {
    const subscriptions = channels.map((channel) => {
      const subscription = client.subscribe(channel, {
        onMessage: (message) => {
          this.#messages += 1;
          if (!plant || this.#messages % PLANTED !== 0) this.#take(message);
        },
      });
      subscription.addEventListener("gap", ({ detail }) => this.#gaps.push(detail));
      return subscription.ready;
    });
    this.ready = Promise.all(subscriptions);
  }

  get gaps(): number {
    return this.#gaps.length;
  }

  has({ channel, epoch, offset }: Place): boolean {
    return this.#seen.get(`${channel} ${epoch}`)?.has(offset) === true;
  }

  /** Whether it has come, or a gap says that it is missing. */
  knows(place: Place): boolean {
    return this.has(place) || this.#gaps.some((gap) => covers(gap, place));
  }

  #take(place: Place): void {
    const log = `${place.channel} ${place.epoch}`;
    const last = this.#last.get(log) ?? 0;
    if (place.offset <= last) this.problems.push(`${log} ${place.offset} after ${last}`);
    this.#last.set(log, Math.max(place.offset, last));
    const seen = this.#seen.get(log) ?? new Set();
    this.#seen.set(log, seen.add(place.offset));
  }
}

/** In the epoch of its beginning a gap reaches to its end, or to that of the log where it ends in another one. */
function covers({ channel, after, until }: Gap, place: Place): boolean {
  if (channel !== place.channel) return false;
  if (after?.epoch === place.epoch) {
    const isInside = until?.epoch !== place.epoch || place.offset <= (until.offset ?? 0);
    return place.offset > (after.offset ?? 0) && isInside;
  }
  // Of a log that has begun and ended meanwhile nothing was ever received.
  return until?.epoch === place.epoch
    ? place.offset <= (until.offset ?? 0)
    : after?.epoch === undefined;
}
