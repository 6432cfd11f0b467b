/** What our own program is measured beside. */
import { measureGroup } from "./measure.ts";
import type { Group, Row } from "./row.ts";
import type { Running, Target } from "./target.ts";
import { ROOT, treeOf } from "./trees.ts";

export interface Mode {
  /** How often everything is started afresh, unless the user says something else. */
  readonly generations: number;
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

/** Whose name the same program has without a burden. */
export const PLAIN = "plain";

const GENERATIONS = 5;
/** Another commit is so much alike that more pairs are needed. */
const GENERATIONS_ALIKE = 11;

/** The bare servers, and the peers. */
export function besideOthers(): Mode {
  return {
    generations: GENERATIONS,
    saturate: true,
    async sides(group) {
      return { targets: [group.ours(ROOT), ...group.baselines] };
    },
    remove: () => {},
  };
}

/** Another commit. */
export function besideCommit(commit: string): Mode {
  const tree = treeOf(commit);
  return {
    generations: GENERATIONS_ALIKE,
    saturate: false,
    async sides(group) {
      return { targets: [group.ours(ROOT), { ...group.ours(tree.path), name: commit }] };
    },
    remove: () => tree.remove(),
  };
}

/**
 * The same program. Ours is kept busy before each publish for some per cent of what a publish costs in the row at hand,
 * which a generation of its own finds out.
 */
export function besidePlain(percent: number, seconds: number): Mode {
  return {
    generations: GENERATIONS_ALIKE,
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
        seconds,
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
