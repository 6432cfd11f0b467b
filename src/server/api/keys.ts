/** API keys as Node makes and compares them. */
import { createHash, randomBytes } from "node:crypto";
import { shortId } from "../../channels/short-id.ts";
import { checkSettings } from "../../engine/settings/settings.ts";
import {
  hex,
  type KeyEntry,
  type MadeKey,
  RIGHTS,
  type Right,
  SECRET_BYTES,
  type Sha256,
  USUAL_RIGHTS,
  writeKey,
} from "../../http/keys/key.ts";
import { keyEntries } from "../../http/keys/settings.ts";

export { RIGHTS, type Right, USUAL_RIGHTS };

export const sha256: Sha256 = (text) => createHash("sha256").update(text).digest();

export interface KeyTerms {
  /** Default a random one. */
  readonly id?: string;
  readonly rights: readonly Right[];
  readonly patterns: readonly string[];
  readonly expires?: string;
}

/**
 * A fresh key. It is nowhere but in the answer.
 *
 * @throws SettingsError where settings would not take its entry
 */
export function makeKey({ id = shortId(randomBytes), ...terms }: KeyTerms): MadeKey {
  const key = writeKey(id, randomBytes(SECRET_BYTES));
  const entry = { id, digest: hex(createHash("sha256").update(key).digest()), ...terms };
  keysOf(entry);
  return { key, entry };
}

/** What settings make of entries as they are written. @throws SettingsError */
export function keysOf(...entries: readonly MadeKey["entry"][]): readonly KeyEntry[] {
  return checkSettings(keyEntries, entries);
}
