/**
 * What a session must remember while its gateway sleeps: its record rides in the socket's
 * attachment, which lives exactly as long as the socket. A record too large for that goes to the
 * object's database, and the attachment points there.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type SessionMarks,
  type SessionRecord,
  SessionRecordSchema,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { bufferOf, type SqlLike } from "./sql-store.ts";

/** The platform takes 16,384 bytes, its own framing included. */
const MAX_ATTACHMENT_BYTES = 16_000;

/** The part of a hibernatable socket that is used. */
export interface AttachedSocket {
  serializeAttachment(value: unknown): void;
  deserializeAttachment(): unknown;
}

/** What the marks of a session add to a record, at most: four numbers and two frames. */
const MARKS_BYTES = 64;

export class SessionRecords {
  readonly #sql: SqlLike;
  /** Sessions of this life that have a row. */
  readonly #overflowed = new Set<string>();
  /** What each socket carries, without marks, so that a mark costs no second encoding. */
  readonly #carried = new WeakMap<AttachedSocket, Uint8Array>();

  constructor(sql: SqlLike) {
    this.#sql = sql;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID",
    );
  }

  /** Keeps a record; what was marked before is forgotten. */
  save(socket: AttachedSocket, record: SessionRecord): void {
    const bytes = toBinary(SessionRecordSchema, record);
    if (bytes.length + MARKS_BYTES <= MAX_ATTACHMENT_BYTES) {
      this.#attach(socket, bytes);
      if (this.#overflowed.has(record.sessionId)) this.remove(record.sessionId);
      return;
    }
    this.#sql.exec(
      "INSERT OR REPLACE INTO sessions (id, record) VALUES (?, ?)",
      record.sessionId,
      bufferOf(bytes),
    );
    this.#overflowed.add(record.sessionId);
    const { sessionId, encoding } = record;
    const pointer = create(SessionRecordSchema, { sessionId, encoding, overflow: true });
    this.#attach(socket, toBinary(SessionRecordSchema, pointer));
  }

  /** Keeps marks beside the record. Never writes a row. */
  mark(socket: AttachedSocket, marks: SessionMarks): void {
    const carried = this.#carried.get(socket) ?? this.#unmarked(socket);
    if (carried === undefined) return;
    const added = toBinary(SessionRecordSchema, create(SessionRecordSchema, { marks }));
    const bytes = new Uint8Array(carried.length + added.length);
    bytes.set(carried);
    bytes.set(added, carried.length);
    socket.serializeAttachment(bytes);
  }

  /** The record of a socket, or undefined for one that carries none. */
  load(socket: AttachedSocket): SessionRecord | undefined {
    const attachment = socket.deserializeAttachment();
    if (!(attachment instanceof Uint8Array)) return undefined;
    const record = fromBinary(SessionRecordSchema, attachment);
    if (!record.overflow) return record;
    this.#overflowed.add(record.sessionId);
    for (const row of this.#sql.exec(
      "SELECT record FROM sessions WHERE id = ?",
      record.sessionId,
    )) {
      const whole = fromBinary(SessionRecordSchema, new Uint8Array(row["record"] as ArrayBuffer));
      if (record.marks !== undefined) whole.marks = record.marks;
      return whole;
    }
    return record;
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

  #attach(socket: AttachedSocket, bytes: Uint8Array): void {
    this.#carried.set(socket, bytes);
    socket.serializeAttachment(bytes);
  }

  /** What a socket carries, found again after a sleep. */
  #unmarked(socket: AttachedSocket): Uint8Array | undefined {
    const attachment = socket.deserializeAttachment();
    if (!(attachment instanceof Uint8Array)) return undefined;
    const { marks: _, ...record } = fromBinary(SessionRecordSchema, attachment);
    const bytes = toBinary(SessionRecordSchema, create(SessionRecordSchema, record));
    this.#carried.set(socket, bytes);
    return bytes;
  }
}
