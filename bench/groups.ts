/** Everything that is measured. */
import { peersIn } from "./peers/peers.ts";
import type { Group } from "./row.ts";
import { warmUp } from "./rows/publish.ts";
import { REDIS_ROWS, warmNodes } from "./rows/redis.ts";
import { IDLE_ROWS, RPC_ROWS, SERVER_ROWS } from "./rows/server.ts";
import { BARE_FRAMES, BARE_TURNS } from "./targets/bare.ts";
import { burdenedServer, embeddedServer, messageLoopServer } from "./targets/messageloop.ts";
import { BARE_REDIS, messageLoopOnRedis } from "./targets/redis.ts";
import { WORKER_GROUPS } from "./worker-groups.ts";

/** @param folder where the user has peers; undefined measures none */
export function groupsWith(folder: string | undefined): readonly Group[] {
  const bare = [BARE_TURNS, BARE_FRAMES];
  const peers = folder === undefined ? undefined : peersIn(folder);
  const baselines = [...bare, ...(peers?.server ?? [])];
  const server = { host: "server", warm: warmUp } as const;
  const serve = { ...server, baselines, ours: messageLoopServer } as const;
  return [
    { ...serve, burdened: burdenedServer, rows: SERVER_ROWS },
    { ...server, baselines: bare, ours: embeddedServer, rows: RPC_ROWS },
    { ...serve, rows: IDLE_ROWS, cost: "bytes" },
    {
      host: "redis",
      warm: warmNodes,
      baselines: [BARE_REDIS, ...(peers?.redis ?? [])],
      ours: messageLoopOnRedis,
      rows: REDIS_ROWS,
    },
    ...WORKER_GROUPS,
  ];
}
