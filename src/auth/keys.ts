/** The keys that tokens are verified with, each for one algorithm. */
import { type CryptoKey, importSPKI } from "jose";
import { errorText } from "../engine/error-text.ts";
import { SettingsError } from "../engine/settings/settings.ts";
import type { Algorithm } from "./algorithms.ts";
import { TokenRefusal } from "./checks.ts";
import type { AuthPlatform } from "./platform.ts";
import { RemoteKeys } from "./remote-keys.ts";
import type { JwtSettings } from "./settings.ts";

/** The key that a token names by its header. Which algorithms there are is not the token's to say. */
export interface NamedKey {
  readonly algorithm: Algorithm;
  /** Undefined where the token names none. */
  readonly keyId: string | undefined;
}

export class Keys {
  readonly #settings: JwtSettings;
  readonly #remote: RemoteKeys | undefined;
  /** The one of the settings, imported once. */
  #imported: Promise<CryptoKey> | undefined;

  constructor(settings: JwtSettings, platform: AuthPlatform) {
    this.#settings = settings;
    const { jwksUrl, algorithms } = settings;
    if (jwksUrl !== undefined) this.#remote = new RemoteKeys(jwksUrl, algorithms, platform);
  }

  /** What tokens of HS256 are signed with; undefined where none are taken. */
  get secret(): Uint8Array | undefined {
    const { hmacSecret, algorithms } = this.#settings;
    return algorithms.includes("HS256") ? hmacSecret : undefined;
  }

  /**
   * @throws TokenRefusal where there is no such key, MessagingError UNAVAILABLE where that cannot be known now
   */
  async find({ algorithm, keyId }: NamedKey): Promise<CryptoKey | Uint8Array> {
    if (algorithm === "HS256" && this.secret !== undefined) return this.secret;
    const own = this.#own(algorithm);
    if (own !== undefined) return await own;
    if (this.#remote === undefined) throw new TokenRefusal("key");
    return await this.#remote.find(algorithm, keyId);
  }

  /**
   * Imports the keys of the settings, and begins to fetch those of the issuer.
   *
   * @throws SettingsError for what is no key
   */
  async prepare(): Promise<void> {
    this.#remote?.prefetch();
    try {
      await this.#own(this.#settings.publicKey?.algorithm);
    } catch (error) {
      const message = `is no key: ${errorText(error)}`;
      throw new SettingsError([{ path: "auth.jwt.public_key", message }]);
    }
  }

  #own(algorithm: Algorithm | undefined): Promise<CryptoKey> | undefined {
    const { publicKey } = this.#settings;
    if (publicKey === undefined || publicKey.algorithm !== algorithm) return undefined;
    this.#imported ??= importSPKI(publicKey.pem, algorithm);
    return this.#imported;
  }
}
