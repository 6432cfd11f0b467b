/** Settings of API keys, the same on every host. */
import * as v from "valibot";
import { patternProblem } from "../../channels/patterns.ts";
import { key, secretList, someOf, table, textsWithout } from "../../engine/settings/settings.ts";
import { KEY_ID, type KeyEntry, RIGHTS } from "./key.ts";

const NOT_AN_ID = "must be at most 32 letters, digits and hyphens";
const NOT_A_DIGEST =
  "must be the SHA-256 of a key, 64 hexadecimal digits: messageloop key prints it";
const NOT_PATTERNS = "must be a list of channels and patterns such as chat.**";
const NOT_A_TIME = "must be a time such as 2027-01-31T00:00:00Z";

const times = v.pipe(
  v.string(NOT_A_TIME),
  v.isoTimestamp(NOT_A_TIME),
  v.transform((text) => Date.parse(text)),
  v.number(NOT_A_TIME),
);

const entry = v.pipe(
  table({
    id: v.pipe(v.string(NOT_AN_ID), v.regex(KEY_ID, NOT_AN_ID), v.description("none")),
    digest: v.pipe(
      v.string(NOT_A_DIGEST),
      v.regex(/^[0-9a-f]{64}$/i, NOT_A_DIGEST),
      v.transform(bytesOf),
      v.description("none"),
    ),
    rights: v.pipe(someOf(RIGHTS, 1), v.description("none")),
    patterns: v.pipe(
      v.array(textsWithout(patternProblem, NOT_PATTERNS), NOT_PATTERNS),
      v.nonEmpty(NOT_PATTERNS),
      v.description("none"),
    ),
    expires: key(times, "never"),
  }),
  v.transform(({ expires, ...rest }): KeyEntry => ({ ...rest, expiresAt: expires })),
);

/** A list of keys, or the secret that holds it. */
export function listOfKeys<const Entry extends v.GenericSchema<unknown, { readonly id: string }>>(
  entry: Entry,
) {
  return secretList(
    v.pipe(
      v.array(entry, "must be a list of keys"),
      v.check(
        (entries) => new Set(entries.map(({ id }) => id)).size === entries.length,
        "must not have two keys of one id",
      ),
    ),
  );
}

/** `api.keys`. */
export const keyEntries = listOfKeys(entry);

function bytesOf(digits: string): Uint8Array {
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
