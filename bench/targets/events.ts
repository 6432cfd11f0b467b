/** The self-hosted server, whose subscribers read server-sent events, or have a WebSocket each. */
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { messageLoop } from "../dialects/messageloop.ts";
import type { Target } from "../target.ts";
import { startServer } from "./messageloop.ts";

const HERE = fileURLToPath(new URL("../../", import.meta.url));
const KEY = `ml_bench_${"b".repeat(43)}`;
const KEYS = [
  {
    id: "bench",
    digest: createHash("sha256").update(KEY).digest("hex"),
    rights: ["read"],
    patterns: ["**"],
  },
];
const env = { MESSAGELOOP_API_KEYS: JSON.stringify(KEYS) };

export function eventsServer(tree: string): Target {
  return {
    name: "messageloop",
    dialect: messageLoop({ eventsKey: KEY }),
    start: () => startServer(tree, { env }),
  };
}

/** The same server of this tree. */
export function webSocketServer(): Target {
  return { name: "websocket", dialect: messageLoop(), start: () => startServer(HERE, { env }) };
}
