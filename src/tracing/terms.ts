/** What an operator says of tracing, checked. */

/** How spans are encoded for the collector, by OpenTelemetry's names. */
export const OTLP_PROTOCOLS = ["http/protobuf", "http/json"] as const;
export type OtlpProtocol = (typeof OTLP_PROTOCOLS)[number];

export interface TracingTerms {
  /** Where spans go, such as `https://collector.example/v1/traces`. */
  readonly url: string;
  readonly protocol: OtlpProtocol;
  /** Sent with each request to the collector; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** `service.name` of all spans. */
  readonly serviceName: string;
  /** Part of the traces that is in the sample, from 0 to 1. */
  readonly sampleRatio: number;
  /** Spans that begin in a second at most: on a node, or in an isolate of a Worker. */
  readonly spansPerSecond: number;
}
