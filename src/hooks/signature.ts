/** Signatures as in the Standard Webhooks scheme, version v1: HMAC-SHA256 over id, time and body. */
import { base64Encode } from "@bufbuild/protobuf/wire";
import type { Hmac } from "../engine/ports/platform.ts";
import { joined } from "../protocol/bytes.ts";
import { utf8Encode } from "../protocol/utf8.ts";

/**
 * The headers that a receiver checks. With several secrets there is a signature by each, so that a receiver
 * that knows one of them takes it: that is how a secret is changed.
 *
 * @param at when this attempt is made, Unix milliseconds
 * @example
 * await signedHeaders(hmac, [secret], "0b6c…", 1767225600000, body);
 * // { "webhook-id": "0b6c…", "webhook-timestamp": "1767225600", "webhook-signature": "v1,K5oZ…" }
 */
export async function signedHeaders(
  hmac: Hmac,
  secrets: readonly Uint8Array[],
  id: string,
  at: number,
  body: Uint8Array,
): Promise<Record<string, string>> {
  const seconds = `${Math.floor(at / 1_000)}`;
  const headers = { "webhook-id": id, "webhook-timestamp": seconds };
  if (secrets.length === 0) return headers;
  const message = joined([utf8Encode(`${id}.${seconds}.`), body]);
  const signatures = await Promise.all(
    secrets.map(async (secret) => `v1,${base64Encode(await hmac(secret, message))}`),
  );
  return { ...headers, "webhook-signature": signatures.join(" ") };
}
