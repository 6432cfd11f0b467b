/** How calls of the server API have ended. */
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { recordOf } from "../../channels/maps.ts";

/** What calls end with, in the words of Connect. */
export const CALL_CODES = [
  "ok",
  "canceled",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "permission_denied",
  "resource_exhausted",
  "unimplemented",
  "internal",
  "unavailable",
  "unauthenticated",
  /** Any that is not of these. */
  "other",
] as const;
export type CallCode = (typeof CALL_CODES)[number];

/** Calls of each method, by code. */
export type CallStats = Readonly<Record<string, Readonly<Record<CallCode, number>>>>;

const KNOWN: ReadonlySet<string> = new Set(CALL_CODES);

export class CallCounts {
  readonly #counts: Readonly<Record<string, Record<CallCode, number>>>;

  /** @param methods by their names */
  constructor(methods: readonly string[]) {
    this.#counts = recordOf(methods, () => recordOf(CALL_CODES, () => 0));
  }

  /**
   * @param error what the call was refused with, by a code of Connect's; undefined where it was done. Of no type of its
   * library, which programs that import the server need not have the types for.
   */
  count(method: string, error?: { readonly code: number }): void {
    const counts = this.#counts[method];
    if (counts === undefined) return;
    const code = error === undefined ? "ok" : codeToString(error.code);
    counts[KNOWN.has(code) ? (code as CallCode) : "other"] += 1;
  }

  /** A copy that later counting does not change. */
  stats(): CallStats {
    return structuredClone(this.#counts);
  }
}
