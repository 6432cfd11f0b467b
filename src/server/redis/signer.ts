/** Signatures of what processes say to each other: HMAC-SHA256 with a secret that all of them have. */
import { createHmac, timingSafeEqual } from "node:crypto";
import type { NodeSigner } from "../../brokers/redis/node-calls.ts";

export class HmacSigner implements NodeSigner {
  readonly #secret: string;

  constructor(secret: string) {
    this.#secret = secret;
  }

  sign(message: Uint8Array): Uint8Array {
    return createHmac("sha256", this.#secret).update(message).digest();
  }

  verify(message: Uint8Array, signature: Uint8Array): boolean {
    const expected = this.sign(message);
    return signature.length === expected.length && timingSafeEqual(signature, expected);
  }
}
