/**
 * What a client says in a stream: calls of Send, one after the other. What is said while one is under way goes out
 * together in the next. A call without an answer is made again as it was, with the same numbers, by which the server
 * takes each message once.
 */
import { utf8Length } from "../../protocol/lean/utf8-length.ts";
import type { Clock } from "../core/ports.ts";
import type { Frame } from "../wire/frames.ts";

/** Bounds of one call: G9 and G10 of SPEC.md. A frame that is longer alone goes alone. */
export const MOST_FRAMES = 64;
export const MOST_BYTES = 256 * 1024;
/** How long one call may take, in milliseconds: the server waits as long for all of it. */
const CALL_TIMEOUT_MS = 30_000;
/** How long a call is made again before the stream is given up. */
const PATIENCE_MS = 45_000;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 4_000;

/** What became of a call. */
export type Outcome =
  /** The server has taken its messages. */
  | { readonly kind: "taken" }
  /** It may have taken them or not: the same call again finds out. */
  | { readonly kind: "again" }
  /** It takes no more. */
  | { readonly kind: "refused"; readonly reason: string };

export interface SendsTerms {
  readonly clock: Clock;
  /** Makes a call. What it rejects with counts as `again`. @param seq number of the first frame */
  readonly call: (seq: number, frames: readonly Frame[], signal: AbortSignal) => Promise<Outcome>;
  /** The server has answered. */
  readonly answered: () => void;
  /** Nothing gets through any more. */
  readonly failed: (reason: string) => void;
}

interface Call {
  readonly seq: number;
  readonly frames: readonly Frame[];
  readonly begun: number;
  tries: number;
}

export class Sends {
  readonly #terms: SendsTerms;
  #waiting: Frame[] = [];
  /** Frames that have a number. */
  #sent = 0;
  #wantsAnswer = false;
  #isOpen = false;
  #isBusy = false;
  #isOver = false;
  /** Ends the call that is under way, or the pause before it is made again. */
  #stop = (): void => {};

  constructor(terms: SendsTerms) {
    this.#terms = terms;
  }

  /** Calls can be made. */
  open(): void {
    this.#isOpen = true;
    this.#soon();
  }

  push(frame: Frame): void {
    this.#waiting.push(frame);
    this.#soon();
  }

  /** Makes a call, though there may be nothing to say. */
  ask(): void {
    this.#wantsAnswer = true;
    this.#soon();
  }

  end(): void {
    this.#isOver = true;
    this.#waiting = [];
    this.#stop();
  }

  /** What is said in one turn goes out together. */
  #soon(): void {
    if (!this.#isOpen || this.#isBusy || this.#isOver) return;
    this.#isBusy = true;
    queueMicrotask(() => {
      this.#isBusy = false;
      this.#next();
    });
  }

  #next(): void {
    if (this.#isOver || this.#isBusy) return;
    const frames = this.#batch();
    if (frames.length === 0 && !this.#wantsAnswer) return;
    this.#wantsAnswer = false;
    this.#isBusy = true;
    // A call without messages has no number.
    const seq = frames.length === 0 ? 0 : this.#sent + 1;
    this.#sent += frames.length;
    this.#make({ seq, frames, begun: this.#terms.clock.elapsed(), tries: 0 });
  }

  #batch(): readonly Frame[] {
    let bytes = 0;
    let count = 0;
    for (const frame of this.#waiting) {
      bytes += typeof frame === "string" ? utf8Length(frame) : frame.length;
      if (count === MOST_FRAMES || (count > 0 && bytes > MOST_BYTES)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  #make(call: Call): void {
    const { clock } = this.#terms;
    const controller = new AbortController();
    let isSettled = false;
    const settle = (outcome: Outcome): void => {
      if (isSettled || this.#isOver) return;
      isSettled = true;
      stopTimer();
      this.#settled(call, outcome);
    };
    const stopTimer = clock.after(CALL_TIMEOUT_MS, () => {
      controller.abort();
      settle({ kind: "again" });
    });
    this.#stop = () => {
      stopTimer();
      controller.abort();
    };
    this.#terms
      .call(call.seq, call.frames, controller.signal)
      .then(settle, () => settle({ kind: "again" }));
  }

  #settled(call: Call, outcome: Outcome): void {
    const { answered, clock, failed } = this.#terms;
    if (outcome.kind === "taken") {
      this.#isBusy = false;
      this.#wantsAnswer = false;
      answered();
      this.#next();
    } else if (outcome.kind === "refused") failed(outcome.reason);
    else if (clock.elapsed() - call.begun >= PATIENCE_MS) failed("messages do not get through");
    else {
      const bound = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** call.tries);
      call.tries += 1;
      this.#stop = clock.after(bound * clock.random(), () => this.#make(call));
    }
  }
}
