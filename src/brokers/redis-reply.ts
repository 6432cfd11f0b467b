/** What Redis says, as values: replies of the scripts, and what nodes hear of a channel. */
import { create, fromBinary } from "@bufbuild/protobuf";
import type { Member, PresenceChange } from "../channels/presence.ts";
import type { MemberSession, Position } from "../engine/ports.ts";
import {
  type Entry,
  EntryBodySchema,
  EntrySchema,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { utf8Decode } from "../protocol/utf8.ts";
import { RedisFailure, type RedisReply } from "./redis-ports.ts";

/** A place in a log and the number of the log's life. */
export interface Place extends Position {
  /** Rises from one life of a log to the next. */
  readonly generation: number;
}

/** What a node hears of a channel. */
export type Notice = EntryNotice | PresenceNotice;

export interface EntryNotice {
  readonly kind: "entry";
  readonly place: Place;
  readonly entry: Entry;
  readonly bytes: number;
}

export interface PresenceNotice {
  readonly kind: "presence";
  /** Its offset means nothing. */
  readonly place: Place;
  readonly change: PresenceChange;
  /** Generation of the change before. */
  readonly previous: number;
  readonly bytes: number;
}

const NEWLINE = 10;

/**
 * Reads what a script has published: numbers and names in a line, then the entry's body or the
 * member's name. Undefined for what is nothing of ours.
 */
export function noticeOf(payload: Uint8Array): Notice | undefined {
  const end = payload.indexOf(NEWLINE);
  if (end < 0) return undefined;
  const line = ascii(payload.subarray(0, end));
  const rest = payload.subarray(end + 1);
  const sign = line[0];
  const bytes = payload.length;
  if (sign === "+" || sign === "-") {
    const [generation, epoch = "", own, previous, time] = line.slice(1).split(" ");
    const place = { generation: Number(generation), epoch, offset: 0 };
    const member = memberOf(utf8Decode(rest), Number(time));
    const change = { member, joined: sign === "+", generation: Number(own) };
    return { kind: "presence", place, change, previous: Number(previous), bytes };
  }
  const [generation, epoch = "", offset, time] = line.split(" ");
  const place = { generation: Number(generation), epoch, offset: Number(offset) };
  return { kind: "entry", place, entry: entryOf(place.offset, Number(time), rest), bytes };
}

/** Entries that a script tells as offset, time, body, one after the other. */
export function entriesOf(reply: RedisReply | undefined): Entry[] {
  const parts = listOf(reply);
  const entries: Entry[] = [];
  for (let i = 0; i + 2 < parts.length; i += 3) {
    entries.push(entryOf(numberOf(parts[i]), numberOf(parts[i + 1]), bytesOf(parts[i + 2])));
  }
  return entries;
}

/** Names a member in Redis: a list as JSON is unambiguous whatever the names hold. */
export function memberKey({ userId, clientId, sessionId }: MemberSession): string {
  return JSON.stringify(userId === "" && clientId === "" ? [sessionId] : [userId, clientId]);
}

/** @param time when it joined, Unix milliseconds */
export function memberOf(key: string, time: number): Member {
  const names: unknown = JSON.parse(key);
  const [first, second] = Array.isArray(names) ? names.map(String) : [];
  if (second === undefined) return { userId: "", clientId: "", sessionId: first ?? "", time };
  return { userId: first ?? "", clientId: second, sessionId: "", time };
}

export function listOf(reply: RedisReply | undefined): readonly RedisReply[] {
  if (Array.isArray(reply)) return reply;
  throw unexpected("a list");
}

export function numberOf(reply: RedisReply | undefined): number {
  if (typeof reply === "number") return reply;
  throw unexpected("a number");
}

export function textOf(reply: RedisReply | undefined): string {
  return typeof reply === "string" ? reply : utf8Decode(bytesOf(reply));
}

function bytesOf(reply: RedisReply | undefined): Uint8Array {
  if (reply instanceof Uint8Array) return reply;
  throw unexpected("a string");
}

function entryOf(offset: number, time: number, body: Uint8Array): Entry {
  return create(EntrySchema, {
    offset: BigInt(offset),
    time: BigInt(time),
    body: fromBinary(EntryBodySchema, body),
  });
}

function ascii(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

function unexpected(wanted: string): RedisFailure {
  return new RedisFailure("refused", `Redis did not answer with ${wanted}`);
}
