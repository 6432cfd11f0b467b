/** What a client was told about one channel, as lines that a case can compare. */
import type {
  Gap,
  Member,
  OutboundMessage,
  StreamPosition,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { type Client, valueAs } from "../support/client.ts";

/**
 * What a client was told about a channel, in the order on the wire: `subscribed E-2`, `replay E-1`,
 * `live E-3`, `recovered E-2 limit E-0..E-1`, `gap …`, `join …`, `leave …`, `unsubscribed`. A place is
 * written as ids of messages are.
 */
export function journal({ log }: Pick<Client, "log">, channel: string): string[] {
  return log.flatMap((message) => lines(message, channel));
}

/** A place as journals write it. */
export function place(position: StreamPosition | undefined): string {
  return position === undefined ? "?" : `${position.epoch}-${position.offset}`;
}

/** Lines about a run of messages, both ends included. */
export function run(what: "replay" | "live", epoch: string, first: number, last: number): string[] {
  return Array.from({ length: Math.max(last - first + 1, 0) }, (_, i) => {
    return `${what} ${epoch}-${first + i}`;
  });
}

/** A member by its names: `user/client`, or the session. */
export function memberName(member: Member | undefined): string {
  if (member === undefined) return "nobody";
  const { userId, clientId, sessionId } = member;
  return sessionId === "" ? `${userId}/${clientId}` : sessionId;
}

/** Publishes so many events at once; resolves with the channel's epoch when the log has them. */
export async function fill(
  client: Client,
  channel: string,
  count: number,
  text = "filling",
): Promise<string> {
  const acknowledged = await Promise.all(
    Array.from({ length: count }, async () => {
      const data = { case: "textData", value: text } as const;
      const value = { id: crypto.randomUUID(), source: "/test", type: "t", data };
      const reply = await client.request({ channel, envelope: { case: "publish", value } });
      return valueAs(reply, "publishAck");
    }),
  );
  return acknowledged.at(-1)?.epoch ?? "";
}

function lines({ envelope }: OutboundMessage, channel: string): string[] {
  switch (envelope.case) {
    case "connected":
    case "subscribeAck":
      return envelope.value.subscriptions
        .filter((entry) => entry.channel === channel)
        .map(({ position, error }) =>
          error === undefined ? `subscribed ${place(position)}` : `refused ${error.code}`,
        );
    case "unsubscribeAck":
      return envelope.value.subscriptions
        .filter((entry) => entry.channel === channel)
        .map(() => "unsubscribed");
    case "publication":
      return envelope.value.messages
        .filter((message) => message.channel === channel)
        .map(({ id, replay }) => `${replay ? "replay" : "live"} ${id}`);
    case "recovered": {
      const { channel: name, position, gap } = envelope.value;
      if (name !== channel) return [];
      return [`recovered ${place(position)}${gap === undefined ? "" : ` ${hole(gap, channel)}`}`];
    }
    case "gap":
      return envelope.value.channel === channel ? [`gap ${hole(envelope.value, channel)}`] : [];
    case "presenceEvent": {
      const { channel: name, change } = envelope.value;
      return name === channel ? [`${change.case} ${memberName(change.value)}`] : [];
    }
    default:
      return [];
  }
}

function hole({ channel: name, reason, after, until }: Gap, channel: string): string {
  // A gap inside `recovered` is about the same channel.
  if (name !== channel) throw new Error(`a gap of ${channel} names ${name}`);
  return `${reason} ${place(after)}..${place(until)}`;
}
