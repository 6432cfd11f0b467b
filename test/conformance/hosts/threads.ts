/** The self-hosted server with several threads. Clients are on all of them. */
import { CAPABILITIES } from "../../../src/server/capabilities.ts";
import type { Host } from "../host.ts";
import { startServer } from "./server.ts";

export function threadsHost(
  workers: number,
  { opens, kinds }: Pick<Host, "opens" | "kinds">,
): Host {
  return {
    capabilities: { ...CAPABILITIES, name: `server with ${workers} threads` },
    opens,
    kinds,
    configurable: true,
    start: ({ settings, ...options }) =>
      startServer({
        ...options,
        settings: { ...settings, server: { ...settings?.server, workers } },
      }),
  };
}
