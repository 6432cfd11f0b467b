/**
 * The identity of clients: by a token that is read here, by the application's authenticator, or by both, one after the other.
 * It stands in front of the application's backends as their authenticator.
 */
import type { AuthenticateRequest, Backends, Cancellation } from "../engine/ports/backends.ts";
import { type Identity, NOBODY } from "../engine/ports/identity.ts";
import { answeredIdentity } from "../engine/session/backend-answers.ts";
import { SettingsError } from "../engine/settings/settings.ts";
import { MessagingError } from "../protocol/errors.ts";
import { TokenRefusal } from "./checks.ts";
import { Keys } from "./keys.ts";
import { narrowed } from "./narrow.ts";
import type { AuthPlatform } from "./platform.ts";
import { type AuthSettings, LACK_OF_AUTHENTICATOR } from "./settings.ts";
import { SubscriptionTokens } from "./subscription-tokens.ts";
import { Verifier } from "./verifier.ts";

type Authenticate = NonNullable<Backends["authenticate"]>;

export class Authentication {
  /** What the engine asks. */
  readonly backends: Backends;
  readonly #settings: AuthSettings;
  readonly #platform: AuthPlatform;
  /** The application's. */
  readonly #application: Backends;
  readonly #keys: Keys | undefined;
  readonly #verifier: Verifier | undefined;

  /** @param application its backends, which are asked for all else as they were */
  constructor(settings: AuthSettings, platform: AuthPlatform, application: Backends) {
    const { jwt, maxLifetimeMs, required } = settings;
    this.#settings = settings;
    this.#platform = platform;
    this.#application = application;
    if (jwt !== undefined) {
      this.#keys = new Keys(jwt, platform);
      const { clock, hmac } = platform;
      this.#verifier = new Verifier({ jwt, maxLifetimeMs, keys: this.#keys, clock, hmac });
    }
    const idle = jwt === undefined && maxLifetimeMs === undefined && !required;
    this.backends = idle
      ? application
      : new Authenticated(
          application,
          (request, cancellation) => this.#authenticate(request, cancellation),
          this.#reader(settings.subscriptionTokens),
        );
  }

  /** What reads tokens of subscriptions; undefined where none are. */
  #reader(patterns: readonly string[]): SubscriptionTokens | undefined {
    if (this.#verifier === undefined || patterns.length === 0) return undefined;
    const { logger } = this.#platform;
    return new SubscriptionTokens({ patterns, verifier: this.#verifier, logger });
  }

  /** What refuses every client, so that nothing need be started; undefined where it is in order. */
  get problem(): SettingsError | undefined {
    return lackOf(this.#settings, this.#application);
  }

  /**
   * Makes ready what need not wait for a client.
   *
   * @throws SettingsError the problem, or what is wrong with a key
   */
  async prepare(): Promise<void> {
    if (this.problem !== undefined) throw this.problem;
    await this.#keys?.prepare();
  }

  async #authenticate(request: AuthenticateRequest, cancellation: Cancellation): Promise<Identity> {
    try {
      return await this.#identify(request, cancellation);
    } catch (error) {
      if (!(error instanceof TokenRefusal)) throw error;
      const { sessionId: session } = request;
      this.#platform.logger.info?.("client refused", { session, check: error.check });
      // The same words for all of them: what is wrong with a token is no business of its bearer.
      throw new MessagingError("AUTH_ERROR", "authentication failed");
    }
  }

  async #identify(request: AuthenticateRequest, cancellation: Cancellation): Promise<Identity> {
    const { token, clientId } = request;
    if (token === "" && this.#settings.required) throw new TokenRefusal("missing");
    const verified = token === "" ? undefined : await this.#verifier?.verify(token, clientId);
    const { authenticate } = this.#application;
    if (authenticate === undefined) {
      if (verified === undefined && this.#settings.required) throw new TokenRefusal("missing");
      return verified ?? NOBODY;
    }
    const answer = await authenticate.call(this.#application, request, cancellation);
    const answered = answeredIdentity(answer);
    return verified === undefined ? this.#ending(answered) : narrowed(verified, answered);
  }

  /** An identity that ends in any case, where every identity has to. */
  #ending(identity: Identity): Identity {
    const { maxLifetimeMs } = this.#settings;
    if (maxLifetimeMs === undefined) return identity;
    const end = this.#platform.clock.now() + maxLifetimeMs;
    return { ...identity, expiresAt: Math.min(end, identity.expiresAt ?? end) };
  }
}

/** What refuses every client: a token is required, and nothing reads one. Undefined where it is in order. */
export function lackOf(
  { jwt, required }: AuthSettings,
  { authenticate }: Backends,
): SettingsError | undefined {
  if (!required || jwt !== undefined || authenticate !== undefined) return undefined;
  return new SettingsError([{ path: "auth.required", message: LACK_OF_AUTHENTICATOR }]);
}

/** The application's backends with another authenticator, and tokens of subscriptions that are looked at before. */
class Authenticated implements Required<Backends> {
  readonly authenticate: Authenticate;
  readonly #application: Backends;
  readonly #tokens: SubscriptionTokens | undefined;

  constructor(
    application: Backends,
    authenticate: Authenticate,
    tokens: SubscriptionTokens | undefined,
  ) {
    this.#application = application;
    this.authenticate = authenticate;
    this.#tokens = tokens;
  }

  get authorizeSubscribe(): Backends["authorizeSubscribe"] {
    const application = this.#application.authorizeSubscribe?.bind(this.#application);
    return this.#tokens === undefined ? application : this.#tokens.before(application);
  }

  get rpc(): Backends["rpc"] {
    return this.#application.rpc?.bind(this.#application);
  }
}
