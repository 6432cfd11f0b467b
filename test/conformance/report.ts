/** What a run of the suite says to people. */
import type { Planned } from "./runner.ts";

export interface Outcome {
  readonly planned: Planned;
  readonly tookMs: number;
  /** What was measured on the way. */
  readonly notes?: readonly string[];
  /** Why it does not hold. */
  readonly failure?: unknown;
  /** Why it was not run. */
  readonly obstacle?: string;
}

/** One line while the suite runs. */
export function line({ planned, tookMs, notes = [], failure, obstacle }: Outcome): string {
  if (obstacle !== undefined) return `  -  ${planned.name} (not run: ${obstacle})`;
  if (failure === undefined) {
    return `  ok ${planned.name} (${[`${Math.round(tookMs)} ms`, ...notes].join("; ")})`;
  }
  return `  NO ${planned.name}\n       ${message(failure)}`;
}

/** What stands at the end. */
export function summary(outcomes: readonly Outcome[], observable: boolean): string {
  const failed = outcomes.filter(({ failure }) => failure !== undefined);
  const skipped = outcomes.filter(({ obstacle }) => obstacle !== undefined);
  const passed = outcomes.length - failed.length - skipped.length;
  const counters = observable
    ? "back to zero after every case that holds"
    : "not observable on this server";
  return [
    ...(failed.length > 0 ? ["", "does not hold:", ...failed.map(line)] : []),
    "",
    `rules shown: ${rules(outcomes)}`,
    `counters of sessions, subscriptions and queues: ${counters}`,
    `${passed} passed, ${failed.length} failed, ${skipped.length} not run`,
  ].join("\n");
}

function rules(outcomes: readonly Outcome[]): string {
  const held = outcomes.filter(
    ({ failure, obstacle }) => failure === undefined && obstacle === undefined,
  );
  return [...new Set(held.flatMap(({ planned }) => planned.case.rules))].sort(byNumber).join(" ");
}

function byNumber(left: string, right: string): number {
  return left.localeCompare(right, "en", { numeric: true });
}

function message(failure: unknown): string {
  const text = failure instanceof Error ? failure.message : String(failure);
  return text.split("\n").slice(0, 12).join("\n       ");
}
