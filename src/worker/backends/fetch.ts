/** Requests to a backend as a Worker makes them: over the network, or to another Worker. */
import { errorText } from "../../engine/error-text.ts";
import { BackendFailure, type Cancellation } from "../../engine/ports/backends.ts";
import type { BackendConfig } from "../../proxy/backend-config.ts";
import { checkHead, headersOf, ResponseBody, readsAttributes } from "../../proxy/calls/head.ts";
import type { BackendRequest, BackendResponse } from "../../proxy/http/call.ts";
import type { Fetch } from "./binding.ts";

export class FetchSender {
  readonly #config: BackendConfig;
  readonly #base: URL;
  readonly #fetch: Fetch;

  constructor(config: BackendConfig, fetch: Fetch) {
    this.#config = config;
    this.#base = new URL(config.url);
    this.#fetch = fetch;
  }

  /**
   * Sends one request. The caller keeps the time, and cancels.
   *
   * @throws BackendFailure
   */
  async send(request: BackendRequest, cancellation: Cancellation): Promise<BackendResponse> {
    const abort = new AbortController();
    cancellation.onCancel(() => abort.abort());
    try {
      const response = await this.#fetch(this.#urlOf(request), {
        method: "POST",
        headers: headersOf(this.#config, request),
        body: request.body,
        redirect: "manual",
        signal: abort.signal,
      });
      const { status, headers } = response;
      checkHead(this.#config, status, (name) => headers.get(name) ?? undefined);
      const whole = new ResponseBody(this.#config);
      // workerd reads values as UTF-8.
      const attributes = readsAttributes(this.#config)
        ? whole.attributes(headers, true)
        : undefined;
      if (response.body !== null) for await (const chunk of response.body) whole.add(chunk);
      const contentType = headers.get("content-type") ?? "";
      return { status, contentType, attributes, body: whole.whole() };
    } catch (error) {
      // Of an answer that is not read the rest need not come.
      abort.abort();
      if (error instanceof BackendFailure) throw error;
      if (cancellation.cancelled) {
        throw new BackendFailure("cancelled", "nobody waits for the answer any more");
      }
      throw new BackendFailure("unreachable", errorText(error));
    }
  }

  #urlOf({ path = "" }: BackendRequest): string {
    if (path === "") return this.#base.href;
    const url = new URL(this.#base);
    url.pathname = `${url.pathname.replace(/\/$/, "")}${path}`;
    return url.href;
  }
}
