/**
 * Makes the server of the current folder slower: every publish first keeps its thread busy for as long as the parent has
 * said last, in nanoseconds. For `--import`.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type * as Server from "../../src/server/index.ts";

const url = pathToFileURL(join(process.cwd(), "src/server/index.ts")).href;
const { MemoryBroker } = (await import(url)) as typeof Server;
const { publish } = MemoryBroker.prototype;
let busyMs = 0;

MemoryBroker.prototype.publish = function (...args) {
  const end = performance.now() + busyMs;
  while (performance.now() < end);
  return publish.apply(this, args);
};

process.on("message", (ns: number) => {
  busyMs = ns / 1e6;
  process.send?.(ns);
});
// The server ends when it has nothing to do, whoever may still speak to it.
process.channel?.unref();
