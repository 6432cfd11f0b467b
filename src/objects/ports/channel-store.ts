/**
 * What a channel's object keeps. Every method is synchronous, and what one turn of the event loop writes
 * becomes durable together.
 */
import type { LogStore } from "../../channels/log-store.ts";
import type { PresenceStore } from "../../channels/presence.ts";

/** A gateway as its row remembers it. */
export interface GatewayRow {
  readonly name: string;
  /** Empty where the gateway hears the channel through a pattern alone; then it has a row while it is owed. */
  readonly registration: string;
  /** What it had confirmed when a delivery became owed; undefined means it was at head. */
  readonly confirmed: number | undefined;
  /** Whether it gets joins and leaves. */
  readonly presence: boolean;
  /** By which pattern it hears the channel beside that, as far as the channel knew. */
  readonly pattern: { readonly version: number; readonly follows: boolean } | undefined;
}

/** The channel's gateways, and since when none listens. */
export interface GatewayStore {
  /** Those that were there when the store was opened. */
  all(): Iterable<GatewayRow>;
  save(row: GatewayRow): void;
  drop(name: string): void;
  /** When the last gateway went or the object was born, Unix milliseconds; undefined before birth. */
  quietSince(): number | undefined;
  setQuiet(since: number): void;
}

/** The region to which a channel reports that it exists, and its last report. */
export interface Reported {
  readonly region: string;
  /** Undefined before the first report has arrived. `until` as in a ReportRow. */
  readonly said: { readonly members: number; readonly until: number | undefined } | undefined;
}

export interface ReportedStore {
  /** Undefined where the channel has never reported. */
  read(): Reported | undefined;
  save(reported: Reported): void;
}

/** The stores of one channel, opened for one life of it and at most once, except `presence`. */
export interface ChannelStore {
  /** A channel whose log ends with its life never opens it. */
  log(): LogStore;
  gateways(): GatewayStore;
  /** A channel that does not report never writes to it. */
  reported(): ReportedStore;
  /**
   * The members. A channel that is only published to never opens it; after a write that failed it is
   * opened and read again.
   */
  presence(): PresenceStore;
}
