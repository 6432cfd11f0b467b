/** What Redis says, as values: replies of the scripts, and what nodes hear of a channel. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Member, PresenceChange } from "../../channels/presence.ts";
import type { GapReason, Position } from "../../engine/ports/broker.ts";
import {
  type Entry,
  type EntryBody,
  EntryBodySchema,
  EntrySchema,
  type Transient,
  TransientSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { utf8Decode } from "../../protocol/utf8.ts";
import { RedisFailure, type RedisReply } from "./ports.ts";

/** A place in a log and the number of the log's life. */
export interface Place extends Position {
  /** Rises from one life of a log to the next. */
  readonly generation: number;
}

/** What a node hears of a channel. */
export type Notice = EntryNotice | MemberNotice;

export interface EntryNotice {
  readonly kind: "entry";
  readonly place: Place;
  readonly entry: Entry;
  readonly bytes: number;
}

export interface MemberNotice {
  readonly kind: "presence";
  /** Its offset means nothing. */
  readonly place: Place;
  readonly change: PresenceChange;
  /** Generation of the change before. */
  readonly previous: number;
  readonly bytes: number;
}

const NEWLINE = 10;
/** What the first line of a notice holds at most, in bytes. */
const MAX_LINE = 256;
/** Generation, epoch, offset, time. */
const ENTRY_LINE = /^(\d{1,16}) (\S+) (\d{1,16}) (\d{1,16})$/;
/** Generation, epoch, presence generation, the one before it, time of the join. */
const PRESENCE_LINE = /^[+-](\d{1,16}) (\S+) (\d{1,16}) (\d{1,16}) (\d{1,16})$/;

/** What a message outside of the log begins with; no line of a script does. */
const TRANSIENT = 33;

/** Whether it is for `transientOf`, whatever it holds. */
export function isTransient(payload: Uint8Array): boolean {
  return payload[0] === TRANSIENT;
}

/** A message outside of the log, as nodes publish it. */
export function transientNotice(message: Transient): Uint8Array {
  const bytes = toBinary(TransientSchema, message);
  const notice = new Uint8Array(1 + bytes.length);
  notice[0] = TRANSIENT;
  notice.set(bytes, 1);
  return notice;
}

/** Undefined for what nobody here has written. Never throws. */
export function transientOf(payload: Uint8Array): Transient | undefined {
  try {
    const message = fromBinary(TransientSchema, payload.subarray(1));
    return message.id === "" ? undefined : message;
  } catch {
    return undefined;
  }
}

/**
 * Reads what a script has published: numbers and names in a line, then the entry's body or the
 * member's name. Undefined for what is nothing of ours, whatever it is. Never throws.
 */
export function noticeOf(payload: Uint8Array): Notice | undefined {
  const end = payload.subarray(0, MAX_LINE).indexOf(NEWLINE);
  if (end < 0) return undefined;
  const line = String.fromCharCode(...payload.subarray(0, end));
  const rest = payload.subarray(end + 1);
  try {
    return memberNotice(line, rest, payload.length) ?? entryNotice(line, rest, payload.length);
  } catch {
    // A name or a body that no node of ours has written: just that distinguishes it from ours.
    return undefined;
  }
}

function entryNotice(line: string, body: Uint8Array, bytes: number): EntryNotice | undefined {
  const [, generation, epoch = "", offset, time] = ENTRY_LINE.exec(line) ?? [];
  if (time === undefined) return undefined;
  const place = { generation: wholeOf(generation), epoch, offset: wholeOf(offset) };
  return { kind: "entry", place, entry: entryOf(place.offset, wholeOf(time), body), bytes };
}

function memberNotice(line: string, key: Uint8Array, bytes: number): MemberNotice | undefined {
  const [, generation, epoch = "", own, previous, time] = PRESENCE_LINE.exec(line) ?? [];
  if (time === undefined) return undefined;
  const place = { generation: wholeOf(generation), epoch, offset: 0 };
  const member = memberOf(utf8Decode(key), wholeOf(time));
  const change = { member, joined: line.startsWith("+"), generation: wholeOf(own) };
  return { kind: "presence", place, change, previous: wholeOf(previous), bytes };
}

/**
 * Entries that a script answers as offset, time, body, one after the other.
 *
 * @throws RedisFailure
 */
export function entriesOf(reply: RedisReply | undefined): Entry[] {
  return rowsOf(reply, 3).map(([offset, time, body]) =>
    entryOf(numberOf(offset), numberOf(time), bytesOf(body)),
  );
}

