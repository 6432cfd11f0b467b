/** What is left of an identity when a second authenticator may take away from it, and add nothing. */
import { type PatternReading, readPattern } from "../channels/patterns.ts";
import type { Grant } from "../engine/ports/access.ts";
import type { Identity } from "../engine/ports/identity.ts";
import { TokenRefusal } from "./checks.ts";

/**
 * The identity of a token as a backend lets it be. What the backend says nothing about stays; what it names has to be
 * in both.
 *
 * @throws TokenRefusal where it names another user
 */
export function narrowed(token: Identity, backend: Identity): Identity {
  if (backend.userId !== token.userId) throw new TokenRefusal("backend");
  const ends = [token.expiresAt, backend.expiresAt].filter((end) => end !== undefined);
  const { issuedAt, tokenId, userId } = token;
  const channels = inBoth(token.channels, backend.channels);
  const grants = grantsOfBoth(token.grants, backend.grants);
  return {
    userId,
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(issuedAt === undefined ? {} : { issuedAt }),
    ...(ends.length === 0 ? {} : { expiresAt: Math.min(...ends) }),
    ...(token.clientVouched && backend.clientVouched !== false ? { clientVouched: true } : {}),
    ...(channels === undefined ? {} : { channels }),
    ...(grants === undefined ? {} : { grants }),
  };
}

function inBoth(channels: Identity["channels"], left: Identity["channels"]): Identity["channels"] {
  return left === undefined ? channels : channels?.filter((channel) => left.includes(channel));
}

function grantsOfBoth(
  left: readonly Grant[] | undefined,
  right: readonly Grant[] | undefined,
): readonly Grant[] | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  const both = left.flatMap((one) =>
    right.flatMap((other) => {
      const pattern = intersection(one.pattern, other.pattern);
      const actions = one.actions.filter((action) => other.actions.includes(action));
      return pattern === undefined || actions.length === 0 ? [] : [{ pattern, actions }];
    }),
  );
  const distinct = new Map(both.map((grant) => [`${grant.pattern} ${grant.actions}`, grant]));
  return [...distinct.values()];
}

/** The pattern that stands for exactly those channels for which two patterns stand both; undefined for none. */
export function intersection(left: string, right: string): string | undefined {
  const [one, other] = [readPattern(left), readPattern(right)];
  const count = Math.max(one.words.length, other.words.length);
  const words: string[] = [];
  for (let index = 0; index < count; index++) {
    const [a, b] = [wordAt(one, index), wordAt(other, index)];
    if (a === undefined || b === undefined) return undefined;
    if (a !== "*" && b !== "*" && a !== b) return undefined;
    words.push(a === "*" ? b : a);
  }
  if (one.end === "open" && other.end === "open") words.push("**");
  return words.join(".");
}

/** Beyond its last word a pattern that is open takes any one, and any other takes none. */
function wordAt({ words, end }: PatternReading, index: number): string | undefined {
  return words[index] ?? (end === "open" ? "*" : undefined);
}
