/** List prices in US dollars, each with where it stands and when it was read. Taxes are not in them. */
import { PRICES } from "../../bench/counts.ts";

export interface Source {
  readonly url: string;
  /** The day on which it was read. */
  readonly read: string;
}

/** Workers Paid: what a month costs, and what it includes. Prices beyond that are those of the bench. */
export const CLOUDFLARE = {
  sources: [
    {
      url: "https://developers.cloudflare.com/durable-objects/platform/pricing/",
      read: "2026-12-01",
    },
    { url: "https://developers.cloudflare.com/workers/platform/pricing/", read: "2026-11-23" },
  ],
  plan: 5,
  included: {
    workerRequests: 10e6,
    objectRequests: 1e6,
    rowsRead: 25e9,
    rowsWritten: 50e6,
    /** 400,000 GB-s, of objects with 128 MB. */
    awakeSeconds: 400_000 / 0.128,
  },
  prices: PRICES,
} as const;

/** Packages by resources, which Ably keeps for accounts from before its packages by monthly active users. */
export const ABLY = {
  sources: [
    { url: "https://ably.com/docs/platform/pricing/resource-based", read: "2026-12-01" },
    { url: "https://ably.com/docs/platform/pricing/examples/livestream", read: "2026-12-01" },
  ],
  packages: [
    { name: "Standard", base: 29, connections: 10_000, channels: 10_000, messagesPerSecond: 2_500 },
    { name: "Pro", base: 399, connections: 50_000, channels: 50_000, messagesPerSecond: 10_000 },
  ],
  millionMessages: 2.5,
  millionConnectionMinutes: 1,
  millionChannelMinutes: 1,
} as const;

export const PUSHER = {
  sources: [
    { url: "https://pusher.com/channels/pricing", read: "2026-05-08" },
    { url: "https://pusher.com/legal/quotas/", read: "2026-12-01" },
  ],
  plans: [
    { name: "Sandbox", month: 0, connections: 100, messagesPerDay: 200_000 },
    { name: "Startup", month: 49, connections: 500, messagesPerDay: 1_000_000 },
    { name: "Pro", month: 99, connections: 2_000, messagesPerDay: 4_000_000 },
    { name: "Business", month: 299, connections: 5_000, messagesPerDay: 10_000_000 },
    { name: "Premium", month: 499, connections: 10_000, messagesPerDay: 20_000_000 },
    { name: "Growth", month: 699, connections: 15_000, messagesPerDay: 40_000_000 },
    { name: "Plus", month: 899, connections: 20_000, messagesPerDay: 60_000_000 },
    { name: "Growth Plus", month: 1_199, connections: 30_000, messagesPerDay: 90_000_000 },
  ],
} as const;
