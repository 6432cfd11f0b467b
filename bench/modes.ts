/** What our own program is measured beside. */
import { measureGroup } from "./measure.ts";
import type { Group, Row } from "./row.ts";
import type { Running, Target } from "./target.ts";
import { ROOT, type Tree, treeOf } from "./trees.ts";

export interface Mode {
  /** How often everything is started afresh, unless the user says something else. */
  readonly generations: number;
  /** The same at most for rows that take long. */
  readonly slowGenerations: number;
  readonly saturate: boolean;
  /** Undefined leaves the group out. */
  sides(group: Group): Promise<Sides | undefined>;
  /** Removes what was made for all groups. */
  remove(): void;
}

export interface Sides {
  /** Our own first. */
  readonly targets: readonly Target[];
  before?(row: Row, target: Target, running: Running): Promise<void>;
}

/** How long a sample takes that finds out what a slowdown has to be, in seconds. */
const PILOT_SECONDS = 1.5;
/** Whose name the same program has without a burden. */
export const PLAIN = "plain";

/** All rows that need no peer take 20 minutes at most: one more generation takes four. */
const GENERATIONS = 4;
const SLOW_GENERATIONS = 3;
/** Another commit is so much alike that more pairs are needed: of so many the interval holds the truth 98 times in 100. */
const GENERATIONS_ALIKE = 7;
/** A planted slowdown is smaller than what a few pairs can tell. */
const GENERATIONS_PLANTED = 21;

/** The bare servers, and the peers. */
export function besideOthers(): Mode {
  return {
    generations: GENERATIONS,
    slowGenerations: SLOW_GENERATIONS,
    saturate: true,
    async sides(group) {
      return { targets: [group.ours(ROOT), ...group.baselines] };
    },
    remove: () => {},
  };
}

/** Other commits. */
export function besideCommits(commits: readonly string[]): Mode {
  const trees: Tree[] = [];
  const remove = (): void => {
    for (const tree of trees) tree.remove();
  };
  try {
    for (const commit of commits) trees.push(treeOf(commit));
  } catch (error) {
    remove();
    throw error;
  }
  return {
    generations: GENERATIONS_ALIKE,
    slowGenerations: GENERATIONS_ALIKE,
    saturate: false,
    async sides(group) {
      const others = trees.map(({ path }, i) => ({ ...group.ours(path), name: commits[i] ?? "" }));
      return { targets: [group.ours(ROOT), ...others] };
    },
    remove,
  };
}

/**
 * The same program. Ours is kept busy before each publish for some per cent of what a publish costs in the row at hand,
 * which a generation of its own finds out.
 */
export function besidePlain(percent: number): Mode {
  return {
    generations: GENERATIONS_PLANTED,
    slowGenerations: GENERATIONS_ALIKE,
    saturate: false,
    async sides(group) {
      const { burdened } = group;
      if (burdened === undefined) return undefined;
      const [ours, plain] = [burdened(ROOT), { ...burdened(ROOT), name: PLAIN }];
      const costs = new Map<string, number>();
      await measureGroup(group, {
        targets: [plain],
        rows: group.rows,
        generations: 1,
        seconds: PILOT_SECONDS,
        saturate: false,
        measured(row, _target, measurement) {
          if (measurement instanceof Error) throw measurement;
          costs.set(row.name, measurement.cost * (measurement.perPublish ?? 0));
        },
      });
      return {
        targets: [ours, plain],
        async before({ name }, target, running) {
          const burden = target === ours ? ((costs.get(name) ?? 0) * percent) / 100 : 0;
          await running.burden?.(burden);
        },
      };
    },
    remove: () => {},
  };
}
