/** Everything that is measured. */
import { peersIn } from "./peers/peers.ts";
import type { Group } from "./row.ts";
import { DOOR_ROWS, warmDoor } from "./rows/doors.ts";
import { warmUp, warmUpAlone, warmUpCalls } from "./rows/publish.ts";
import { REDIS_ROWS, warmNodes } from "./rows/redis.ts";
import {
  ACCESS_ROWS,
  EVENTS_ROWS,
  IDLE_ROWS,
  LARGE_ROWS,
  RPC_HTTP_ROWS,
  RPC_ROWS,
  SERVER_ROWS,
  TOKEN_ROWS,
} from "./rows/server.ts";
import { THREADS, threadsRows, warmThreads } from "./rows/threads.ts";
import { BARE_FRAMES, BARE_TURNS } from "./targets/bare.ts";
import { byApi, byHonoAndWebSocket, byWebSocket } from "./targets/doors.ts";
import { eventsServer, webSocketServer } from "./targets/events.ts";
import { burdenedServer, embeddedServer, messageLoopServer } from "./targets/messageloop.ts";
import { BARE_REDIS, messageLoopOnRedis } from "./targets/redis.ts";
import { BARE_RPC, rpcServer } from "./targets/rpc.ts";
import { openServer, ruledServer } from "./targets/ruled.ts";
import { ONE_THREAD, threadsServer } from "./targets/threads.ts";
import { anonymousServer, tokenServer } from "./targets/tokens.ts";
import { ROOT } from "./trees.ts";
import { WORKER_GROUPS } from "./worker-groups.ts";

/** @param folder where the user has peers; undefined measures none */
export function groupsWith(folder: string | undefined): readonly Group[] {
  const bare = [BARE_TURNS, BARE_FRAMES];
  const peers = folder === undefined ? undefined : peersIn(folder);
  const baselines = [...bare, ...(peers?.server ?? [])];
  const doors = [byWebSocket(ROOT), byHonoAndWebSocket(ROOT)];
  const server = { host: "server", warm: warmUp } as const;
  const serve = { ...server, baselines, ours: messageLoopServer } as const;
  return [
    { ...serve, burdened: burdenedServer, rows: SERVER_ROWS },
    { ...server, baselines: bare, ours: embeddedServer, rows: RPC_ROWS },
    {
      ...server,
      slow: true,
      warm: warmUpCalls,
      baselines: [BARE_RPC],
      ours: rpcServer,
      rows: RPC_HTTP_ROWS,
    },
    { ...server, slow: true, warm: warmDoor, baselines: doors, ours: byApi, rows: DOOR_ROWS },
    {
      ...server,
      slow: true,
      baselines: [webSocketServer()],
      ours: eventsServer,
      rows: EVENTS_ROWS,
    },
    {
      ...server,
      slow: true,
      warm: warmUpAlone,
      baselines: [anonymousServer()],
      ours: tokenServer,
      rows: TOKEN_ROWS,
    },
    { ...server, slow: true, baselines: [openServer()], ours: ruledServer, rows: ACCESS_ROWS },
    { ...serve, slow: true, burdened: burdenedServer, rows: LARGE_ROWS },
    { ...serve, slow: true, rows: IDLE_ROWS, cost: "bytes" },
    ...THREADS.map(
      (threads): Group => ({
        host: "threads",
        slow: true,
        warm: warmThreads(threads),
        ours: (tree) => threadsServer(tree, threads),
        baselines: [ONE_THREAD],
        rows: threadsRows(threads),
      }),
    ),
    {
      host: "redis",
      slow: true,
      warm: warmNodes,
      baselines: [BARE_REDIS, ...(peers?.redis ?? [])],
      ours: messageLoopOnRedis,
      rows: REDIS_ROWS,
    },
    ...WORKER_GROUPS,
  ];
}
