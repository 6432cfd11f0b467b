/**
 * Signatures of requests, by which a backend knows that this server has sent them, and that
 * nothing of it was changed.
 */
import { base64Encode } from "@bufbuild/protobuf/wire";
import type { Hmac } from "../../engine/ports/platform.ts";
import { joined } from "../../protocol/bytes.ts";
import { utf8Encode } from "../../protocol/utf8.ts";

/** Secrets that requests are signed with at the same time, so that one can take the place of another. */
export const MAX_SIGNING_SECRETS = 2;
/** A secret that is shorter can be found by trying, in bytes. */
export const MIN_SIGNING_SECRET_BYTES = 32;

/** Begins what is signed, so that a signature of something else is never one of a request. */
const VERSION = "messageloop-request-v1";

export const TIMESTAMP_HEADER = "messageloop-timestamp";
export const SIGNATURE_HEADER = "messageloop-signature";

/** All of a request that is signed. */
export interface SignedRequest {
  /** In capital letters. */
  readonly method: string;
  /** Path and query of the URL, as they are sent. */
  readonly path: string;
  readonly hook: string;
  /** Unix seconds, in decimals. */
  readonly timestamp: string;
  readonly contentType: string;
  readonly body: Uint8Array;
}

export interface SignerOptions {
  /** One or two, each of at least 32 bytes; of two both sign. */
  readonly secrets: readonly Uint8Array[];
  readonly hmac: Hmac;
  readonly clock: { now(): number };
}

/**
 * Makes the headers of a signed request.
 *
 * @example
 * const headers = await signer({ method: "POST", path: "/hooks", hook: "rpc", contentType, body });
 * // { "messageloop-timestamp": "1767225600", "messageloop-signature": "v1,<base64>" }
 */
export type Signer = (
  request: Omit<SignedRequest, "timestamp">,
) => Promise<Readonly<Record<string, string>>>;

/** @throws RangeError for no secret, for too many, and for one that is too short */
export function createSigner({ secrets, hmac, clock }: SignerOptions): Signer {
  if (secrets.length < 1 || secrets.length > MAX_SIGNING_SECRETS) {
    throw new RangeError(`requests are signed with 1 to ${MAX_SIGNING_SECRETS} secrets`);
  }
  if (secrets.some(({ length }) => length < MIN_SIGNING_SECRET_BYTES)) {
    throw new RangeError(`a secret has at least ${MIN_SIGNING_SECRET_BYTES} bytes`);
  }
  return async (request) => {
    const timestamp = `${Math.floor(clock.now() / 1_000)}`;
    const content = signedContent({ ...request, timestamp });
    const signatures = await Promise.all(
      secrets.map(async (secret) => `v1,${base64Encode(await hmac(secret, content))}`),
    );
    return { [TIMESTAMP_HEADER]: timestamp, [SIGNATURE_HEADER]: signatures.join(" ") };
  };
}

/**
 * What is signed: every field with its length in bytes before it, so that no two requests have the same. For
 * `rpc` to `/hooks` with an empty body:
 *
 * `22:messageloop-request-v1,4:POST,6:/hooks,3:rpc,10:1767225600,16:application/json,0:,`
 */
export function signedContent({
  method,
  path,
  hook,
  timestamp,
  contentType,
  body,
}: SignedRequest): Uint8Array {
  const fields = [VERSION, method, path, hook, timestamp, contentType].map(utf8Encode);
  const parts = [...fields, body].flatMap((field) => [
    utf8Encode(`${field.length}:`),
    field,
    utf8Encode(","),
  ]);
  return joined(parts);
}
