/** What an operator wants to know when it happens, by channel. */

export const INCIDENT_KINDS = ["gap", "slow_consumer"] as const;
export type IncidentKind = (typeof INCIDENT_KINDS)[number];

/** What sessions of a node have met in a channel, one soon after the other. */
export interface Incident {
  readonly kind: IncidentKind;
  /** A channel or a pattern; empty for a slow consumer that had none. */
  readonly channel: string;
  /** Why messages are missing, of a gap; else empty. */
  readonly reason: string;
  /** When the first of them happened and when the last, Unix milliseconds. */
  readonly began: number;
  readonly at: number;
  /** How many sessions it was. */
  readonly count: number;
  /** Id of the last of them. */
  readonly sessionId: string;
}

/** Incidents that a node remembers. */
export const MAX_INCIDENTS = 100;
/** What happens so soon after the first is the same incident, in milliseconds. */
const TOGETHER_MS = 10_000;

/** What has happened to a session. */
export type Happening = Pick<Incident, "kind" | "channel" | "reason" | "sessionId" | "at">;

/** Those that began latest, and no more of them: what a thousand sessions meet at once is one. */
export class Incidents {
  /** In the order in which they began. */
  #all: Incident[] = [];
  /** Places of those that may go on, from the first that ever began, by what they are. */
  readonly #places = new Map<string, number>();
  /** How many have been let go. */
  #gone = 0;

  note({ at, channel, kind, reason, sessionId }: Happening): void {
    const name = `${kind} ${reason} ${channel}`;
    const place = (this.#places.get(name) ?? -1) - this.#gone;
    const known = this.#all[place];
    if (known !== undefined && at - known.began < TOGETHER_MS) {
      this.#all[place] = { ...known, at, count: known.count + 1, sessionId };
      return;
    }
    this.#places.delete(name);
    this.#places.set(name, this.#gone + this.#all.length);
    this.#all.push({ kind, channel, reason, began: at, at, count: 1, sessionId });
    if (this.#all.length <= MAX_INCIDENTS) return;
    this.#all.shift();
    this.#gone += 1;
    // Names stand in the order of their places.
    for (const [first, its] of this.#places) {
      if (its >= this.#gone) break;
      this.#places.delete(first);
    }
  }

  /** The newest last, at most so many. */
  latest(most = MAX_INCIDENTS): readonly Incident[] {
    return this.#all.slice(-most);
  }
}
