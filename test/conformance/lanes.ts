/**
 * Which cases run beside each other. A case ends with a look at what is left on its server, so those of
 * one server run one after the other; but most of a case's time is waiting, so several servers run at once.
 */
import type { Planned } from "./runner.ts";
import type { Variant } from "./variants.ts";

/** Cases that run one after the other, on one server at a time. */
export type Lane = readonly Planned[];

/**
 * The lanes that the cases of each variant are dealt to, in turn, so that all take about the same time: 70 to 80 s on Redis.
 * `auth` and `tight` wait longest, for tokens and limits to run out. No more lanes, because cases that look at the clock
 * need some of the processor. The first lane is the first to get its server.
 */
const LANES = {
  tight: [0, 1],
  backend: [0],
  full: [0],
  rules: [1],
  counted: [1],
  auth: [2, 3],
  brief: [2],
  ruled: [3],
  plain: [1, 2, 3],
} as const satisfies Readonly<Record<Exclude<Variant, "load">, readonly number[]>>;

/** Lanes that may run beside each other. Has no place for cases that measure. */
export function lanes(planned: readonly Planned[]): Lane[] {
  const dealt: Planned[][] = [];
  for (const [variant, places] of Object.entries(LANES)) {
    const cases = planned.filter(({ server }) => server === variant);
    for (const [i, one] of cases.entries()) {
      const place = places[i % places.length] ?? 0;
      dealt[place] ??= [];
      dealt[place].push(one);
    }
  }
  return dealt.filter((lane) => lane.length > 0);
}

/** Cases that measure: nothing may run beside them. */
export function measuring(planned: readonly Planned[]): Lane {
  return planned.filter(({ server }) => server === "load");
}
