/** Everything that is measured. */
import type { Group } from "./row.ts";
import { warmUp } from "./rows/publish.ts";
import { IDLE_ROWS, RPC_ROWS, SERVER_ROWS } from "./rows/server.ts";
import { BARE_FRAMES, BARE_TURNS } from "./targets/bare.ts";
import { embeddedServer, messageLoopServer } from "./targets/messageloop.ts";

const server = {
  host: "server",
  baselines: [BARE_TURNS, BARE_FRAMES],
  warm: warmUp,
} as const;
const serve: Group["ours"] = (tree) => ({ target: messageLoopServer(tree), remove: () => {} });
const embed: Group["ours"] = (tree) => ({ target: embeddedServer(tree), remove: () => {} });

export const GROUPS: readonly Group[] = [
  { ...server, ours: serve, rows: SERVER_ROWS },
  { ...server, ours: embed, rows: RPC_ROWS },
  { ...server, ours: serve, rows: IDLE_ROWS, cost: "bytes" },
];
