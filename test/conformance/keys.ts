/** What servers of the suite let in beside clients with tokens: one API key, and tickets that the suite signs itself. */
import { createHash } from "node:crypto";
import { webHmac } from "../../src/http/tickets/hmac.ts";
import { Tickets } from "../../src/http/tickets/tickets.ts";

/** Good for everything. */
export const API_KEY = `ml_suite_${"s".repeat(43)}`;
/** Good for publishing only. */
export const PUBLISHER_KEY = `ml_publisher_${"p".repeat(43)}`;
const TICKET_SECRET = "the secret of the suite's tickets";

/** `api.keys`, as an operator writes it. */
export const KEYS = [
  {
    id: "suite",
    digest: digestOf(API_KEY),
    rights: ["publish", "read", "manage"],
    patterns: ["**"],
  },
  { id: "publisher", digest: digestOf(PUBLISHER_KEY), rights: ["publish"], patterns: ["**"] },
];

/** `api.ticket_keys` */
export const TICKET_KEYS = [
  // Nobody has it any more: tickets of the second are good as well.
  { id: "newer", secret: "a secret that the suite does not sign by" },
  { id: "suite", secret: TICKET_SECRET },
];

export interface TicketTerms {
  readonly user?: string;
  readonly channels: readonly string[];
  /** In milliseconds; default a minute. */
  readonly ttlMs?: number;
  /** How long ago it was made, in milliseconds. */
  readonly age?: number;
}

export async function ticketFor(terms: TicketTerms): Promise<string> {
  const { user = "ada", channels, ttlMs = 60_000, age = 0 } = terms;
  const key = { id: "suite", secret: new TextEncoder().encode(TICKET_SECRET) };
  const clock = { now: () => Date.now() - age };
  const tickets = new Tickets({ keys: [key], hmac: webHmac, clock });
  return (await tickets.mint({ user, channels, ttlMs })).ticket;
}

function digestOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}
