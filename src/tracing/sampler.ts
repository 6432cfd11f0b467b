/** Which operations are traced. The server decides by its own settings: a client can only say that its trace is not to be. */
import { TokenBucket } from "../engine/token-bucket.ts";
import type { TraceContext } from "./trace-context.ts";

/** The last digits of a trace id, which are chance by W3C: as many as a number holds. */
const CHANCE_DIGITS = 13;
const CHANCES = 2 ** 52;

export interface SamplerTerms {
  /** Part of the traces that is in the sample, from 0 to 1. */
  readonly ratio: number;
  /** Spans that begin in a second at most, on this node. */
  readonly spansPerSecond: number;
  /** In milliseconds, of a clock that is never set. */
  readonly steadyNow: () => number;
}

/**
 * A part of all traces, the same part on every node, and never more than so many spans in a second. Trace ids are the
 * clients' own, so a client can choose one that is in the part; the bound holds for it all the same.
 */
export class Sampler {
  readonly #ratio: number;
  readonly #steadyNow: () => number;
  readonly #spans: TokenBucket;

  constructor({ ratio, spansPerSecond, steadyNow }: SamplerTerms) {
    this.#ratio = ratio;
    this.#steadyNow = steadyNow;
    this.#spans = new TokenBucket(spansPerSecond, spansPerSecond, steadyNow());
  }

  /** @param remote what the operation continues; undefined where it begins a trace */
  takes(remote: TraceContext | undefined): boolean {
    if (remote !== undefined && !remote.sampled) return false;
    const chance = remote === undefined ? Math.random() : chanceOf(remote.traceId);
    return chance < this.#ratio && this.#room();
  }

  /** Whether there may be one more span, of an operation that is a part of one in the sample. */
  takesPart(): boolean {
    return this.#room();
  }

  #room(): boolean {
    return this.#spans.take(this.#steadyNow()) === 0;
  }
}

/** From 0 up to 1, the same on every node. */
function chanceOf(traceId: string): number {
  return Number.parseInt(traceId.slice(-CHANCE_DIGITS), 16) / CHANCES;
}
