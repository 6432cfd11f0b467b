/** A backend over HTTP: requests written in its form and signed, answers read, and nothing let through besides. */
import { errorText } from "../../engine/error-text.ts";
import { BackendFailure } from "../../engine/ports/backends.ts";
import { traceHeaders } from "../calls/head.ts";
import type { Call } from "../service.ts";
import type { Signer } from "../signing/signer.ts";
import type { BackendResponse, Post } from "./call.ts";
import type { Form } from "./form.ts";

/** Says which message a request holds: its name of {@link HOOKS}. */
export const HOOK_HEADER = "messageloop-hook";

export interface HttpCallOptions {
  readonly post: Post;
  readonly form: Form;
  /** Path and query of the backend's address, such as `/hooks?tenant=1`, as they are sent. */
  readonly path: string;
  /** How long the backend has for each request, in milliseconds. */
  readonly timeoutMs: number;
  /** Default: requests are not signed. */
  readonly signer?: Signer | undefined;
}

/**
 * Calls of a backend over HTTP.
 *
 * @example
 * const backends = createBackends(httpCall({ post, form: jsonForm, path: "/hooks", timeoutMs: 5_000 }));
 */
export function httpCall({ post, form, path, timeoutMs, signer }: HttpCallOptions): Call {
  return async (hook, message, cancellation) => {
    const written = form.write(hook, message, timeoutMs);
    const { contentType, body } = written;
    const { span } = cancellation;
    const headers: Record<string, string> = {
      ...written.headers,
      [HOOK_HEADER]: hook.name,
      ...(span === undefined ? {} : traceHeaders(span)),
    };
    if (signer !== undefined) {
      const to = joined(path, written.path ?? "");
      const signed = { method: "POST", path: to, hook: hook.name, contentType, body };
      Object.assign(headers, await signer(signed));
    }
    const request = { ...written, hook: hook.name, headers };
    let response: BackendResponse;
    try {
      response = await post(request, cancellation, timeoutMs);
    } catch (error) {
      if (error instanceof BackendFailure) throw error;
      // Every exception of a host is a failure: a MessagingError of it would be sent to the client.
      throw new BackendFailure("unreachable", errorText(error), { cause: error });
    }
    span?.set({ "http.response.status_code": response.status });
    return form.read(hook, response);
  };
}

/** A procedure's path stands before the query of the address, if there is one. */
export function joined(path: string, procedure: string): string {
  if (procedure === "") return path;
  const [before = "", ...query] = path.split("?");
  const base = before.endsWith("/") ? before.slice(0, -1) : before;
  return [`${base}${procedure}`, ...query].join("?");
}
