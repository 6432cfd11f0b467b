/** Traces of the self-hosted server, by OpenTelemetry's SDK where it is installed. */
import type { Clock, Logger } from "../../engine/ports/platform.ts";
import type { Operation, Span, SpanTerms, Tracer } from "../../engine/ports/tracing.ts";
import { Sampler } from "../../tracing/sampler.ts";
import type { TracingTerms } from "../../tracing/terms.ts";
import { SamplingTracer } from "../../tracing/tracer.ts";
import { StartError } from "../start-error.ts";
import type { OpenTelemetry } from "./opentelemetry.ts";

/** What an operator installs beside the server. */
export const TRACING_PACKAGES = [
  "@opentelemetry/api",
  "@opentelemetry/exporter-trace-otlp-http",
  "@opentelemetry/exporter-trace-otlp-proto",
  "@opentelemetry/resources",
  "@opentelemetry/sdk-trace",
];

/** The tracer of a server. Until it is open there are no spans. */
export class ServerTracing implements Tracer {
  readonly #terms: TracingTerms;
  readonly #logger: Logger;
  readonly #sampler: Sampler;
  readonly #load: () => Promise<Pick<typeof import("./opentelemetry.ts"), "openTelemetry">>;
  #telemetry: OpenTelemetry | undefined;
  #tracer: Tracer | undefined;

  /** @param load loads the SDK. Default: the installed one */
  constructor(
    terms: TracingTerms,
    { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
    load = () => import("./opentelemetry.ts"),
  ) {
    this.#terms = terms;
    this.#logger = logger;
    this.#load = load;
    const { sampleRatio: ratio, spansPerSecond } = terms;
    const steadyNow = (): number => clock.steady?.() ?? clock.now();
    this.#sampler = new Sampler({ ratio, spansPerSecond, steadyNow });
  }

  /** @throws StartError where the SDK is not installed */
  async open(): Promise<void> {
    try {
      const { openTelemetry } = await this.#load();
      this.#telemetry = await openTelemetry(this.#terms, this.#logger);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ERR_MODULE_NOT_FOUND") throw error;
      throw new StartError(
        `tracing.endpoint is set, and OpenTelemetry's SDK is not installed: npm install ${TRACING_PACKAGES.join(" ")}`,
      );
    }
    this.#tracer = new SamplingTracer(this.#sampler, this.#telemetry.begin);
  }

  start(operation: Operation, terms: SpanTerms): Span | undefined {
    return this.#tracer?.start(operation, terms);
  }

  /** Hands over what waits. */
  async close(): Promise<void> {
    this.#tracer = undefined;
    await this.#telemetry?.close();
  }
}
