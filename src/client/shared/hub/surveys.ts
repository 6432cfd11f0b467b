/**
 * Questions to the connection, which is one session for all of its tabs. The first answer of a session counts: so the first
 * tab that has one answers, and an error is the answer only when all have failed.
 */
import type { InboundFrame } from "../../wire/frames.ts";
import type { Tab } from "./tab.ts";

/** Questions that are open; older ones are forgotten. */
const MOST_OPEN = 100;

export class Surveys {
  /** Who has not answered, by the id of the question. */
  readonly #open = new Map<string, Set<Tab>>();

  /** Hands a question to tabs. */
  ask(id: string, tabs: readonly Tab[]): void {
    if (this.#open.size >= MOST_OPEN) {
      for (const oldest of this.#open.keys()) {
        this.#open.delete(oldest);
        break;
      }
    }
    this.#open.set(id, new Set(tabs));
  }

  /** Whether a tab's answer is the connection's. */
  takes(tab: Tab, { survey_response: answer }: InboundFrame): boolean {
    const id = answer?.request_id ?? "";
    const waiting = this.#open.get(id);
    if (waiting?.delete(tab) !== true) return false;
    if (answer?.error !== undefined && waiting.size > 0) return false;
    this.#open.delete(id);
    return true;
  }

  /** @returns the ids of questions that no tab is left to answer */
  left(tab: Tab): readonly string[] {
    const unanswered: string[] = [];
    for (const [id, waiting] of this.#open) {
      if (!waiting.delete(tab) || waiting.size > 0) continue;
      this.#open.delete(id);
      unanswered.push(id);
    }
    return unanswered;
  }
}
