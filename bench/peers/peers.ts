/**
 * Other programs that fan out, to be measured beside ours. Socket.IO is installed when it is first started;
 * Centrifugo and Bun are the user's own.
 */
import { accessSync, constants } from "node:fs";
import { join, resolve } from "node:path";
import type { Target } from "../target.ts";
import { bun } from "./bun.ts";
import { centrifugo, centrifugoOnRedis } from "./centrifugo.ts";
import { SOCKET_IO } from "./socketio.ts";

/** What our own server holds by default. */
const HISTORY = 256;

/**
 * The peers that can be started, by the group that they are measured in.
 *
 * @param folder has the executables `centrifugo` and `bun`, or one of them
 */
export function peersIn(folder: string): Readonly<Record<"server" | "redis", readonly Target[]>> {
  const server = [SOCKET_IO];
  const redis: Target[] = [];
  const centrifugoPath = executableIn(folder, "centrifugo");
  if (centrifugoPath !== undefined) {
    for (const encoding of ["json", "proto"] as const) {
      const options = { executable: centrifugoPath, encoding };
      server.push(
        centrifugo(`centrifugo-${encoding}`, options),
        centrifugo(`centrifugo-history-${encoding}`, { ...options, history: HISTORY }),
      );
    }
    redis.push(centrifugoOnRedis(centrifugoPath, HISTORY));
  }
  const bunPath = executableIn(folder, "bun");
  if (bunPath !== undefined) server.push(bun(bunPath));
  return { server, redis };
}

function executableIn(folder: string, name: string): string | undefined {
  const path = resolve(join(folder, name));
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    // The user has none.
    return undefined;
  }
}
