/** When sessions save their marks: soon after a change, one timer for all of them. */
import type { Timers } from "./ports/platform.ts";

/** How old the saved mark of the last sign of life may get, in milliseconds. */
export const SEEN_SAVE_MS = 15_000;

/** How long the marks of sessions may stay unsaved, in milliseconds; hosts sleep later than that. */
const MARKS_DELAY_MS = 2_000;

/** A session, as far as its marks go. */
export interface Marked {
  saveMarks(): void;
  /** Ends it for an unforeseen failure. Never throws. */
  fail(what: string, error: unknown): void;
}

export class MarkTimer {
  readonly #timers: Timers;
  /** Sessions whose marks wait to be saved. */
  readonly #unsaved = new Set<Marked>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Has a session save its marks before the host can fall asleep. */
  soon(session: Marked): void {
    if (this.#unsaved.size === 0) this.#timers.after(MARKS_DELAY_MS, () => this.#save());
    this.#unsaved.add(session);
  }

  /** A session has ended. */
  forget(session: Marked): void {
    this.#unsaved.delete(session);
  }

  /** One by one: what one of them cannot save ends that session, and keeps no other from it. */
  #save(): void {
    const sessions = [...this.#unsaved];
    this.#unsaved.clear();
    for (const session of sessions) {
      try {
        session.saveMarks();
      } catch (error) {
        session.fail("marks", error);
      }
    }
  }
}
