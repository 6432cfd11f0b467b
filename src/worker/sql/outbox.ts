/**
 * Lifecycle events in an object's SQLite, and which sessions are connected. An object without hooks has no table of
 * them.
 */
import type { LifecycleEvent, LifecycleKind } from "../../engine/ports/lifecycle.ts";
import type { Clock, Random } from "../../engine/ports/platform.ts";
import {
  decodeEvent,
  encodeEvent,
  lostEnd,
  MAX_EVENTS,
  type Outbox,
  type OutboxPage,
  type OutboxRow,
  type Place,
} from "../../hooks/outbox.ts";
import { bufferOf, bytesOf, LateTable, type SqlLike } from "./sql.ts";

export interface SqlOutboxTerms {
  /** The kinds that some backend takes. */
  readonly kinds: ReadonlySet<LifecycleKind>;
  readonly clock: Clock;
  readonly random: Random;
  /** Events that are kept. Default MAX_EVENTS. */
  readonly most?: number;
  /** Called when something is written, so that the object can make sure of its alarm. */
  written(): void;
}

export class SqlOutbox implements Outbox {
  readonly remembers = true;
  readonly #terms: SqlOutboxTerms;
  /** A channel's object has no sessions. */
  readonly #events: LateTable;
  readonly #sessions: LateTable;
  /** Undefined until they were read. */
  #size: number | undefined;
  #last: number | undefined;
  #overflowed = 0;

  constructor(sql: SqlLike, terms: SqlOutboxTerms) {
    this.#terms = terms;
    const columns = "(session TEXT PRIMARY KEY, ending BLOB NOT NULL) WITHOUT ROWID";
    this.#sessions = new LateTable(sql, "lifecycle_sessions", columns);
    const places = "(place INTEGER PRIMARY KEY, event BLOB NOT NULL)";
    this.#events = new LateTable(sql, "lifecycle_events", places);
  }

  get size(): number {
    this.#size ??= this.#events.number("SELECT count(*) FROM lifecycle_events");
    return this.#size;
  }

  get overflowed(): number {
    return this.#overflowed;
  }

  /** @throws MessagingError UNAVAILABLE where the storage does not take it */
  add(events: readonly LifecycleEvent[]): undefined {
    const { kinds, random } = this.#terms;
    for (const event of events) {
      if (kinds.has("disconnected")) {
        if (event.kind === "disconnected" && !this.#forget(event.sessionId)) continue;
        if (event.kind === "connected") this.#remember(lostEnd(event, random.uuid()));
      }
      if (kinds.has(event.kind)) this.#insert(event);
    }
    this.#terms.written();
    return undefined;
  }

  read(after: Place | undefined, limit: number): OutboxPage {
    if (!this.#events.exists) return { rows: [], next: undefined };
    // What has been read may be removed before anything is added.
    this.#lastPlace();
    const query =
      "SELECT place, event FROM lifecycle_events WHERE place > ? ORDER BY place LIMIT ?";
    const found = [...this.#events.rows(query, Number(after ?? 0), limit)];
    const rows: OutboxRow[] = [];
    for (const row of found) {
      const place = Number(row["place"]);
      const event = decodeEvent(bytesOf(row["event"]));
      // Of a version that knew other kinds.
      if (event === undefined) this.#delete(place);
      else rows.push({ place, event });
    }
    const last = found.at(-1);
    return { rows, next: last === undefined ? undefined : Number(last["place"]) };
  }

  remove(rows: readonly OutboxRow[]): void {
    try {
      for (const { place } of rows) this.#delete(Number(place));
    } catch {
      // They have been taken, and are sent again by a later life: the log has the reason from the database.
    }
  }

  /**
   * Reports the end of those that are remembered as connected and are not there: the object was reset under them.
   *
   * @param live whether a session is there
   */
  endOthers(live: (sessionId: string) => boolean): void {
    const now = this.#terms.clock.now();
    for (const row of [...this.#sessions.rows("SELECT session, ending FROM lifecycle_sessions")]) {
      const session = `${row["session"]}`;
      if (live(session) || !this.#forget(session)) continue;
      const event = decodeEvent(bytesOf(row["ending"]), now);
      if (event !== undefined) this.#insert(event);
    }
  }

  /** The database is empty. */
  forgotten(): void {
    this.#events.forgotten();
    this.#sessions.forgotten();
    this.#size = undefined;
  }

  #insert(event: LifecycleEvent): void {
    this.#events.make();
    const place = this.#lastPlace() + 1;
    const before = this.size;
    this.#events.write({ place, event: bufferOf(encodeEvent(event)) });
    this.#last = place;
    this.#size = before + 1;
    if (this.#size <= (this.#terms.most ?? MAX_EVENTS)) return;
    const oldest = this.#events.number("SELECT min(place) FROM lifecycle_events");
    this.#delete(oldest);
    this.#overflowed += 1;
  }

  #delete(place: number): void {
    const before = this.size;
    const query = "DELETE FROM lifecycle_events WHERE place = ? RETURNING place";
    this.#size = before - [...this.#events.rows(query, place)].length;
  }

  #remember(ending: LifecycleEvent): void {
    const { sessionId: session } = ending;
    this.#sessions.write({ session, ending: bufferOf(encodeEvent(ending)) });
  }

  /** Returns whether it was remembered. */
  #forget(session: string): boolean {
    const query = "DELETE FROM lifecycle_sessions WHERE session = ? RETURNING session";
    return [...this.#sessions.rows(query, session)].length > 0;
  }

  /** No place is used again within a life, which goes on after those that it has read. */
  #lastPlace(): number {
    this.#last ??= this.#events.number("SELECT max(place) FROM lifecycle_events");
    return this.#last;
  }
}
