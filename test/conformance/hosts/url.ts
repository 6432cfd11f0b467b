/** A server that runs already: it is taken as it is, and nothing but its sockets can be seen. */
import type { Host } from "../host.ts";

export function foreignHost(url: string): Host {
  return {
    capabilities: undefined,
    opens: "nothing",
    kinds: "all",
    configurable: false,
    start: async () => ({ url, stop: async () => {} }),
  };
}
