/** Traces of a Worker: spans go to the collector over fetch, beside what they are about. */
import { made } from "../channels/maps.ts";
import type { Tracer } from "../engine/ports/tracing.ts";
import { OtlpExporter } from "../tracing/otlp/exporter.ts";
import { type EndedSpan, recorder } from "../tracing/otlp/recorder.ts";
import { Sampler } from "../tracing/sampler.ts";
import type { TracingTerms } from "../tracing/terms.ts";
import { SamplingTracer } from "../tracing/tracer.ts";
import { clock, consoleLoggerAt, random, timers } from "./platform.ts";
import type { WorkerSettings } from "./settings.ts";

/** How long a collector may take, in milliseconds: an object that waits for it stays awake. */
const TIMEOUT_MS = 5_000;

/** All of an isolate share the bound of spans. */
const samplers = new WeakMap<TracingTerms, Sampler>();

/**
 * The tracer of one object, or of one request.
 *
 * @param ctx has the runtime wait for the spans of a request that has been answered
 * @returns undefined where nothing is traced
 */
export function workerTracer(
  { tracing, logLevel }: WorkerSettings,
  ctx: Pick<ExecutionContext, "waitUntil">,
): Tracer | undefined {
  if (tracing === undefined) return undefined;
  const { sampleRatio: ratio, spansPerSecond, serviceName } = tracing;
  const sampler = made(
    samplers,
    tracing,
    () => new Sampler({ ratio, spansPerSecond, steadyNow: clock.now }),
  );
  const resource = {
    scope: { name: "messageloop" },
    attributes: { "service.name": serviceName, "cloud.provider": "cloudflare" },
  };
  const exporter = new OtlpExporter(tracing, resource, {
    timers,
    logger: consoleLoggerAt(logLevel),
    post: (headers, body) => post(tracing.url, headers, body),
  });
  const ended = (span: EndedSpan): void => ctx.waitUntil(exporter.take(span));
  return new SamplingTracer(sampler, recorder({ clock, random, ended }));
}

async function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  body: Uint8Array,
): Promise<number> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
  // What it says of spans that it has refused is in its own log.
  await response.body?.cancel();
  return response.status;
}
