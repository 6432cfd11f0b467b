/** What a load costs in a month, from what the bench has counted and from list prices. */
import type { Billed } from "../../bench/counts.ts";
import { ABLY, CLOUDFLARE, PUSHER } from "./prices.ts";

const DAYS = 30;
const HOUR_SECONDS = 3_600;
/** `limits.sockets_per_gateway`, unless it is set. */
export const SOCKETS_PER_GATEWAY = 2_000;

export interface Load {
  /** That are connected at the same time. */
  readonly clients: number;
  /** How often one of them connects in a day. */
  readonly connects: number;
  /** Of a day, in which they are connected and something is published. */
  readonly hours: number;
  readonly channels: number;
  /** A second, in all channels together. */
  readonly publishes: number;
  /** Of one channel. */
  readonly subscribers: number;
}

/** Counts of the bench for one operation: a publish, or a client that comes and goes. */
export interface Counted {
  /** A publish to so many subscribers of one gateway, by the row of the bench. */
  readonly publishes: readonly {
    readonly row: string;
    readonly subscribers: number;
    readonly channels: number;
    readonly billed: Billed;
  }[];
  readonly connect: Billed;
}

export type Item = keyof typeof CLOUDFLARE.included;

export interface Month {
  /** The row that the load is nearest to. */
  readonly row: string;
  readonly gateways: number;
  readonly published: number;
  readonly billed: Readonly<Record<Item, number>>;
  /** Seconds, if every gateway and every channel is awake as long as anything is published. */
  readonly mostAwakeSeconds: number;
  readonly dollars: { readonly least: number; readonly most: number };
}

/** Dollars of a month with a plan's name, or none where the list has no plan that is large enough. */
export type ListPrice = { readonly plan: string; readonly dollars: number } | undefined;

/**
 * What Cloudflare bills for a load in 30 days.
 *
 * A publish was counted with its publisher and its subscribers on one gateway. Each further gateway is one more call, as docs/cloudflare.md says.
 */
export function onCloudflare(load: Load, counted: Counted): Month {
  const gateways = Math.max(1, Math.ceil(load.clients / SOCKETS_PER_GATEWAY));
  const further = Math.max(0, Math.min(gateways, load.subscribers) - 1);
  const published = load.publishes * activeSeconds(load);
  const came = load.clients * load.connects * DAYS;
  const nearest = rowFor(load, counted);
  const of = (item: Item): number =>
    published * nearest.billed[item] + came * counted.connect[item];
  const mostAwakeSeconds =
    (load.publishes > 0 ? gateways + load.channels : 0) * activeSeconds(load) +
    came * counted.connect.awakeSeconds;
  const billed = {
    workerRequests: of("workerRequests"),
    objectRequests: of("objectRequests") + published * further,
    rowsRead: of("rowsRead"),
    rowsWritten: of("rowsWritten"),
    awakeSeconds: Math.min(of("awakeSeconds"), mostAwakeSeconds),
  };
  return {
    row: nearest.row,
    gateways,
    published,
    billed,
    mostAwakeSeconds,
    dollars: {
      least: dollarsOf(billed),
      most: dollarsOf({ ...billed, awakeSeconds: mostAwakeSeconds }),
    },
  };
}

/** A message counts when it is published and once for each subscriber. */
export function onAbly(load: Load): ListPrice {
  const perSecond = load.publishes * (1 + load.subscribers);
  const fits = ABLY.packages.find(
    ({ connections, channels, messagesPerSecond }) =>
      load.clients <= connections && load.channels <= channels && perSecond <= messagesPerSecond,
  );
  if (fits === undefined) return undefined;
  const millions = (count: number): number => Math.ceil(count / 1e6);
  const minutes = activeSeconds(load) / 60;
  return {
    plan: fits.name,
    dollars:
      fits.base +
      millions(perSecond * activeSeconds(load)) * ABLY.millionMessages +
      millions(load.clients * minutes) * ABLY.millionConnectionMinutes +
      millions(load.channels * minutes) * ABLY.millionChannelMinutes,
  };
}

/** The smallest plan that the load fits in, counted as Ably counts. */
export function onPusher(load: Load): ListPrice {
  const perDay = load.publishes * (1 + load.subscribers) * load.hours * HOUR_SECONDS;
  const fits = PUSHER.plans.find(
    ({ connections, messagesPerDay }) => load.clients <= connections && perDay <= messagesPerDay,
  );
  return fits && { plan: fits.name, dollars: fits.month };
}

function activeSeconds({ hours }: Load): number {
  return hours * HOUR_SECONDS * DAYS;
}

/** Of the rows with at most as many subscribers and channels as the load has, the one with most. */
function rowFor({ subscribers, channels }: Load, { publishes }: Counted) {
  const sorted = publishes.toSorted(
    (a, b) => b.subscribers - a.subscribers || b.channels - a.channels,
  );
  const fits = sorted.find((row) => row.subscribers <= subscribers && row.channels <= channels);
  const row = fits ?? sorted.at(-1);
  if (row === undefined) throw new Error("the bench has counted no publish");
  return row;
}

/** The plan, and what goes beyond what it includes. */
function dollarsOf(billed: Month["billed"]): number {
  const beyond = Object.entries(CLOUDFLARE.included).map(([item, included]) => {
    const count = billed[item as Item];
    return Math.max(0, count - included) * CLOUDFLARE.prices[item as Item];
  });
  return CLOUDFLARE.plan + beyond.reduce((sum, dollars) => sum + dollars, 0);
}
