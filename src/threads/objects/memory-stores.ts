/** What objects keep, in memory: it outlives them, and each life of an object opens it anew. */
import type { LogRow, LogStore } from "../../channels/log-store.ts";
import { MemoryLogStore } from "../../channels/memory-store.ts";
import { compareNames, type NameRange } from "../../channels/name-order.ts";
import { matches } from "../../channels/patterns.ts";
import type { PresenceStore, SessionRow } from "../../channels/presence.ts";
import type { Incident } from "../../engine/ports/incidents.ts";
import type {
  ChannelStore,
  GatewayRow,
  GatewayStore,
  Reported,
  ReportedStore,
} from "../../objects/ports/channel-store.ts";
import type { LeaseRow, PatternRow, PatternStore } from "../../objects/ports/pattern-store.ts";
import type {
  PatternRegistrationRow,
  PatternRegistrationTable,
  RegistrationTable,
} from "../../objects/ports/registrations.ts";
import type { GatewayCounts, ReportRow, ReportStore } from "../../objects/ports/report-store.ts";
import type {
  UserRevocationRow,
  UserSessionRow,
  UserStore,
} from "../../objects/ports/user-store.ts";

/** A log store that keeps no more than the rows: what a body was a part of, such as all that came in a turn, may go. */
class OwnMemoryLogStore extends MemoryLogStore {
  override append(row: LogRow, reuse: boolean): void {
    super.append({ ...row, body: new Uint8Array(row.body) }, reuse);
  }
}

export class MemoryChannelStore implements ChannelStore {
  readonly rows = new Map<string, GatewayRow>();
  readonly present = new Map<string, SessionRow>();
  readonly #log = new OwnMemoryLogStore();
  #quiet: number | undefined;
  #reported: Reported | undefined;

  /** Bytes of the messages that it keeps, with what each takes beside its body. */
  get bytes(): number {
    return this.#log.bytes;
  }

  log(): LogStore {
    return this.#log;
  }

  gateways(): GatewayStore {
    return {
      all: () => [...this.rows.values()],
      // What the caller goes on working with is not what is kept.
      save: (row) =>
        this.rows.set(row.name, { ...row, pattern: row.pattern && { ...row.pattern } }),
      drop: (name) => this.rows.delete(name),
      quietSince: () => this.#quiet,
      setQuiet: (since) => {
        this.#quiet = since;
      },
    };
  }

  reported(): ReportedStore {
    return {
      read: () => this.#reported,
      save: (reported) => {
        this.#reported = reported;
      },
    };
  }

  presence(): PresenceStore {
    return {
      sessions: () => [...this.present.values()],
      save: (row) => this.present.set(row.sessionId, { ...row }),
      drop: (sessionId) => this.present.delete(sessionId),
    };
  }
}

export class MemoryRegistrations<Row> implements RegistrationTable<Row> {
  readonly #rows: Map<string, Row>;

  /** @param rows what an earlier life has left */
  constructor(rows = new Map<string, Row>()) {
    this.#rows = rows;
  }

  get size(): number {
    return this.#rows.size;
  }

  get(name: string): Row | undefined {
    return this.#rows.get(name);
  }

  set(name: string, row: Row): void {
    this.#rows.set(name, row);
  }

  delete(name: string): void {
    this.#rows.delete(name);
  }

  all(): Iterable<readonly [name: string, row: Row]> {
    return [...this.#rows];
  }
}

export class MemoryPatternRegistrations
  extends MemoryRegistrations<PatternRegistrationRow>
  implements PatternRegistrationTable
{
  #version = 0;

  nextVersion(): number {
    this.#version += 1;
    return this.#version;
  }
}

export class MemoryUserStore implements UserStore {
  readonly rows = new Map<string, UserSessionRow>();
  readonly revoked = new Map<string, UserRevocationRow>();

  sessions(): Iterable<UserSessionRow> {
    return [...this.rows.values()];
  }

  save(row: UserSessionRow): void {
    this.rows.set(row.sessionId, row);
  }

  drop(sessionId: string): void {
    this.rows.delete(sessionId);
  }

