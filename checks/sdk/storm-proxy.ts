/**
 * The network of a storm, in a process of its own: storm-proxy.ts PORT. It says its address, and then does to all connections at
 * once what its parent says.
 */
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import { FaultProxy } from "../../test/support/fault-proxy.ts";
import { lastBytes } from "./farewell.ts";

/** What happens to all connections: they are lost, or closed and told to wait. */
export type Blow =
  | { readonly kind: "cut" }
  | { readonly kind: "closed"; readonly retryAfterMs: number };

const [target] = process.argv.slice(2);
const proxy = await FaultProxy.to(() => Number(target));
process.on("message", (blow: Blow) => {
  for (const crossing of proxy.crossings()) {
    if (blow.kind === "cut") crossing.cut();
    else {
      const { code, reason, reconnect } = DISCONNECTS.goingAway;
      const told = { code, reason, reconnect, retryAfterMs: blow.retryAfterMs };
      crossing.end(lastBytes(told, crossing));
    }
  }
});
process.once("disconnect", () => process.exit());
process.send?.(proxy.url("all"));
