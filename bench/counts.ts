/** What Cloudflare bills, counted, and what it costs. */

/** Counted since a program began, or between two moments. */
export interface Counts {
  /** Requests of clients to the Worker, upgrades among them. */
  readonly workerRequests: number;
  /** Calls of objects, by class and method; `fetch` is an upgrade. */
  readonly calls: Readonly<Record<string, number>>;
  /** Messages that clients have sent to objects. */
  readonly messages: number;
  readonly alarms: number;
  readonly rowsRead: number;
  /** Alarms that were set are among them. */
  readonly rowsWritten: number;
  /** How long objects could not sleep, in milliseconds, by class. */
  readonly awakeMs: Readonly<Record<string, number>>;
  /** Timers of nobody who is known: their time is missing above. */
  readonly lostTimers: number;
}

/** What is billed, in the units of the price list. */
export interface Billed {
  readonly workerRequests: number;
  /** Upgrades, calls, alarms, and each twentieth message of a client. */
  readonly objectRequests: number;
  /** Of them, calls that objects make to each other. */
  readonly calls: number;
  readonly messages: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
  /** Seconds in which an object is active or cannot sleep. */
  readonly awakeSeconds: number;
}

/** How many messages of clients are billed as one request. */
const MESSAGES_PER_REQUEST = 20;
/** Gigabytes that an awake object is billed with, whatever it takes. */
const OBJECT_GB = 0.128;

/**
 * Dollars for one, beyond what Workers Paid includes: developers.cloudflare.com, durable-objects/platform/pricing and
 * workers/platform/pricing, as of 2026-11-23. What the Worker in front takes of CPU is not in it.
 */
export const PRICES = {
  workerRequests: 0.3e-6,
  objectRequests: 0.15e-6,
  rowsRead: 0.001e-6,
  rowsWritten: 1e-6,
  awakeSeconds: 12.5e-6 * OBJECT_GB,
} as const satisfies Partial<Record<keyof Billed, number>>;

/** What is billed for everything between two moments. */
export function billedBetween(before: Counts, after: Counts): Billed {
  const lost = after.lostTimers - before.lostTimers;
  if (lost > 0) throw new Error(`${lost} timers have no object: awake time cannot be counted`);
  const sum = (of: (counts: Counts) => number): number => of(after) - of(before);
  const upgrades = sum(({ calls }) => total(calls, (name) => name.endsWith(".fetch")));
  const calls = sum((counts) => total(counts.calls)) - upgrades;
  const messages = sum((counts) => counts.messages);
  const alarms = sum((counts) => counts.alarms);
  return {
    workerRequests: sum((counts) => counts.workerRequests),
    objectRequests: upgrades + calls + alarms + messages / MESSAGES_PER_REQUEST,
    calls,
    messages,
    rowsRead: sum((counts) => counts.rowsRead),
    rowsWritten: sum((counts) => counts.rowsWritten),
    awakeSeconds: sum((counts) => total(counts.awakeMs)) / 1_000,
  };
}

/** Dollars. */
export function priceOf(billed: Billed): number {
  let dollars = 0;
  for (const [name, price] of Object.entries(PRICES)) {
    dollars += price * billed[name as keyof typeof PRICES];
  }
  return dollars;
}

function total(
  counts: Readonly<Record<string, number>>,
  which: (name: string) => boolean = () => true,
): number {
  return Object.entries(counts).reduce((sum, [name, count]) => {
    return which(name) ? sum + count : sum;
  }, 0);
}
