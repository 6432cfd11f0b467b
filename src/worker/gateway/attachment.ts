/**
 * What a session must remember while its gateway sleeps: its record rides in the socket's
 * attachment, which lives exactly as long as the socket. A record too large for that goes to the
 * object's database, and the attachment points there.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { joined } from "../../protocol/bytes.ts";
import {
  type SessionMarks,
  SessionMarksSchema,
  type SessionRecord,
  SessionRecordSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { addColumns, bufferOf, bytesOf, firstRow, type SqlLike, writeRow } from "../sql/sql.ts";

/** The platform takes 16,384 bytes, its own framing included. */
const MAX_ATTACHMENT_BYTES = 16_000;

/** The part of a hibernatable socket that is used. */
export interface AttachedSocket {
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): unknown;
}

/** What the marks of a session add to a record where it carries no channels: four numbers and two frames. */
const MARKS_BYTES = 64;

/**
 * Keeps the records of sessions with their sockets.
 *
 * @example
 * const records = new SessionRecords(ctx.storage.sql);
 * records.save(socket, session.record());
 * records.load(socket); // the record, in another life of the object
 */
export class SessionRecords {
  readonly #sql: SqlLike;
  /** Sessions of this life that have a row. */
  readonly #overflowed = new Set<string>();
  /** What each socket carries, without marks, so that a mark costs no second encoding. */
  readonly #carried = new WeakMap<AttachedSocket, Carried>();

  constructor(sql: SqlLike) {
    this.#sql = sql;
    sql.exec(
      `CREATE TABLE IF NOT EXISTS sessions (
        id TEXT PRIMARY KEY, record BLOB NOT NULL, marks BLOB
      ) WITHOUT ROWID`,
    );
    // Objects from before marks could grow have the table without their column.
    addColumns(sql, "sessions", { marks: "BLOB" });
  }

  /** Keeps a record; what was marked before is forgotten. */
  save(socket: AttachedSocket, record: SessionRecord): void {
    const bytes = toBinary(SessionRecordSchema, record);
    const { sessionId } = record;
    if (bytes.length + MARKS_BYTES <= MAX_ATTACHMENT_BYTES) {
      this.#carry(socket, { sessionId, bytes, spilled: false });
      socket.serializeAttachment(bytes);
      if (this.#overflowed.has(sessionId)) this.remove(sessionId);
    } else this.#overflow(socket, bytes);
  }

  /** Keeps marks beside the record. Writes a row only for a session that has more than fits beside it. */
  mark(socket: AttachedSocket, marks: SessionMarks): void {
    let carried = this.#carried.get(socket) ?? this.#unmarked(socket);
    if (carried === undefined) return;
    let added = encodeMarks(marks);
    if (carried.bytes.length + added.length > MAX_ATTACHMENT_BYTES) {
      if (!this.#overflowed.has(carried.sessionId)) carried = this.#overflow(socket, carried.bytes);
      const { seenChannels } = marks;
      this.#spill(carried.sessionId, encodeMarks(create(SessionMarksSchema, { seenChannels })));
      carried.spilled = true;
      added = encodeMarks({ ...marks, seenChannels: [] });
    } else if (carried.spilled) {
      this.#spill(carried.sessionId, null);
      carried.spilled = false;
    }
    // The encodings of two messages one after the other are the encoding of both.
    socket.serializeAttachment(joined([carried.bytes, added]));
  }

  /** The record of a socket, or undefined for one that carries none. */
  load(socket: AttachedSocket): SessionRecord | undefined {
    const attachment = socket.deserializeAttachment();
    if (!(attachment instanceof Uint8Array)) return undefined;
    const record = fromBinary(SessionRecordSchema, attachment);
    if (!record.overflow) return record;
    const { sessionId } = record;
    this.#overflowed.add(sessionId);
    const row = firstRow(this.#sql, "SELECT record, marks FROM sessions WHERE id = ?", sessionId);
    if (row === undefined) return record;
    const whole = fromBinary(
      SessionRecordSchema,
      joined([bytesOf(row["record"]), bytesOf(row["marks"]), attachment]),
    );
    whole.overflow = false;
    const carried = this.#unmarked(socket);
    if (carried !== undefined) carried.spilled = row["marks"] !== null;
    return whole;
  }

  /** Takes the record off a socket whose session has ended. */
  forget(socket: AttachedSocket): void {
    this.#carried.delete(socket);
    socket.serializeAttachment(null);
  }

  /** Forgets the row of a session that has ended, where it has one. */
  remove(sessionId: string): void {
    if (!this.#overflowed.delete(sessionId)) return;
    this.#sql.exec("DELETE FROM sessions WHERE id = ?", sessionId);
  }

  /** Deletes rows of sessions whose sockets were lost without a close event. */
  sweep(live: (sessionId: string) => boolean): void {
    for (const row of [...this.#sql.exec("SELECT id FROM sessions")]) {
      const id = `${row["id"]}`;
      if (!live(id)) this.#sql.exec("DELETE FROM sessions WHERE id = ?", id);
    }
  }

  /** Puts a record into the database and a pointer to it on the socket. */
  #overflow(socket: AttachedSocket, record: Uint8Array): Carried {
    const { sessionId, encoding } = fromBinary(SessionRecordSchema, record);
    writeRow(this.#sql, "sessions", { id: sessionId, record: bufferOf(record), marks: null });
    this.#overflowed.add(sessionId);
    const pointer = create(SessionRecordSchema, { sessionId, encoding, overflow: true });
    const bytes = toBinary(SessionRecordSchema, pointer);
    socket.serializeAttachment(bytes);
    return this.#carry(socket, { sessionId, bytes, spilled: false });
  }

  #spill(sessionId: string, marks: Uint8Array | null): void {
    const value = marks && bufferOf(marks);
    this.#sql.exec("UPDATE sessions SET marks = ? WHERE id = ?", value, sessionId);
  }

  #carry(socket: AttachedSocket, carried: Carried): Carried {
    this.#carried.set(socket, carried);
    return carried;
  }

  /** What a socket carries, found again after a sleep. */
  #unmarked(socket: AttachedSocket): Carried | undefined {
    const attachment = socket.deserializeAttachment();
    if (!(attachment instanceof Uint8Array)) return undefined;
    const { marks: _, ...record } = fromBinary(SessionRecordSchema, attachment);
    const bytes = toBinary(SessionRecordSchema, create(SessionRecordSchema, record));
    return this.#carry(socket, { sessionId: record.sessionId, bytes, spilled: false });
  }
}

interface Carried {
  readonly sessionId: string;
  /** A record without marks, or the pointer to one. */
  readonly bytes: Uint8Array;
  /** Whether the row holds a part of the marks. */
  spilled: boolean;
}

/** Marks alone, to be written after a record. */
function encodeMarks(marks: SessionMarks): Uint8Array {
  return toBinary(SessionRecordSchema, create(SessionRecordSchema, { marks }));
}
