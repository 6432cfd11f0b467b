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
  surveysAcrossNodes: true,
};
