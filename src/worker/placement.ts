/**
 * Which gateway takes a connection: few shards, filled first. Every awake gateway costs, and every
 * gateway with a subscriber is one more call per publish, so an isolate starts with one shard per
 * region and widens only when a gateway refuses.
 */

/** Carries a region's shard count, as far as the sender knows, between Worker and gateway. */
export const GATEWAY_WIDTH_HEADER = "x-messageloop-gateway-width";
/** Says in a gateway's refusal why: it holds all the sockets it may, or takes no more this second. */
export const REFUSAL_HEADER = "x-messageloop-refusal";
export type Refusal = "full" | "busy";

/** Says which door of the Worker a socket is for. What a client sends under this name goes no further. */
export const DOOR_HEADER = "x-messageloop-door";
/** `stream`: the client sends by calls of its own, and the door writes heartbeats so often, in milliseconds. */
export const HEARTBEAT_HEADER = "x-messageloop-heartbeat";
/** `events`: the client reads only, and the door knows its user; percent-encoded. */
export const USER_HEADER = "x-messageloop-user";
/** `events`: when the client's ticket was made, Unix milliseconds; left out where it has shown a key. */
export const ISSUED_HEADER = "x-messageloop-issued";
export type Door = "stream" | "events";

const MAX_WIDTH = 64;
/** Gateways tried for one connection. */
export const MAX_TRIES = 3;
/** After this long without a refusal the width shrinks by one, in milliseconds. */
const QUIET_MS = 60_000;

/** Regions are the platform's location hints. */
export const REGIONS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;
export type Region = (typeof REGIONS)[number];

/** What a request says of where it comes from; every part may be missing. */
export interface Origin {
  readonly continent?: unknown;
  readonly longitude?: unknown;
}

/** The region nearest to where a request comes from. */
export function regionOf(origin: Origin | undefined): Region {
  const longitude = Number(origin?.longitude);
  switch (origin?.continent) {
    case "NA":
      return longitude < -100 ? "wnam" : "enam";
    case "SA":
      return "sam";
    case "EU":
      return longitude > 20 ? "eeur" : "weur";
    case "AS":
      return longitude < 60 ? "me" : "apac";
    case "OC":
      return "oc";
    case "AF":
      return "afr";
    default:
      return "enam";
  }
}

/**
 * The name of a gateway's object, which begins the ids of its sessions.
 *
 * @example
 * gatewayName("weur", 3); // "weur-3"
 */
export function gatewayName(region: Region, shard: number): string {
  return `${region}-${shard}`;
}

/** The region of a gateway's name, or undefined for a name that was not made here. */
export function parseGatewayName(name: string): { region: Region; shard: number } | undefined {
  const [, prefix, digits] = /^([a-z]+)-(0|[1-9][0-9]?)$/.exec(name) ?? [];
  const region = REGIONS.find((candidate) => candidate === prefix);
  const shard = Number(digits);
  return region === undefined || shard >= MAX_WIDTH ? undefined : { region, shard };
}

/** The widths an isolate believes in, one per region. */
export class Placement {
  readonly #now: () => number;
  readonly #random: () => number;
  readonly #widths = new Map<Region, { width: number; since: number }>();

  /** `now` in Unix milliseconds; `random` in [0, 1). */
  constructor(now: () => number, random: () => number) {
    this.#now = now;
    this.#random = random;
  }

  width(region: Region): number {
    return this.#widths.get(region)?.width ?? 1;
  }

  /** A shard for a fresh connection. */
  pick(region: Region): number {
    this.#shrink(region);
    return Math.floor(this.#random() * this.width(region));
  }

  /**
   * A gateway refused and named the width that it knows. Doubles the width and picks a shard of the new
   * half; at the widest, any shard.
   */
  refused(region: Region, told: number): number {
    const before = Math.min(MAX_WIDTH, Math.max(this.width(region), told));
    const width = Math.min(MAX_WIDTH, before * 2);
    this.#widths.set(region, { width, since: this.#now() });
    const from = width > before ? before : 0;
    return from + Math.floor(this.#random() * (width - from));
  }

  #shrink(region: Region): void {
    const known = this.#widths.get(region);
    if (known === undefined) return;
    const minutes = Math.floor((this.#now() - known.since) / QUIET_MS);
    if (minutes < 1) return;
    const width = Math.max(1, known.width - minutes);
    if (width === 1) this.#widths.delete(region);
    else this.#widths.set(region, { width, since: known.since + minutes * QUIET_MS });
  }
}
