/**
 * What a session must remember while its gateway sleeps: its record rides in the socket's
 * attachment, which lives exactly as long as the socket. A record too large for it leaves its
 * subscriptions in the object's database.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
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

export class SessionRecords {
  readonly #sql: SqlLike;
  /** Sessions of this life that have a row. */
  readonly #overflowed = new Set<string>();

  constructor(sql: SqlLike) {
    this.#sql = sql;
    sql.exec(
      "CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID",
    );
  }

  save(socket: AttachedSocket, record: SessionRecord): void {
    const bytes = toBinary(SessionRecordSchema, record);
    if (bytes.length <= MAX_ATTACHMENT_BYTES) {
      socket.serializeAttachment(bytes);
      if (this.#overflowed.has(record.sessionId)) this.remove(record.sessionId);
      return;
    }
    this.#sql.exec(
      "INSERT OR REPLACE INTO sessions (id, record) VALUES (?, ?)",
      record.sessionId,
      bufferOf(bytes),
    );
    this.#overflowed.add(record.sessionId);
    const rest = create(SessionRecordSchema, { ...record, subscriptions: [], overflow: true });
    socket.serializeAttachment(toBinary(SessionRecordSchema, rest));
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
      return fromBinary(SessionRecordSchema, new Uint8Array(row["record"] as ArrayBuffer));
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
}
