/** What a client may ask about a channel: a page of its history and its members; and the shapes of both. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { Member, Snapshot } from "../../channels/presence.ts";
import { eventForJson } from "../../protocol/cloudevents.ts";
import type { Encoding } from "../../protocol/codec.ts";
import type { Entry } from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  type Gap,
  GapSchema,
  type History,
  type HistoryRequest,
  HistorySchema,
  type Member as MemberMessage,
  MemberSchema,
  type Message,
  MessageSchema,
  type Presence,
  PresenceSchema,
  type RecoveredSchema,
  type StreamPosition,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_HISTORY_BYTES, MAX_HISTORY_MESSAGES } from "../../protocol/limits.ts";
import { eventOf } from "../../protocol/plain-protobuf/event.ts";
import type { HistoryFilter, HistoryPage, LogGap, Position } from "../ports/broker.ts";
import { positionMessage, positionOf, uint64Of } from "../subscription/positions.ts";

/** What of a channel's history a request asks for. */
export function historyFilter({ since, limit, reverse }: HistoryRequest): HistoryFilter {
  return {
    since: sinceOf(since),
    limit: limit < 0 ? MAX_HISTORY_MESSAGES : Math.min(limit, MAX_HISTORY_MESSAGES),
    reverse,
    maxBytes: MAX_HISTORY_BYTES,
  };
}

/** A position without an epoch says nothing, so it is as if there were none. */
function sinceOf(position: StreamPosition | undefined): Position | undefined {
  return position === undefined || position.epoch === "" ? undefined : positionOf(position);
}

/** The answer to a request for history. */
export function historyPage(
  page: HistoryPage,
  { channel, since: asked, reverse }: HistoryRequest,
  encoding: Encoding,
): History {
  const since = sinceOf(asked);
  const { epoch } = page.position;
  const gap = reverse ? foreign(page, since) : missing(page, since);
  // Before or behind a place that the log does not know there is nothing.
  const unknown = gap?.reason === "epoch_changed";
  return create(HistorySchema, {
    channel,
    messages: (unknown ? [] : page.entries).map((entry) =>
      messageOf(channel, epoch, entry, encoding),
    ),
    position: positionMessage(page.position),
    ...(gap === undefined ? {} : { gap: gapMessage(channel, gap) }),
    more: page.more && !unknown,
  });
}

/** The members of a channel, as many as there is room for. */
export function presencePage(
  channel: string,
  epoch: string,
  { members, total, generation }: Snapshot,
  maxBytes: number,
): Presence {
  const listed: MemberMessage[] = [];
  let bytes = 0;
  for (const member of members) {
    const message = memberMessage(member);
    bytes += toBinary(MemberSchema, message).length;
    if (bytes > maxBytes) break;
    listed.push(message);
  }
  const number = uint64Of(generation);
  return create(PresenceSchema, {
    channel,
    members: listed,
    total,
    generation: { epoch, number },
  });
}

/** A member as the protocol has it, with its time in Unix milliseconds. */
export function memberMessage({ time, ...names }: Member): MemberMessage {
  return create(MemberSchema, { ...names, time: uint64Of(time) });
}

/** A gap as the protocol has it. A place that is not known is left out. */
export function gapMessage(channel: string, { reason, after, until }: LogGap): Gap {
  const init: MessageInitShape<typeof GapSchema> = {
    channel,
    reason,
    until: positionMessage(until),
    ...(after === undefined ? {} : { after: positionMessage(after) }),
  };
  return create(GapSchema, init);
}

/** The end of a replay: what was not in it any more is in `gap`. */
export function recoveredMessage(
  channel: string,
  position: Position,
  gap: LogGap | undefined,
): MessageInitShape<typeof RecoveredSchema> {
  return {
    channel,
    position: positionMessage(position),
    ...(gap === undefined ? {} : { gap: gapMessage(channel, gap) }),
  };
}

/** Why a position cannot be compared with the log. */
function foreign({ position }: HistoryPage, since: Position | undefined): LogGap | undefined {
  if (since === undefined) return undefined;
  // In reverse a page may begin one past the head.
  if (since.epoch === position.epoch && since.offset <= position.offset + 1) return undefined;
  return { reason: "epoch_changed", after: since, until: position };
}

/** What lies between a position and the first message that history still has. */
function missing(
  { position, first, reason }: HistoryPage,
  since: Position | undefined,
): LogGap | undefined {
  if (since === undefined) return undefined;
  if (since.epoch !== position.epoch || since.offset > position.offset) {
    return { reason: "epoch_changed", after: since, until: position };
  }
  if (first <= since.offset + 1) return undefined;
  const until = { epoch: position.epoch, offset: first - 1 };
  return { reason: reason ?? "unavailable", after: since, until };
}

/** One entry as an extended client gets it. */
function messageOf(channel: string, epoch: string, entry: Entry, encoding: Encoding): Message {
  const event = eventOf(entry.body?.event ?? new Uint8Array());
  const { publisher, metadata } = entry.body ?? {};
  return create(MessageSchema, {
    id: `${epoch}-${entry.offset}`,
    channel,
    offset: entry.offset,
    payload: encoding === "json" ? eventForJson(event) : event,
    epoch,
    time: entry.time,
    replay: true,
    ...(publisher === undefined ? {} : { publisher }),
    ...(metadata === undefined ? {} : { metadata }),
  });
}
