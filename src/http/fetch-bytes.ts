/** Fetches documents of others, such as an issuer's keys, by the Web's own means, which every host has. */
import { inTime, readToEnd } from "./body.ts";

export interface FetchTerms {
  /** More is not taken, however it was packed. */
  readonly maxBytes: number;
  /** How long all of it may take. */
  readonly timeoutMs: number;
}

/**
 * The body of an answer with the status 200. A redirect is not followed: where documents come from is for settings to say.
 *
 * @throws Error in words for the log
 * @example
 * const bytes = await fetchBytes("https://issuer.example/jwks.json", { maxBytes: 65_536, timeoutMs: 5_000 });
 */
export async function fetchBytes(
  url: string,
  { maxBytes, timeoutMs }: FetchTerms,
): Promise<Uint8Array> {
  const abort = new AbortController();
  const late = (): Error => new Error(`it took longer than ${timeoutMs} ms`);
  try {
    return await inTime(take(url, maxBytes, abort.signal), timeoutMs, late);
  } catch (error) {
    throw withCause(error);
  } finally {
    // What is left of it, whatever has ended it.
    abort.abort();
  }
}

async function take(url: string, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const headers = { Accept: "application/json", "Accept-Encoding": "identity" };
  const response = await fetch(url, { headers, redirect: "manual", signal });
  if (response.status !== 200) throw new Error(`it answered ${response.status}`);
  return response.body === null
    ? new Uint8Array()
    : await readToEnd(response.body.getReader(), maxBytes);
}

/** What runtimes say of a connection that fails is "fetch failed", and the reason is its cause. */
function withCause(error: unknown): unknown {
  const { message, cause } = error as Error;
  return cause instanceof Error ? new Error(`${message}: ${cause.message}`) : error;
}
