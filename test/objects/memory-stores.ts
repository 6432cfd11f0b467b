/** What objects keep, in memory: it outlives them, and each life of an object opens it anew. */
import type { LogStore } from "../../src/channels/log-store.ts";
import { MemoryLogStore } from "../../src/channels/memory-store.ts";
import { matches } from "../../src/channels/patterns.ts";
import type { PresenceStore, SessionRow } from "../../src/channels/presence.ts";
import type {
  ChannelRegistrationRow,
  ChannelRegistrationTable,
} from "../../src/objects/ports/channel-registrations.ts";
import type {
  ChannelStore,
  GatewayRow,
  GatewayStore,
} from "../../src/objects/ports/channel-store.ts";
import type {
  PatternRegistrationRow,
  PatternRegistrationTable,
} from "../../src/objects/ports/pattern-registrations.ts";
import type { LeaseRow, PatternRow, PatternStore } from "../../src/objects/ports/pattern-store.ts";

export class MemoryChannelStore implements ChannelStore {
  readonly rows = new Map<string, GatewayRow>();
  readonly present = new Map<string, SessionRow>();
  readonly #log = new MemoryLogStore();
  #quiet: number | undefined;

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

  presence(): PresenceStore {
    return {
      sessions: () => [...this.present.values()],
      save: (row) => this.present.set(row.sessionId, { ...row }),
      drop: (sessionId) => this.present.delete(sessionId),
    };
  }
}

export class MemoryChannelRegistrations implements ChannelRegistrationTable {
  readonly #rows = new Map<string, ChannelRegistrationRow>();

  get size(): number {
    return this.#rows.size;
  }

  get(channel: string): ChannelRegistrationRow | undefined {
    return this.#rows.get(channel);
  }

  set(channel: string, row: ChannelRegistrationRow): void {
    this.#rows.set(channel, row);
  }

  delete(channel: string): void {
    this.#rows.delete(channel);
  }

  all(): Iterable<ChannelRegistrationRow & { readonly channel: string }> {
    return [...this.#rows].map(([channel, row]) => ({ channel, ...row }));
  }
}

export class MemoryPatternRegistrations implements PatternRegistrationTable {
  readonly #rows = new Map<string, PatternRegistrationRow>();
  #version = 0;

  get size(): number {
    return this.#rows.size;
  }

  nextVersion(): number {
    this.#version += 1;
    return this.#version;
  }

  get(pattern: string): PatternRegistrationRow | undefined {
    return this.#rows.get(pattern);
  }

  set(pattern: string, row: PatternRegistrationRow): void {
    this.#rows.set(pattern, row);
  }

  delete(pattern: string): void {
    this.#rows.delete(pattern);
  }

  all(): Iterable<PatternRegistrationRow & { readonly pattern: string }> {
    return [...this.#rows].map(([pattern, row]) => ({ pattern, ...row }));
  }
}

export class MemoryPatternStore implements PatternStore {
  readonly #patterns = new Map<string, PatternRow>();
  readonly #leases = new Map<string, number>();

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
