/** The part of `fetch` that is used, for programs whose compiler knows no runtime. */

/** What an answer has. */
export interface FetchAnswer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  /** A readable stream of bytes. */
  readonly body: unknown;
  text(): Promise<string>;
}

/** @param init what the global `fetch` takes */
export type Fetch = (url: string, init: object) => Promise<FetchAnswer>;

export const ownFetch: Fetch = (url, init) => globalThis.fetch(url, init);

/** What a stream brings, piece by piece. */
export async function* piecesOf({ body }: FetchAnswer): AsyncGenerator<Uint8Array> {
  // Streams of browsers are not iterable everywhere.
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
