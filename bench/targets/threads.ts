/** `messageloop serve` without settings, with several threads and with one. */
import { messageLoop } from "../dialects/messageloop.ts";
import type { Target } from "../target.ts";
import { ROOT } from "../trees.ts";
import { startServer } from "./messageloop.ts";

export function threadsServer(tree: string, threads: number): Target {
  const args = ["--workers", `${threads}`];
  return { name: "messageloop", dialect: messageLoop(), start: () => startServer(tree, { args }) };
}

/** The same server of this tree with one thread. */
export const ONE_THREAD: Target = {
  name: "one-thread",
  dialect: messageLoop(),
  start: () => startServer(ROOT),
};
