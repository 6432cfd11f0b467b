/** Everything that is measured. */
import type { Group } from "./row.ts";
import { warmUp } from "./rows/publish.ts";
import { PUBLISH_ROWS } from "./rows/server.ts";
import { BARE_FRAMES, BARE_TURNS } from "./targets/bare.ts";
import { messageLoopServer } from "./targets/messageloop.ts";

export const GROUPS: readonly Group[] = [
  {
    host: "server",
    ours: (tree) => ({ target: messageLoopServer(tree), remove: () => {} }),
    baselines: [BARE_TURNS, BARE_FRAMES],
    warm: warmUp,
    rows: PUBLISH_ROWS,
  },
];
