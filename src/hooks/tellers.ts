/** How lifecycle events go to one backend, over any network. */
import type { Cancellation } from "../engine/ports/backends.ts";
import type { Clock, Hmac } from "../engine/ports/platform.ts";
import type { BackendConfig } from "../proxy/backend-config.ts";
import { HOOK_HEADER } from "../proxy/http/backend.ts";
import type { Post } from "../proxy/http/call.ts";
import { connectForm } from "../proxy/http/connect.ts";
import type { Written } from "../proxy/http/form.ts";
import { jsonForm } from "../proxy/http/json.ts";
import { v011Form } from "../proxy/http/v011.ts";
import type { Call } from "../proxy/service.ts";
import type { Events, HookBackend } from "./courier.ts";
import { batched, structured, toldOf } from "./forms.ts";
import { signedHeaders } from "./signature.ts";

/** Events of one batch. */
const MAX_BATCH = 100;
/** Names a batch where other requests name their hook. */
const BATCH = "events";
/** Statuses by which a backend says that it does not take what is in a request; others say how the backend is. */
const REFUSALS: ReadonlySet<number> = new Set([400, 409, 413, 422]);
/** No caller waits for an event, so that none can leave. */
const NEVER: Cancellation = { cancelled: false, onCancel: () => {} };

/** The sender of events to one backend. */
export type Teller = Pick<HookBackend, "most" | "send">;

export interface TellerPlatform {
  readonly hmac: Hmac;
  readonly clock: Clock;
}

/** How events go to a backend over HTTP. */
export type TellerTerms = Pick<
  BackendConfig,
  "kind" | "payload" | "batchEvents" | "encoding" | "signingSecrets"
> & { readonly timeouts: Pick<BackendConfig["timeouts"], "events"> };

/** Over HTTP, signed. What answers with a status of 200 to 299 has taken the events, with any other content. */
export function httpTeller(
  terms: TellerTerms,
  post: Post,
  { hmac, clock }: TellerPlatform,
): Teller {
  const { signingSecrets, timeouts } = terms;
  return {
    most: isBatched(terms) ? MAX_BATCH : 1,
    send: async (id, events) => {
      const { hook, written } = requestOf(terms, events);
      const signed = await signedHeaders(hmac, signingSecrets, id, clock.now(), written.body);
      const headers = { ...written.headers, [HOOK_HEADER]: hook, ...signed };
      const { status } = await post({ ...written, hook, headers }, NEVER, timeouts.events);
      if (status >= 200 && status < 300) return undefined;
      return { text: `status ${status}`, refused: REFUSALS.has(status) };
    },
  };
}

/** By calls of `ProxyService`, such as over gRPC. */
export function callTeller(call: Call): Teller {
  return {
    most: 1,
    send: async (_, [event]) => {
      const { hook, message } = toldOf(event);
      await call(hook, message, NEVER);
      return undefined;
    },
  };
}

function isBatched({ batchEvents, kind, payload }: TellerTerms): boolean {
  return batchEvents && kind === "http" && payload === "cloudevents";
}

function requestOf(
  terms: TellerTerms,
  events: Events,
): { readonly hook: string; readonly written: Written } {
  if (isBatched(terms)) return { hook: BATCH, written: batched(events) };
  const [event] = events;
  const { hook, message } = toldOf(event);
  const { encoding, kind, payload, timeouts } = terms;
  if (kind === "http" && payload === "cloudevents") {
    return { hook: hook.name, written: structured(event) };
  }
  const form =
    kind === "connect" ? connectForm(encoding) : payload === "json" ? jsonForm : v011Form;
  return { hook: hook.name, written: form.write(hook, message, timeouts.events) };
}
