/** A client that reads channels, and remembers which messages have come and which gaps were reported. */
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
  /** The logs of each channel that it was led into, in their order. */
  readonly #logs = new Map<string, string[]>();
  #messages = 0;

  constructor(client: Client, channels: readonly string[], plant: boolean) {
    const subscriptions = channels.map((channel) => {
      const subscription = client.subscribe(channel, {
        onMessage: (message) => {
          this.#messages += 1;
          if (!plant || this.#messages % PLANTED !== 0) this.#take(message);
        },
      });
      subscription.addEventListener("gap", ({ detail }) => {
        this.#gaps.push(detail);
        for (const position of [detail.after, detail.until]) this.#enter(channel, position?.epoch);
      });
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

  /**
   * Whether it has come, or a gap says that it is missing.
   *
   * @param logs the epochs of its channel, in the order in which they began
   */
  knows(place: Place, logs: readonly string[]): boolean {
    if (this.has(place)) return true;
    const log = logs.indexOf(place.epoch);
    return this.#gaps.some((gap) => {
      return gap.channel === place.channel && covers(this.#span(gap, logs), place, log);
    });
  }

  /** Of a log in which nothing was acknowledged the nearest one counts that has a place. */
  #span(gap: Gap, logs: readonly string[]): Span {
    const entered = this.#logs.get(gap.channel) ?? [];
    const [after, until] = [gap.after, gap.until].map((end) => entered.indexOf(end?.epoch ?? ""));
    const before = entered.slice(0, (after ?? 0) + 1).findLast((log) => logs.includes(log));
    const next = until === -1 ? undefined : entered.slice(until).find((log) => logs.includes(log));
    return {
      gap,
      first: before === undefined ? -1 : logs.indexOf(before),
      last: next === undefined ? logs.length : logs.indexOf(next),
    };
  }

  #enter(channel: string, epoch: string | undefined): void {
    const entered = this.#logs.get(channel) ?? [];
    if (epoch === undefined || entered.includes(epoch)) return;
    this.#logs.set(channel, [...entered, epoch]);
  }

  #take(place: Place): void {
    const log = `${place.channel} ${place.epoch}`;
    this.#enter(place.channel, place.epoch);
    const last = this.#last.get(log) ?? 0;
    if (place.offset <= last) this.problems.push(`${log} ${place.offset} after ${last}`);
    this.#last.set(log, Math.max(place.offset, last));
    const seen = this.#seen.get(log) ?? new Set();
    this.#seen.set(log, seen.add(place.offset));
  }
}

/** A gap and a place as one of its channel's logs has them: the places of logs are those of a list. */
interface Span {
  readonly gap: Gap;
  /** The logs that it lies between. */
  readonly first: number;
  readonly last: number;
}

/**
 * In the epoch of its beginning a gap reaches to its end, or to that of the log where it ends in another one; then it covers the
 * logs between the two as well, which have begun and ended meanwhile.
 */
function covers({ gap: { after, until }, first, last }: Span, place: Place, log: number): boolean {
  const { epoch, offset } = place;
  const isBefore = until?.epoch === epoch && offset <= (until.offset ?? 0);
  if (after?.epoch === epoch) {
    return offset > (after.offset ?? 0) && (isBefore || until?.epoch !== epoch);
  }
  return isBefore || (first < log && log < last);
}
