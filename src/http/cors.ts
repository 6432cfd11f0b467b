/**
 * Which pages may use a door over HTTP: those that may connect by WebSocket. A page is always named by its origin and
 * never by `*`, and its browser never gets leave to send cookies, which no door reads.
 */
import { type HandshakeRequest, type HandshakeRules, strangeness } from "./handshake.ts";

/** What a page may do at a door. */
export interface Door {
  /** Such as `POST`. */
  readonly methods: readonly string[];
  /** Headers that it may send, beside those that every page may. */
  readonly headers: readonly string[];
  /** Headers of answers that it may read, beside those that every page may. Default none. */
  readonly exposed?: readonly string[];
}

/** What becomes of a request before any work is done for it. */
export type Admission =
  | {
      /** The door answers. */
      readonly admitted: true;
      /** Go with its answer, of any kind. */
      readonly headers: Readonly<Record<string, string>>;
    }
  | {
      /** This is the answer. */
      readonly admitted: false;
      readonly status: 204 | 403;
      readonly headers: Readonly<Record<string, string>>;
      readonly text: string;
      /** For the operator's log, where the request was refused. */
      readonly reason: string | undefined;
    };

/** How long a browser may remember the answer about a door, in seconds. Chromium takes no more. */
const MAX_AGE_S = 7_200;

/**
 * Lets a request in at a door, or answers it: a page of an origin that is not allowed with 403, a preflight with 204.
 *
 * @example
 * const admission = admit(request, settings, { methods: ["GET"], headers: ["Last-Event-ID"] });
 * if (!admission.admitted) return refusalOf(admission);
 */
export function admit(request: HandshakeRequest, rules: HandshakeRules, door: Door): Admission {
  const reason = strangeness(request, rules);
  if (reason !== undefined) {
    const headers = { Vary: "Origin", "Content-Type": "text/plain; charset=utf-8" };
    return { admitted: false, status: 403, headers, text: "Forbidden", reason };
  }
  const origin = request.header("Origin");
  // What is kept of an answer is not for a page of another origin, nor for a client that is no page.
  if (origin === null) return { admitted: true, headers: { Vary: "Origin" } };
  const named = { Vary: "Origin", "Access-Control-Allow-Origin": origin };
  if (request.method === "OPTIONS" && request.header("Access-Control-Request-Method") !== null) {
    const headers = {
      ...named,
      "Access-Control-Allow-Methods": door.methods.join(", "),
      "Access-Control-Allow-Headers": door.headers.join(", "),
      "Access-Control-Max-Age": `${MAX_AGE_S}`,
    };
    return { admitted: false, status: 204, headers, text: "", reason: undefined };
  }
  const { exposed = [] } = door;
  return {
    admitted: true,
    headers:
      exposed.length === 0
        ? named
        : { ...named, "Access-Control-Expose-Headers": exposed.join(", ") },
  };
}

/** The answer to a request that was not let in. */
export function refusalOf({ status, headers, text }: Admission & { admitted: false }): Response {
  return new Response(status === 204 ? null : text, { status, headers: { ...headers } });
}
