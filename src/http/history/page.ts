/** Pages of history as answers: lines of JSON, and what says where the next page begins and who may keep this one. */
import { create, toJson } from "@bufbuild/protobuf";
import type { HistoryPage, Position } from "../../engine/ports/broker.ts";
import { historyPage } from "../../engine/session/queries.ts";
import { positionMessage } from "../../engine/subscription/positions.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  HistoryRequestSchema,
  type Message,
  MessageSchema,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { problemResponse } from "../statuses.ts";
import { offsetText, type Start } from "./query.ts";

/** Where the next page begins. Its names are those of the Durable Streams protocol. */
export const NEXT_OFFSET = "Stream-Next-Offset";
/** `true` where the page ends with the newest message. */
export const UP_TO_DATE = "Stream-Up-To-Date";

/** What a cache may keep of a channel. */
export interface Keeping {
  /** Whether everybody may read the channel. */
  readonly isPublic: boolean;
  /** How long history holds a message, in milliseconds. */
  readonly historyTtlMs: number;
  /** Unix milliseconds. */
  readonly now: number;
}

/** One page, read. */
export interface ReadPage {
  readonly messages: readonly Message[];
  /** Position of its last message; where there is none, the place after which it was to begin. */
  readonly last: Position;
  /** Where it begins. */
  readonly after: Position;
  readonly more: boolean;
}

/**
 * @param start where the page was asked to begin
 * @throws GoneError where messages after that place are not kept any more
 */
export function readPage(channel: string, start: Start, page: HistoryPage): ReadPage {
  const { epoch } = page.position;
  const since = typeof start === "string" ? undefined : start;
  const asked = create(HistoryRequestSchema, {
    channel,
    ...(since === undefined ? {} : { since: positionMessage(since) }),
  });
  const { messages, gap, more } = historyPage(page, asked, "json");
  if (gap !== undefined) throw new GoneError(gap.reason, { epoch, offset: page.first - 1 });
  if (start === "now") {
    return { messages: [], last: page.position, after: page.position, more: false };
  }
  const after = since ?? { epoch, offset: page.first - 1 };
  const newest = messages.at(-1);
  const last = newest === undefined ? after : { epoch, offset: Number(newest.offset) };
  return { messages, last, after, more };
}

/** What was asked for was removed, has expired, or was of another life of the log. */
export class GoneError extends MessagingError {
  /** Before the oldest message that is kept. */
  readonly oldest: Position;

  constructor(reason: string, oldest: Position) {
    super("GONE", `messages after this offset are not kept: ${reason}`);
    this.oldest = oldest;
  }
}

export function goneResponse(
  error: GoneError,
  headers: Readonly<Record<string, string>>,
): Response {
  return problemResponse(error, { ...headers, [NEXT_OFFSET]: offsetText(error.oldest) });
}

/**
 * The answer with a page.
 *
 * @param start as the request has it
 * @param waited whether it has waited for its messages
 */
export function pageResponse(
  request: Request,
  { messages, last, after, more }: ReadPage,
  { start, waited }: { readonly start: Start; readonly waited: boolean },
  keeping: Keeping,
  headers: Readonly<Record<string, string>>,
): Response {
  // After a position and before a message that was there already nothing ever changes.
  const isImmutable = keeping.isPublic && typeof start !== "string" && more && !waited;
  const tag = `"${offsetText(after)}:${last.offset}"`;
  const all = {
    ...headers,
    "Cache-Control": isImmutable ? immutable(messages, keeping) : uncached(keeping),
    [NEXT_OFFSET]: offsetText(last),
    ...(more ? {} : { [UP_TO_DATE]: "true" }),
  };
  if (waited && messages.length === 0) return new Response(null, { status: 204, headers: all });
  const tagged = start === "now" ? all : { ...all, ETag: tag };
  if (start !== "now" && names(request.headers.get("If-None-Match"), tag)) {
    return new Response(null, { status: 304, headers: tagged });
  }
  const typed = { ...tagged, "Content-Type": "application/x-ndjson" };
  return new Response(request.method === "HEAD" ? null : linesOf(messages), { headers: typed });
}

/** A message on each line, as an event of /events has it. */
function linesOf(messages: readonly Message[]): string {
  return messages
    .map(
      (message) =>
        `${JSON.stringify(toJson(MessageSchema, message, { useProtoFieldName: true }))}\n`,
    )
    .join("");
}

function uncached({ isPublic }: Keeping): string {
  return isPublic ? "no-store" : "private, no-store";
}

/** For as long as history would hold the oldest of the messages. */
function immutable([oldest]: readonly Message[], { historyTtlMs, now }: Keeping): string {
  const leftMs = Number(oldest?.time ?? 0) + historyTtlMs - now;
  const seconds = Math.min(Math.max(0, Math.floor(leftMs / 1_000)), MAX_AGE_S);
  return `public, max-age=${seconds}, immutable`;
}

/** A year, beyond which a cache takes nothing for new. */
const MAX_AGE_S = 31_536_000;

/** Whether a list of entity tags has this one. */
function names(header: string | null, tag: string): boolean {
  if (header === null) return false;
  const tags = header.split(",").map((one) => one.trim().replace(/^W\//, ""));
  return tags.includes(tag) || tags.includes("*");
}