  revocations(): Iterable<UserRevocationRow> {
    return [...this.revoked.values()];
  }

  saveRevocation(row: UserRevocationRow): void {
    this.revoked.set(row.tokenId, { ...row, owed: [...row.owed] });
  }

  dropRevocation(tokenId: string): void {
    this.revoked.delete(tokenId);
  }
}

export class MemoryReportStore implements ReportStore {
  readonly rows = new Map<string, ReportRow>();
  readonly gateways = new Map<string, GatewayCounts>();
  readonly met = new Map<string, readonly Incident[]>();
  /** Rows that were written. */
  written = 0;

  get empty(): boolean {
    return this.rows.size === 0 && this.gateways.size === 0;
  }

  saveCounts(row: GatewayCounts): void {
    this.written += 1;
    this.gateways.set(row.gateway, row);
  }

  counts(): Iterable<GatewayCounts> {
    return [...this.gateways.values()];
  }

  saveIncidents(gateway: string, incidents: readonly Incident[]): void {
    this.written += 1;
    this.met.set(gateway, incidents);
  }

  incidents(): ReadonlyMap<string, readonly Incident[]> {
    return this.met;
  }

  save(row: ReportRow): void {
    this.written += 1;
    this.rows.set(row.channel, row);
  }

  list(after: string, { first, end }: NameRange, limit: number): Iterable<ReportRow> {
    return [...this.rows.values()]
      .filter(
        ({ channel }) => compareNames(channel, after) > 0 && compareNames(channel, first) >= 0,
      )
      .filter(({ channel }) => end === undefined || compareNames(channel, end) < 0)
      .sort((one, other) => compareNames(one.channel, other.channel))
      .slice(0, limit);
  }

  dropOver(time: number): void {
    for (const { channel, until } of this.rows.values()) {
      if (until !== undefined && until <= time) this.rows.delete(channel);
    }
  }

  firstEnd(): number | undefined {
    const ends = [...this.rows.values()].flatMap(({ until }) => until ?? []);
    return ends.length === 0 ? undefined : Math.min(...ends);
  }
}

export class MemoryPatternStore implements PatternStore {
  readonly #patterns = new Map<string, PatternRow>();
  readonly #leases = new Map<string, number>();
  readonly #knownSince: () => number;

  /** @param knownSince since when nothing was lost, Unix milliseconds. Default ever. */
  constructor(knownSince = () => 0) {
    this.#knownSince = knownSince;
  }

  knownSince(): number {
    return this.#knownSince();
  }

  patterns(): Iterable<PatternRow> {
    return [...this.#patterns.values()];
  }

  savePattern(row: PatternRow): void {
    this.#patterns.set(`${row.pattern} ${row.gateway}`, row);
  }

  dropPattern(pattern: string, gateway: string): void {
    this.#patterns.delete(`${pattern} ${gateway}`);
  }

  saveLease({ channel, leasedAt }: LeaseRow): void {
    this.#leases.set(channel, leasedAt);
  }

  leasesSince(time: number): Iterable<LeaseRow> {
    return this.#rows().filter(({ leasedAt }) => leasedAt >= time);
  }

  channels(pattern: string, time: number): Iterable<string> {
    return this.#rows()
      .filter(({ channel, leasedAt }) => leasedAt >= time && matches(pattern, channel))
      .map(({ channel }) => channel)
      .reverse();
  }

  span(): { readonly first: number; readonly last: number } | undefined {
    const rows = this.#rows();
    const [first, last] = [rows[0], rows.at(-1)];
    return first && last && { first: first.leasedAt, last: last.leasedAt };
  }

  dropLeases(time: number): void {
    for (const [channel, leasedAt] of this.#leases) {
      if (leasedAt < time) this.#leases.delete(channel);
    }
  }

  /** The oldest first. */
  #rows(): LeaseRow[] {
    return [...this.#leases]
      .map(([channel, leasedAt]) => ({ channel, leasedAt }))
      .sort((left, right) => left.leasedAt - right.leasedAt);
  }
}
