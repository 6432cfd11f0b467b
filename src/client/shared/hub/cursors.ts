/** How far a tab is in each channel, so that it gets once what a connection brings for several tabs. */
import type { Position, WireGap, WireMessage } from "../../wire/frames.ts";

/** Channels whose places are kept for one tab: those heard last. */
const MOST_CHANNELS = 5_000;

export class Cursors {
  readonly #places = new Map<string, Position>();

  get(channel: string): Position | undefined {
    return this.#places.get(channel);
  }

  /** Begins at a place, whatever was before; undefined where everything that comes is wanted. */
  begin(channel: string, position: Position | undefined): void {
    this.#places.delete(channel);
    if (!position?.epoch) return;
    if (this.#places.size >= MOST_CHANNELS) {
      for (const oldest of this.#places.keys()) {
        this.#places.delete(oldest);
        break;
      }
    }
    this.#places.set(channel, position);
  }

  /** What lies up to here is not missing any more. */
  reach(channel: string, position: Position | undefined): void {
    const place = this.#places.get(channel);
    const isBehind =
      place?.epoch === position?.epoch && (place?.offset ?? 0) >= (position?.offset ?? 0);
    if (position?.epoch && !isBehind) this.begin(channel, position);
  }

  /** Forgets the channels that nothing of the tab stands for any more. */
  keep(stands: (channel: string) => boolean): void {
    for (const channel of this.#places.keys()) {
      if (!stands(channel)) this.#places.delete(channel);
    }
  }

  /**
   * Notes a message.
   *
   * @param catchesUp whether a verdict will say what is missing
   * @returns false for one that the tab has had; the gap that comes before it where its log has begun anew
   */
  take(
    { channel = "", epoch = "", offset = 0 }: WireMessage,
    catchesUp: boolean,
  ): boolean | WireGap {
    const place = this.#places.get(channel);
    if (place?.epoch === epoch && offset <= (place.offset ?? 0)) return false;
    this.begin(channel, { epoch, offset });
    if (place === undefined || place.epoch === epoch || catchesUp) return true;
    return { channel, reason: "epoch_changed", after: place, until: { epoch, offset: offset - 1 } };
  }
}
