/** Tokens of single subscriptions: some channels are only for sessions that show one that names them. */
import { covers, overlaps } from "../channels/patterns.ts";
import {
  type AuthorizeSubscribeRequest,
  type Backends,
  SubscriptionConsent,
} from "../engine/ports/backends.ts";
import type { Logger } from "../engine/ports/platform.ts";
import { MessagingError } from "../protocol/errors.ts";
import { TokenRefusal } from "./checks.ts";
import type { Verifier } from "./verifier.ts";

type Authorize = NonNullable<Backends["authorizeSubscribe"]>;

export interface SubscriptionTokensOptions {
  /** Of the channels that need a token of their own. */
  readonly patterns: readonly string[];
  readonly verifier: Pick<Verifier, "verify">;
  readonly logger: Logger;
}

export class SubscriptionTokens {
  readonly #options: SubscriptionTokensOptions;

  constructor(options: SubscriptionTokensOptions) {
    this.#options = options;
  }

  /**
   * An authorizer that looks at the tokens, and then asks the application's, which gets them as they came. A
   * subscription that needs a token ends with it.
   */
  before(application: Authorize | undefined): Authorize {
    return async (request, cancellation) => {
      const yes = this.#needs(request.channel) ? await this.#consent(request) : undefined;
      const answer: unknown = await application?.(request, cancellation);
      // An answer that an application must not give is for the check of answers.
      return (answer === undefined ? yes : answer) as undefined;
    };
  }

  #needs(channel: string): boolean {
    return this.#options.patterns.some((pattern) => overlaps(pattern, channel));
  }

  /** @throws MessagingError ACL_ERROR, or UNAVAILABLE where the issuer's keys are not known now */
  async #consent(request: AuthorizeSubscribeRequest): Promise<SubscriptionConsent | undefined> {
    const { channel, token, caller } = request;
    try {
      if (token === "") throw new TokenRefusal("missing");
      const identity = await this.#options.verifier.verify(token, caller.clientId);
      const { userId, channels, expiresAt } = identity;
      if (userId !== caller.userId) throw new TokenRefusal("subject");
      const named = channels?.some((pattern) => covers(pattern, channel)) === true;
      if (!named) throw new TokenRefusal("channels");
      return expiresAt === undefined ? undefined : new SubscriptionConsent(expiresAt, identity);
    } catch (error) {
      if (!(error instanceof TokenRefusal)) throw error;
      const fields = { session: caller.sessionId, check: error.check };
      this.#options.logger.info?.("subscription refused", fields);
      throw new MessagingError("ACL_ERROR", "authorization failed");
    }
  }
}
