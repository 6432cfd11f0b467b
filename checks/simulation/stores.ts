/** What objects keep, in memory, with each row that is written counted as Cloudflare counts it. */
import type { LogMeta, LogRow, LogStore } from "../../src/channels/log-store.ts";
import type { GatewayRow, GatewayStore } from "../../src/objects/ports/channel-store.ts";
import type { LeaseRow } from "../../src/objects/ports/pattern-store.ts";
import {
  MemoryChannelStore,
  MemoryPatternStore,
  MemoryRegistrations,
} from "../../src/threads/objects/memory-stores.ts";

/** Called with each row that is written. */
export type Wrote = () => void;

export class CountedChannelStore extends MemoryChannelStore {
  readonly #wrote: Wrote;

  constructor(wrote: Wrote) {
    super();
    this.#wrote = wrote;
  }

  override log(): LogStore {
    const log = super.log();
    const wrote = this.#wrote;
    return {
      meta: () => log.meta(),
      setMeta: (meta: LogMeta) => {
        wrote();
        log.setMeta(meta);
      },
      newest: () => log.newest(),
      oldest: () => log.oldest(),
      time: (offset) => log.time(offset),
      append: (row: LogRow, reuse: boolean) => {
        wrote();
        log.append(row, reuse);
      },
      read: (after, until) => log.read(after, until),
      readBack: (after, until) => log.readBack(after, until),
      keys: () => log.keys(),
    };
  }

  override gateways(): GatewayStore {
    const rows = super.gateways();
    const wrote = this.#wrote;
    return {
      all: () => rows.all(),
      save: (row: GatewayRow) => {
        wrote();
        rows.save(row);
      },
      drop: (name) => {
        wrote();
        rows.drop(name);
      },
      quietSince: () => rows.quietSince(),
      setQuiet: (since) => {
        wrote();
        rows.setQuiet(since);
      },
    };
  }
}

export class CountedRegistrations<Row> extends MemoryRegistrations<Row> {
  readonly #wrote: Wrote;

  constructor(wrote: Wrote) {
    super();
    this.#wrote = wrote;
  }

  override set(name: string, row: Row): void {
    this.#wrote();
    super.set(name, row);
  }

  override delete(name: string): void {
    this.#wrote();
    super.delete(name);
  }
}

export class CountedPatternStore extends MemoryPatternStore {
  readonly #wrote: Wrote;

  constructor(wrote: Wrote) {
    super();
    this.#wrote = wrote;
  }

  override saveLease(row: LeaseRow): void {
    this.#wrote();
    super.saveLease(row);
  }
}
