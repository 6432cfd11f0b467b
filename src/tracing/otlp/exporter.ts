/**
 * Hands spans to a collector in batches, over HTTP, where no library of the host does it. Only so many wait and one
 * request is under way at a time; what comes beyond that is dropped, and counted in the log. A collector that is away
 * delays nothing and nobody.
 */
import { errorText } from "../../engine/error-text.ts";
import type { Logger, Timers } from "../../engine/ports/platform.ts";
import type { OtlpProtocol, TracingTerms } from "../terms.ts";
import { jsonRequest } from "./json.ts";
import { protobufRequest } from "./protobuf.ts";
import type { EndedSpan } from "./recorder.ts";
import type { Resource } from "./request.ts";

/** Spans of one request. */
const MAX_BATCH = 256;
/** Spans that wait. */
const MAX_WAITING = 1_024;
/** How long spans wait for others, in milliseconds: much less than an object needs to fall asleep. */
const COLLECT_MS = 500;

const ENCODINGS = {
  "http/json": ["application/json", jsonRequest],
  "http/protobuf": ["application/x-protobuf", protobufRequest],
} as const satisfies Readonly<Record<OtlpProtocol, unknown>>;

export interface ExporterHost {
  readonly timers: Timers;
  readonly logger: Logger;
  /**
   * Sends one request to the collector and resolves with the status of its answer. It has a time after which it
   * rejects, and follows no redirect.
   */
  post(headers: Readonly<Record<string, string>>, body: Uint8Array): Promise<number>;
}

export class OtlpExporter {
  readonly #terms: Pick<TracingTerms, "headers" | "protocol">;
  readonly #resource: Resource;
  readonly #host: ExporterHost;
  #waiting: EndedSpan[] = [];
  #dropped = 0;
  /** Until the spans that wait have left; undefined where none wait. */
  #flushing: Promise<void> | undefined;

  constructor(
    terms: Pick<TracingTerms, "headers" | "protocol">,
    resource: Resource,
    host: ExporterHost,
  ) {
    this.#terms = terms;
    this.#resource = resource;
    this.#host = host;
  }

  /**
   * Takes a span.
   *
   * @returns resolves when it has left or is lost, and never rejects: for a host that ends before that
   */
  take(span: EndedSpan): Promise<void> {
    if (this.#waiting.length >= MAX_WAITING) this.#dropped += 1;
    else this.#waiting.push(span);
    this.#flushing ??= this.#flush();
    return this.#flushing;
  }

  async #flush(): Promise<void> {
    const { timers, logger } = this.#host;
    await new Promise<void>((resolve) => timers.after(COLLECT_MS, resolve));
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_BATCH);
      try {
        await this.#send(batch);
      } catch (error) {
        logger.warn("spans cannot be exported", { spans: batch.length, error: errorText(error) });
      }
    }
    if (this.#dropped > 0) logger.warn("spans were dropped", { spans: this.#dropped });
    this.#dropped = 0;
    this.#flushing = undefined;
  }

  async #send(batch: readonly EndedSpan[]): Promise<void> {
    const { protocol, headers } = this.#terms;
    const [type, write] = ENCODINGS[protocol];
    const body = write(this.#resource, batch);
    const status = await this.#host.post({ ...headers, "content-type": type }, body);
    if (status < 200 || status > 299) throw new Error(`status ${status}`);
  }
}
