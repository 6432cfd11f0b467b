/** What the server API says of channels: history, members, which there are. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { base64Decode, base64Encode, getTextEncoding } from "@bufbuild/protobuf/wire";
import { channelProblem, checkChannel } from "../../channels/names.ts";
import { checkPattern } from "../../channels/patterns.ts";
import type { Engine } from "../../engine/engine.ts";
import type { ChannelPage, ChannelQuery } from "../../engine/ports/directory.ts";
import { historyPage, presencePage } from "../../engine/session/queries.ts";
import { positionMessage, positionOf, uint64Of } from "../../engine/subscription/positions.ts";
import { MessagingError } from "../../protocol/errors.ts";
import type {
  ChannelsRequest,
  ChannelsResponseSchema,
  HistoryRequest,
  HistoryResponseSchema,
  PresenceRequest,
  PresenceResponseSchema,
  RemoveHistoryRequest,
  RemoveHistoryResponseSchema,
} from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import { HistoryRequestSchema as AskedSchema } from "../../protocol/gen/messageloop/v1/service_pb.js";
import {
  MAX_BATCH_BYTES,
  MAX_BATCH_ENTRIES,
  MAX_LISTED_CHANNELS,
  MAX_PRESENCE_MEMBERS,
} from "../../protocol/limits.ts";
import { utf8Encode } from "../../protocol/utf8.ts";
import type { Principal } from "../keys/keys.ts";
import type { ApiCall } from "./context.ts";

/** Channels in a page unless the caller says otherwise. */
const LISTED_CHANNELS = 100;
/** Pages of other channels that are passed over for a key that may not read them. */
const MAX_HIDDEN_PAGES = 50;
/** Stands before the name in a cursor, so that another form can be distinguished from this one. */
const CURSOR = "1:";

/**
 * History: a page of a channel's log.
 *
 * @throws MessagingError ACL_ERROR where the key may not read the channel, BAD_REQUEST for what is no channel
 */
export async function history(
  { engine, principal, encoding }: ApiCall,
  { channel, since, limit, reverse }: HistoryRequest,
): Promise<MessageInitShape<typeof HistoryResponseSchema>> {
  principal.check("read", channel);
  checkChannel(channel);
  const asked = create(AskedSchema, {
    channel,
    reverse,
    ...(since === undefined ? {} : { since }),
  });
  const page = await engine.broker.history(channel, {
    // A position without an epoch says nothing.
    since: since === undefined || since.epoch === "" ? undefined : positionOf(since),
    limit: Math.min(limit ?? MAX_BATCH_ENTRIES, MAX_BATCH_ENTRIES),
    maxBytes: MAX_BATCH_BYTES,
    reverse,
  });
  const { messages, position, gap, more } = historyPage(page, asked, encoding);
  return {
    messages,
    more,
    ...(position === undefined ? {} : { position }),
    ...(gap === undefined ? {} : { gap }),
  };
}

/**
 * RemoveHistory: forgets the messages that a channel's log keeps. Its positions go on as they are.
 *
 * @throws MessagingError ACL_ERROR where the key may not manage the channel
 */
export async function removeHistory(
  { engine, principal }: ApiCall,
  { channel }: RemoveHistoryRequest,
): Promise<MessageInitShape<typeof RemoveHistoryResponseSchema>> {
  principal.check("manage", channel);
  await engine.removeHistory(channel);
  return {};
}

/**
 * Presence: the members of a channel, those first that joined first, and how many there are.
 *
 * @throws MessagingError BAD_REQUEST where the channel keeps no presence, ACL_ERROR where the key may not read it
 */
export async function presence(
  { engine, principal }: ApiCall,
  { channel, limit }: PresenceRequest,
): Promise<MessageInitShape<typeof PresenceResponseSchema>> {
  principal.check("read", channel);
  checkChannel(channel);
  if (!engine.settings.rules.of(channel).presence) {
    throw new MessagingError("BAD_REQUEST", "presence is switched off for this channel");
  }
  const most = Math.min(limit ?? MAX_PRESENCE_MEMBERS, MAX_PRESENCE_MEMBERS);
  const snapshot = await engine.presenceOf(channel, most);
  const { members, total, generation } = presencePage(
    channel,
    snapshot.epoch,
    snapshot,
    Number.POSITIVE_INFINITY,
  );
  return { members, total, ...(generation === undefined ? {} : { generation }) };
}

/**
 * Channels: a page of the channels of a pattern that the key may read, by name.
 *
 * @returns a cursor for the next page, which is empty after the last one
 * @throws MessagingError BAD_REQUEST for a bad pattern or cursor, a limit of 0, and where too many channels before the
 * first that the key may read would have to be looked at
 */
export async function channels(
  { engine, principal }: ApiCall,
  { pattern, cursor, limit }: ChannelsRequest,
): Promise<MessageInitShape<typeof ChannelsResponseSchema>> {
  principal.checkRight("read");
  if (pattern !== "") checkPattern(pattern);
  if (limit === 0) throw new MessagingError("BAD_REQUEST", "the limit is 0");
  const { next, asOf, ...page } = await readable(engine, principal, {
    pattern: pattern === "" ? "**" : pattern,
    after: readCursor(cursor),
    limit: Math.min(limit ?? LISTED_CHANNELS, MAX_LISTED_CHANNELS),
  });
  return {
    channels: page.channels.map(({ channel, members, head }) => ({
      channel,
      members,
      ...(head === undefined ? {} : { position: positionMessage(head) }),
    })),
    cursor: next === undefined ? "" : writeCursor(next),
    asOf: uint64Of(asOf),
  };
}

/** A page of what a key may read. The name after which the next one begins is one of those as well. */
async function readable(
  engine: Engine,
  principal: Principal,
  query: ChannelQuery,
): Promise<ChannelPage> {
  if (principal.may("read", query.pattern)) return await engine.channels(query);
  let { after } = query;
  for (let looked = 0; looked < MAX_HIDDEN_PAGES; looked++) {
    const page = await engine.channels({ ...query, after, limit: MAX_LISTED_CHANNELS });
    const mine = page.channels.filter(({ channel }) => principal.may("read", channel));
    const channels = mine.slice(0, query.limit);
    const more = page.next !== undefined || mine.length > channels.length;
    if (channels.length > 0 || page.next === undefined) {
      return { channels, next: more ? channels.at(-1)?.channel : undefined, asOf: page.asOf };
    }
    after = page.next;
  }
  const text = "there are too many channels before those that the key may read: ask for a pattern";
  throw new MessagingError("BAD_REQUEST", text);
}

function writeCursor(name: string): string {
  return base64Encode(utf8Encode(`${CURSOR}${name}`), "url");
}

/** @throws MessagingError BAD_REQUEST for a cursor that no answer of ours had */
function readCursor(cursor: string): string {
  if (cursor === "") return "";
  try {
    const text = getTextEncoding().decodeUtf8(base64Decode(cursor), true);
    const name = text.slice(CURSOR.length);
    if (text.startsWith(CURSOR) && channelProblem(name) === undefined) return name;
  } catch {
    // What is no base64 or no text is none of ours either.
  }
  throw new MessagingError("BAD_REQUEST", "the cursor is none that the server gave");
}
