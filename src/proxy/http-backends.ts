/** A backend that is asked over HTTP, in the form that its configuration says. */
import type { Backends } from "../engine/ports/backends.ts";
import type { Hmac, Random } from "../engine/ports/platform.ts";
import type { BackendConfig } from "./backend-config.ts";
import { laneOf } from "./calls/counts.ts";
import type { CallPlatform } from "./calls/lane.ts";
import { httpCall } from "./http/backend.ts";
import type { Post } from "./http/call.ts";
import { cloudEventsForm } from "./http/cloudevents.ts";
import { connectForm } from "./http/connect.ts";
import type { Form } from "./http/form.ts";
import { jsonForm } from "./http/json.ts";
import { v011Form } from "./http/v011.ts";
import { createBackends } from "./service.ts";
import { createSigner } from "./signing/signer.ts";

/** What calls over HTTP need of their host beside what all calls need. */
export interface HttpPlatform extends CallPlatform {
  readonly random: Random;
  readonly hmac: Hmac;
}

/** @param path of the backend's address with its query, as they are sent */
export function httpBackends(
  config: BackendConfig,
  post: Post,
  path: string,
  platform: HttpPlatform,
): Backends {
  const { hmac, clock, random } = platform;
  const { signingSecrets: secrets, timeouts } = config;
  const signer = secrets.length === 0 ? undefined : createSigner({ secrets, hmac, clock });
  const form = formOf(config, random);
  const within = (timeoutMs: number) => httpCall({ post, form, path, timeoutMs, signer });
  const calls = {
    rpc: within(timeouts.rpc),
    access: within(timeouts.access),
    events: within(timeouts.events),
  };
  return createBackends((hook, message, cancellation) =>
    calls[laneOf(hook.name)](hook, message, cancellation),
  );
}

function formOf({ kind, payload, encoding }: BackendConfig, random: Random): Form {
  if (kind === "connect") return connectForm(encoding);
  if (payload === "cloudevents") return cloudEventsForm(random);
  return payload === "json" ? jsonForm : v011Form;
}
