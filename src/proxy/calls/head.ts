/** What stands before the bodies of a request over HTTP and its answer, the same on every host. */
import { BackendFailure } from "../../engine/ports/backends.ts";
import type { Span } from "../../engine/ports/tracing.ts";
import { attributeHeaders, headerBytes } from "../../protocol/binary/read.ts";
import { joined } from "../../protocol/bytes.ts";
import type { BackendConfig } from "../backend-config.ts";
import type { AttributeHeaders, BackendRequest } from "../http/call.ts";

/**
 * The headers of a request, names in lower case. What the server says of itself stands above what the operator has
 * set; a compressed answer is not asked for, and not read.
 */
export function headersOf(
  { headers }: BackendConfig,
  request: BackendRequest,
): Record<string, string> {
  return {
    ...headers,
    ...request.headers,
    "content-type": request.contentType,
    "accept-encoding": "identity",
  };
}

/** The headers by which a backend continues the trace of a call. */
export function traceHeaders({ traceparent, tracestate }: Span): Record<string, string> {
  return { traceparent, ...(tracestate === undefined ? {} : { tracestate }) };
}

/**
 * Looks at an answer before its body is read.
 *
 * @param header the value of a header by its name in lower case, undefined where it is not there
 * @throws BackendFailure for an answer that is not read
 */
export function checkHead(
  { maxResponseBytes }: BackendConfig,
  status: number,
  header: (name: string) => string | undefined,
): void {
  if (status >= 300 && status < 400) throw new BackendFailure("redirect", `status ${status}`);
  const encoding = header("content-encoding")?.trim().toLowerCase() ?? "";
  if (encoding !== "" && encoding !== "identity") {
    throw new BackendFailure("encoding", "the answer is compressed");
  }
  if (Number(header("content-length") ?? 0) > maxResponseBytes) throw tooLarge(maxResponseBytes);
}

/** Whether answers may be events in the binary mode: then their headers are looked at. */
export function readsAttributes({ payload, kind }: BackendConfig): boolean {
  return kind === "http" && payload === "cloudevents";
}

/** The bytes of an answer's body as they come, which are only so many. */
export class ResponseBody {
  readonly #most: number;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor({ maxResponseBytes }: BackendConfig) {
    this.#most = maxResponseBytes;
  }

  /** @throws BackendFailure where it is more than there may be */
  add(chunk: Uint8Array): void {
    this.#count(chunk.length);
    this.#chunks.push(chunk);
  }

  /**
   * The attributes of an event in the binary mode, which take room of the body's.
   *
   * @param headers all that came
   * @param areText whether their values have been read as UTF-8
   */
  attributes(
    headers: Iterable<readonly [name: string, value: string]>,
    areText: boolean,
  ): AttributeHeaders | undefined {
    const values = attributeHeaders(headers);
    if (values.size === 0) return undefined;
    this.#count(headerBytes(values));
    return { values, areText };
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#most) throw tooLarge(this.#most);
  }

  whole(): Uint8Array {
    return joined(this.#chunks);
  }
}

function tooLarge(most: number): BackendFailure {
  return new BackendFailure("too_large", `the answer is longer than ${most} bytes`);
}