/** What became of publishes, each an offset, and 0 or the epoch of the entry that its key stands for already. */
export function placesOf(reply: RedisReply | undefined) {
  return rowsOf(reply).map(([offset, first]) => ({
    offset: numberOf(offset),
    duplicateOf: first === 0 ? undefined : nameOf(first),
  }));
}

/** Members in the order of their joins, each a name and when it joined. @throws RedisFailure */
export function membersOf(reply: RedisReply | undefined): Member[] {
  return rowsOf(reply).map(([key, time]) => memberOf(textOf(key), numberOf(time)));
}

/** Values that a script answers so many together, one after the other. @throws RedisFailure */
export function rowsOf(reply: RedisReply | undefined, size = 2): (readonly RedisReply[])[] {
  const parts = listOf(reply);
  if (parts.length % size !== 0) throw unexpected(`rows of ${size}`);
  return Array.from({ length: parts.length / size }, (_, i) =>
    parts.slice(i * size, (i + 1) * size),
  );
}

/**
 * @param time when it joined, Unix milliseconds
 * @param key names a member, as `memberKey` does
 * @throws RedisFailure where it does not
 */
export function memberOf(key: string, time: number): Member {
  const [first, second, ...more] = namesOf(key);
  if (first === undefined || more.length > 0) throw unexpected("a member's name");
  if (second === undefined) return { userId: "", clientId: "", sessionId: first, time };
  return { userId: first, clientId: second, sessionId: "", time };
}

function namesOf(key: string): string[] {
  try {
    const names: unknown = JSON.parse(key);
    if (Array.isArray(names) && names.every((name) => typeof name === "string")) return names;
  } catch {
    // What is no JSON is no name either.
  }
  throw unexpected("a member's name");
}

/**
 * A list.
 *
 * @param length how many parts it has, where that is known: one that is missing would shift those after it
 * @throws RedisFailure
 */
export function listOf(reply: RedisReply | undefined, length?: number): readonly RedisReply[] {
  if (!Array.isArray(reply)) throw unexpected("a list");
  if (length !== undefined && reply.length !== length) throw unexpected(`${length} parts`);
  return reply;
}

/** A whole number from 0. @throws RedisFailure */
export function numberOf(reply: RedisReply | undefined): number {
  if (typeof reply === "number" && Number.isSafeInteger(reply) && reply >= 0) return reply;
  throw unexpected("a number");
}

/** A truth, which is 1 or 0. @throws RedisFailure */
export function flagOf(reply: RedisReply | undefined): boolean {
  if (reply === 1 || reply === 0) return reply === 1;
  throw unexpected("1 or 0");
}

/** What became of entries that are missing; undefined where there never were any. @throws RedisFailure */
export function reasonOf(reply: RedisReply | undefined): GapReason | undefined {
  const reason = textOf(reply);
  return reason === "head_trimmed" || reason === "expired" ? reason : undefined;
}

/** A time to wait, or -1 for none. @throws RedisFailure */
export function waitOf(reply: RedisReply | undefined): number {
  return reply === -1 ? -1 : numberOf(reply);
}

/** @throws RedisFailure */
export function textOf(reply: RedisReply | undefined): string {
  return typeof reply === "string" ? reply : utf8Decode(bytesOf(reply));
}

/** @throws RedisFailure */
export function textsOf(reply: RedisReply | undefined): string[] {
  return listOf(reply).map(textOf);
}

/** The name of a log's life: visible ASCII, without spaces. @throws RedisFailure */
export function nameOf(reply: RedisReply | undefined): string {
  const text = textOf(reply);
  if (!/^[!-~]+$/.test(text)) throw unexpected("a name");
  return text;
}

function bytesOf(reply: RedisReply | undefined): Uint8Array {
  if (reply instanceof Uint8Array) return reply;
  throw unexpected("a string");
}

function entryOf(offset: number, time: number, body: Uint8Array): Entry {
  return create(EntrySchema, { offset: BigInt(offset), time: BigInt(time), body: bodyOf(body) });
}

function bodyOf(bytes: Uint8Array): EntryBody {
  try {
    return fromBinary(EntryBodySchema, bytes);
  } catch {
    throw unexpected("an entry");
  }
}

function wholeOf(digits: string | undefined): number {
  return numberOf(Number(digits));
}

function unexpected(wanted: string): RedisFailure {
  return new RedisFailure("garbled", `Redis did not answer with ${wanted}`);
}
