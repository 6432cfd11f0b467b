/** What tabs elect a leader by, in a real browser. */
import type { ElectionPlatform, LocksLike } from "./election.ts";
import type { PortLike } from "./line.ts";

export const browser: ElectionPlatform = {
  // Only where a page was loaded securely.
  get locks() {
    return globalThis.navigator?.locks as unknown as LocksLike | undefined;
  },
  get channel() {
    if (globalThis.BroadcastChannel === undefined) return undefined;
    return (name: string) => new BroadcastChannel(name) as unknown as PortLike;
  },
  ports() {
    const { port1, port2 } = new MessageChannel();
    return [port1 as unknown as PortLike, port2 as unknown as PortLike];
  },
  onLeave(left) {
    if (!("onpagehide" in globalThis)) return () => {};
    addEventListener("pagehide", left);
    return () => removeEventListener("pagehide", left);
  },
};
