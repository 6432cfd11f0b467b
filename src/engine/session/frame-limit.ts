/** Answers for clients that have asked for small frames: as much of a list as fits, and the rest another time. */
import { create, type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Encoding, encodeJson } from "../../protocol/codec.ts";
import { ErrorSchema } from "../../protocol/gen/messageloop/shared/v1/errors_pb.js";
import {
  type History,
  MemberSchema,
  MessageSchema,
  type Presence,
  type Subscription,
  SubscriptionSchema,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { utf8Length } from "../../protocol/lean/utf8-length.ts";

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

/**
 * Leaves out what backends say beside their codes from where on it would be more than so many bytes: an
 * acknowledgement holds many refusals, and has to stay a frame that a client reads.
 */
export function fitErrors(entries: readonly Subscription[], maxBytes: number): Subscription[] {
  let bytes = 0;
  return entries.map((entry) => {
    if (entry.error === undefined) return entry;
    bytes += toBinary(ErrorSchema, entry.error).length;
    if (bytes <= maxBytes) return entry;
    const { code, type } = entry.error;
    return { ...entry, error: create(ErrorSchema, { code, type }) };
  });
}

/** Divides entries into lists of at most so many bytes; one entry is in each in any case. */
export function* divided(
  entries: readonly Subscription[],
  encoding: Encoding,
  room: number,
): Generator<readonly Subscription[]> {
  for (let rest = entries; rest.length > 0; ) {
    const count = fitting(SubscriptionSchema, rest, encoding, room);
    yield rest.slice(0, count);
    rest = rest.slice(count);
  }
}

/** How many items from the first one on fit; one does in any case. */
export function fitting<Desc extends DescMessage>(
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
