/** What this host can and cannot promise. */
import type { HostCapabilities } from "../engine/capabilities.ts";

export const CAPABILITIES: HostCapabilities = {
  name: "server",
  bidirectionalStreams: true,
  grpc: true,
  observesBackpressure: true,
  slowsSenders: true,
  // A process that runs anyway has nothing to wake.
  freeHeartbeat: true,
  // In memory; with Redis they do.
  keepsLifecycleEvents: false,
  // The broker in memory forgets all that it knows.
  keepsRevocations: false,
};
