/** Where hosts cannot be the same. The conformance suite and the documentation read it. */
export interface HostCapabilities {
  /** What the host is called in reports. */
  readonly name: string;
  /** Streams with both directions open at once. */
  readonly bidirectionalStreams: boolean;
  /** Native gRPC over HTTP/2. */
  readonly grpc: boolean;
  /**
   * Whether the host sees how much of a socket's output lies unsent. Where it does not, a slow client
   * is known by its credit, or else by what it was sent between two signs of life.
   */
  readonly observesBackpressure: boolean;
  /**
   * Whether the host can stop reading what a client sends. Where it cannot, a v1 client that sends faster
   * than its requests can be done is closed with 3510 once too much of it waits.
   */
  readonly slowsSenders: boolean;
  /** Whether the text frame `ping` is answered without waking anything. */
  readonly freeHeartbeat: boolean;
  /**
   * Whether lifecycle events outlive the process that has recorded them, so that each arrives at least once. Where
   * they do not, one that is killed takes with it what was not delivered, and reports none of its sessions.
   */
  readonly keepsLifecycleEvents: boolean;
  /** Whether a revoked token is still known when every process has ended. A self-hosted server needs Redis for it. */
  readonly keepsRevocations: boolean;
}
