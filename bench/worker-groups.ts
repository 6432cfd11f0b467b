/** What is measured of the Worker. */
import type { Group } from "./row.ts";
import { warmUp } from "./rows/publish.ts";
import { WORKER_ROWS } from "./rows/worker.ts";
import { COST_ROWS } from "./rows/worker-cost.ts";
import { SLEEP_ROWS } from "./rows/worker-sleep.ts";
import { burdened, counted } from "./targets/around.ts";
import { ROOM } from "./targets/room.ts";
import { messageLoopWorker } from "./targets/worker.ts";

const worker = {
  host: "worker",
  ours: messageLoopWorker,
  baselines: [ROOM],
  warm: warmUp,
} as const satisfies Omit<Group, "rows">;

/** Rows start programs of their own, and nothing needs to be warm. */
const fresh = { ...worker, warm: async () => {} } as const;

export const WORKER_GROUPS: readonly Group[] = [
  { ...worker, burdened: (tree) => burdened(messageLoopWorker(tree)), rows: WORKER_ROWS },
  // Falling asleep takes a quarter of a minute.
  { ...fresh, slow: true, rows: SLEEP_ROWS },
  {
    ...fresh,
    counted: true,
    ours: (tree) => counted(messageLoopWorker(tree)),
    baselines: [counted(ROOM)],
    cost: "nanodollars",
    rows: COST_ROWS,
  },
];
