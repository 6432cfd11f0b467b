/** Answers for clients that have asked for small frames: as much of a list as fits, and the rest another time. */
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Encoding, encodeJson } from "../protocol/codec.ts";
import {
  type History,
  MemberSchema,
  MessageSchema,
  type Presence,
} from "../protocol/gen/messageloop/v1/service_pb.js";
import { utf8Length } from "../protocol/utf8.ts";

/** What an item takes beside itself, in bytes: its tag and length, or a comma. */
const ITEM_BYTES = 8;

/**
 * Cuts a page of history to so many bytes of messages; one message at least stays.
 *
 * @param room undefined where there is no such limit
 */
export function fitHistory(page: History, encoding: Encoding, room: number | undefined): History {
  if (room === undefined) return page;
  const count = fitting(MessageSchema, page.messages, encoding, room);
  if (count === page.messages.length) return page;
  return { ...page, messages: page.messages.slice(0, count), more: true };
}

/** Cuts a list of members in the same way; `total` still counts all. */
export function fitPresence(
  page: Presence,
  encoding: Encoding,
  room: number | undefined,
): Presence {
  if (room === undefined) return page;
  const count = fitting(MemberSchema, page.members, encoding, room);
  return { ...page, members: page.members.slice(0, count) };
}

/** How many items from the first one on fit; one does in any case. */
function fitting<Desc extends DescMessage>(
  schema: Desc,
  items: readonly MessageShape<Desc>[],
  encoding: Encoding,
  left: number,
): number {
  let bytes = 0;
  for (const [index, item] of items.entries()) {
    const size =
      encoding === "json" ? utf8Length(encodeJson(schema, item)) : toBinary(schema, item).length;
    bytes += ITEM_BYTES + size;
    if (bytes > left && index > 0) return index;
  }
  return items.length;
}
