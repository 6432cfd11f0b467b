/** Authenticates a client, when it connects and when it brings a new token. */
import type { AuthenticateRequest } from "../../ports/backends.ts";
import { type Identity, NOBODY } from "../../ports/identity.ts";
import type { Span } from "../../ports/tracing.ts";
import { answeredIdentity } from "../backend-answers.ts";
import type { CallTerms } from "../backend-calls.ts";
import type { RequestContext } from "./context.ts";

const AUTHENTICATE: Omit<CallTerms<Identity>, "timeoutMs"> = {
  backend: "authenticate",
  check: answeredIdentity,
  // An authenticator that names no user has authenticated none.
  invalid: ["AUTH_ERROR", "authentication failed"],
  timeout: ["UNAVAILABLE", "authentication took too long"],
  failure: ["UNAVAILABLE", "authentication failed"],
  // Whether the client may come back is nothing that a refusal decides.
  reserved: ({ retry }) => retry,
};

/**
 * @param part what it is a part of, whose span is undefined where that is not in the sample. Default: nothing
 * @throws MessagingError the refusal of the token; UNAVAILABLE where nobody can say
 */
export async function identify(
  { node, session, client, backend }: RequestContext,
  { token, version }: Pick<AuthenticateRequest, "token" | "version">,
  part?: { readonly span: Span | undefined },
): Promise<Identity> {
  const { backends, settings } = node;
  const { address } = session;
  const { sessionId, clientId, clientType } = client;
  const request = { token, clientId, clientType, version, sessionId, address };
  const asked = node.clock.now();
  const identity = await backend.run(
    {
      ...AUTHENTICATE,
      timeoutMs: settings.authTimeoutMs,
      span: part?.span,
      part: part !== undefined,
    },
    (cancellation) => backends.authenticate?.(request, cancellation),
  );
  // An answer that says nothing of when the token was issued vouches for it as it is now.
  return identity === NOBODY ? identity : { issuedAt: asked, ...identity };
}
