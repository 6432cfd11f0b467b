/**
 * What a good client keeps of a pattern that it wants: the position of the acknowledgement behind which it
 * has everything, and the last position of each channel that it has seen.
 */
import type { PatternFact, Place, SeenGap } from "./facts.ts";

/** Changes what is asked from: of the pattern or of one of its channels. */
export type Distort = (name: string, place: Place | undefined) => Place | undefined;

interface Entry {
  readonly channel: string;
  readonly recover?: boolean;
  readonly since?: { readonly epoch: string; readonly offset: bigint };
  readonly positions?: Record<string, { readonly epoch: string; readonly offset: bigint }>;
}

export class PatternInterest {
  readonly name: string;
  readonly #recovers: boolean;
  readonly #note: (fact: PatternFact) => void;
  readonly #places = new Map<string, Place>();
  #wanted = true;
  #waiting: "ack" | "verdict" | "end" | "nothing" = "nothing";
  #asks = false;
  #held = false;
  /** Of the last acknowledgement behind which nothing is asked for any more. */
  #since: Place | undefined;
  #acknowledged: Place | undefined;

  constructor(name: string, recovers: boolean, note: (fact: PatternFact) => void) {
    this.name = name;
    this.#recovers = recovers;
    this.#note = note;
  }

  get wanted(): boolean {
    return this.#wanted;
  }

  /** Whether the server holds it. */
  get held(): boolean {
    return this.#held;
  }

  /** Whether something is asked for and not told yet. */
  get busy(): boolean {
    return this.#waiting !== "nothing";
  }

  place(channel: string): Place | undefined {
    return this.#places.get(channel);
  }

  /** Takes over a channel that was subscribed to by itself. */
  keep(channel: string, place: Place | undefined): void {
    if (this.#wanted && place !== undefined) this.#places.set(channel, place);
  }

  /** Its entry in a request, which is noted. Beside channels of the same request it leaves those to them. */
  entry(request: number, beside: readonly string[], distort: Distort): Entry {
    const recover = this.#recovers && this.#since !== undefined;
    const since = recover ? distort(this.name, this.#since) : undefined;
    const positions: Record<string, Place> = {};
    for (const [channel, place] of recover ? this.#places : []) {
      const position = beside.includes(channel) ? undefined : distort(channel, place);
      if (position !== undefined) positions[channel] = position;
    }
    this.#wanted = true;
    this.#asks = recover;
    this.#waiting = "ack";
    this.#note({ kind: "subscribe", request, recover, since, positions });
    if (!recover) return { channel: this.name };
    const wired = Object.entries(positions).map(([name, place]) => [name, wire(place)] as const);
    return {
      channel: this.name,
      recover,
      ...(since && { since: wire(since) }),
      positions: Object.fromEntries(wired),
    };
  }

  leave(): void {
    this.#note({ kind: "unsubscribe" });
    this.#waiting = "end";
  }

  left(): void {
    this.#note({ kind: "unsubscribed" });
    this.#forget();
  }

  /** The connection is gone. */
  lost(): void {
    if (this.#waiting === "end") this.#forget();
    this.#waiting = "nothing";
    this.#held = false;
  }

  acknowledged(position: Place | undefined, error: string | undefined): void {
    this.#note({ kind: "ack", position, error });
    this.#waiting = "nothing";
    if (error !== undefined) return;
    this.#held = true;
    this.#acknowledged = position;
    if (this.#asks) this.#waiting = "verdict";
    else this.#since = position;
  }

  recovered(position: Place | undefined, gap: SeenGap | undefined): void {
    this.#note({ kind: "recovered", position, gap });
    if (this.#waiting !== "verdict") return;
    this.#waiting = "nothing";
    this.#since = this.#acknowledged;
  }

  gap(gap: SeenGap): void {
    this.#note({ kind: "gap", gap });
  }

  /** A channel of it has got to a place. What is replayed may begin with a hole: only its verdict says. */
  reached(channel: string, place: Place): void {
    if (this.#waiting !== "verdict") this.#places.set(channel, place);
  }

  /** A channel of it was caught up with. */
  told(channel: string, place: Place | undefined): void {
    if (place !== undefined) this.#places.set(channel, place);
  }

  #forget(): void {
    this.#places.clear();
    this.#since = undefined;
    this.#wanted = false;
    this.#held = false;
    this.#waiting = "nothing";
  }
}

function wire({ epoch, offset }: Place) {
  return { epoch, offset: BigInt(offset) };
}
