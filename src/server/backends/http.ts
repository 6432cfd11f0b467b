/** Requests to a backend over HTTP/1.1, on connections that are kept. */
import type { Dispatcher, Pool } from "undici";
import { BackendFailure, type Cancellation } from "../../engine/ports/backends.ts";
import { AddressGuard } from "../../proxy/addresses.ts";
import type { BackendConfig } from "../../proxy/backend-config.ts";
import { checkHead, headersOf, ResponseBody, readsAttributes } from "../../proxy/calls/head.ts";
import { NotSent } from "../../proxy/calls/lane.ts";
import type { AttributeHeaders, BackendRequest, BackendResponse } from "../../proxy/http/call.ts";
import { guardedLookup, RefusedAddress } from "./lookup.ts";

/** How long a connection may take to open, in milliseconds. */
const CONNECT_TIMEOUT_MS = 5_000;

/** Requests to one backend, on a pool of connections that is opened with the first of them. */
export class HttpSender {
  readonly #config: BackendConfig;
  readonly #origin: string;
  readonly #path: string;
  readonly #query: string;
  #pool: Pool | undefined;
  #opening: Promise<Pool> | undefined;

  constructor(config: BackendConfig) {
    const { origin, pathname, search } = new URL(config.url);
    this.#config = config;
    this.#origin = origin;
    this.#path = pathname;
    this.#query = search;
  }

  /**
   * Sends one request. The caller keeps the time, and cancels.
   *
   * @throws BackendFailure
   */
  send(request: BackendRequest, cancellation: Cancellation): Promise<BackendResponse> {
    const pool = this.#pool;
    if (pool !== undefined) return this.#exchange(pool, request, cancellation);
    return this.#open().then((opened) => this.#exchange(opened, request, cancellation));
  }

  #exchange(
    pool: Pool,
    request: BackendRequest,
    cancellation: Cancellation,
  ): Promise<BackendResponse> {
    return new Promise((resolve, reject) => {
      const exchange = new Exchange(this.#config, cancellation, { resolve, reject });
      const options = {
        method: "POST",
        path: this.#pathOf(request),
        headers: headersOf(this.#config, request),
        body: request.body,
        // An answer that is no longer waited for is cut off, so no other timeout is needed.
        headersTimeout: 0,
        bodyTimeout: 0,
      } as const;
      pool.dispatch(options, exchange);
    });
  }

  /** Cuts every connection. */
  async close(): Promise<void> {
    await (await this.#opening)?.destroy();
  }

  #pathOf({ path = "" }: BackendRequest): string {
    const before = path === "" ? this.#path : this.#path.replace(/\/$/, "");
    return `${before}${path}${this.#query}`;
  }

  /** Loads the client, which a server without backends over HTTP does without. */
  #open(): Promise<Pool> {
    this.#opening ??= import("undici").then(({ Pool }) => {
      const { allowedAddresses, tls } = this.#config;
      this.#pool = new Pool(this.#origin, {
        connect: {
          timeout: CONNECT_TIMEOUT_MS,
          lookup: guardedLookup(new AddressGuard(allowedAddresses)),
          rejectUnauthorized: !tls.insecureSkipVerify,
          ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
        },
      });
      return this.#pool;
    });
    return this.#opening;
  }
}

interface Settle {
  readonly resolve: (response: BackendResponse) => void;
  readonly reject: (error: unknown) => void;
}

/** One request and its answer. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #config: BackendConfig;
  readonly #settle: Settle;
  readonly #body: ResponseBody;
  #controller: Dispatcher.DispatchController | undefined;
  /** Why it was given up here. */
  #failure: BackendFailure | undefined;
  #status = 0;
  #contentType = "";
  #attributes: AttributeHeaders | undefined;

  constructor(config: BackendConfig, cancellation: Cancellation, settle: Settle) {
    this.#config = config;
    this.#settle = settle;
    this.#body = new ResponseBody(config);
    cancellation.onCancel(() => {
      this.#abort(new BackendFailure("cancelled", "nobody waits for the answer any more"));
    });
  }

  /** There is a connection, and nothing has been sent on it yet. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#failure !== undefined) controller.abort(this.#failure);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    // Such as 103, which the answer follows.
    if (status < 200) return;
    const header = (name: string): string | undefined => {
      const value = headers[name];
      return typeof value === "object" ? value.join(", ") : value;
    };
    this.#status = status;
    this.#contentType = header("content-type") ?? "";
    this.#unlessFailing(() => {
      checkHead(this.#config, status, header);
      if (!readsAttributes(this.#config)) return;
      const all = Object.keys(headers).map((name) => [name, header(name) ?? ""] as const);
      this.#attributes = this.#body.attributes(all, false);
    });
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.#unlessFailing(() => this.#body.add(chunk));
  }

  onResponseEnd(): void {
    const [status, contentType, attributes] = [this.#status, this.#contentType, this.#attributes];
    this.#settle.resolve({ status, contentType, attributes, body: this.#body.whole() });
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#settle.reject(this.#failure ?? failureOf(error, this.#controller !== undefined));
  }

  #unlessFailing(look: () => void): void {
    try {
      look();
    } catch (error) {
      if (!(error instanceof BackendFailure)) throw error;
      this.#abort(error);
    }
  }

  #abort(failure: BackendFailure): void {
    this.#failure ??= failure;
    this.#controller?.abort(this.#failure);
  }
}

/** What the client's error says of a request that may have been sent. */
function failureOf(error: Error, sent: boolean): BackendFailure {
  const { code = "" } = error as NodeJS.ErrnoException;
  // Of several addresses that were tried the error has a code, and no text.
  const text = error.message === "" ? `cannot connect: ${code}` : error.message;
  if (error instanceof RefusedAddress) return new BackendFailure("unreachable", text);
  if (!sent) return new NotSent("unreachable", text);
  if (code === "UND_ERR_HEADERS_OVERFLOW") return new BackendFailure("too_large", text);
  // What the other side says is no HTTP.
  if (code.startsWith("HPE_")) return new BackendFailure("answer", `no HTTP: ${code}`);
  return new BackendFailure("unreachable", text);
}
