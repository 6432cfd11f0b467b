/** What this host can and cannot promise. */
import type { HostCapabilities } from "../engine/capabilities.ts";

export const CAPABILITIES: HostCapabilities = {
  name: "worker",
  bidirectionalStreams: false,
  grpc: false,
  // A socket of the runtime does not show what lies in its buffer.
  observesBackpressure: false,
  slowsSenders: false,
  freeHeartbeat: true,
  // Each gateway has an engine of its own, and none knows the others.
  keepsLifecycleEvents: true,
  keepsRevocations: true,
};
