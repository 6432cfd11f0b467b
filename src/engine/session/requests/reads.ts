/** What a client reads of a channel that it has: a page of its history, and its members. */
import { checkChannel } from "../../../channels/names.ts";
import { MessagingError } from "../../../protocol/errors.ts";
import type {
  HistoryRequest,
  InboundMessage,
  PresenceRequest,
} from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_PRESENCE_MEMBERS } from "../../../protocol/limits.ts";
import { fitHistory, fitPresence } from "../frame-limit.ts";
import type { SessionHost } from "../ports.ts";
import { historyFilter, historyPage, presencePage } from "../queries.ts";
import { mustBeAllowed } from "./access.ts";
import type { RequestContext, Work } from "./context.ts";

/**
 * Answers a page of the channel's log. Where the client has asked for small frames the page is shorter, and says that
 * there are more.
 *
 * @throws MessagingError BAD_REQUEST for what is no channel; ACL_ERROR where the client may not read its history
 */
export function history(
  context: RequestContext,
  message: InboundMessage,
  request: HistoryRequest,
): Work {
  const { session, client, replies } = context;
  const { channel } = request;
  checkChannel(channel);
  mustBeAllowed(context, "history", channel);
  return reading(context, channel, async ({ broker, turns }) => {
    const page = await turns.run(() => broker.history(channel, historyFilter(request)));
    await turns.run(() => {
      if (session.ended) return;
      const all = historyPage(page, request, client.encoding);
      const without = { ...all, messages: [], more: true };
      const room = replies.roomBeside(message, { case: "history", value: without });
      const value = fitHistory(all, client.encoding, room);
      replies.reply(message, { case: "history", value });
    });
  });
}

/**
 * Answers the members of the channel and how many there are. Where the client has asked for small frames some may be
 * left out.
 *
 * @throws MessagingError BAD_REQUEST for what is no channel, and for one without presence; ACL_ERROR where the client may
 *   not see its members
 */
export function presence(
  context: RequestContext,
  message: InboundMessage,
  { channel }: PresenceRequest,
): Work {
  const { node, session, client, replies } = context;
  checkChannel(channel);
  mustBeAllowed(context, "presence", channel);
  if (!node.rules.of(channel).presence) {
    throw new MessagingError("BAD_REQUEST", "presence is switched off for this channel");
  }
  return reading(context, channel, async ({ broker, settings, turns }) => {
    const snapshot = await turns.run(() => broker.presence(channel, MAX_PRESENCE_MEMBERS));
    await turns.run(() => {
      if (session.ended) return;
      const all = presencePage(channel, snapshot.epoch, snapshot, settings.maxMessageBytes);
      const without = { ...all, members: [] };
      const room = replies.roomBeside(message, { case: "presence", value: without });
      const value = fitPresence(all, client.encoding, room);
      replies.reply(message, { case: "presence", value });
    });
  });
}

/** Runs a read of a channel that the session has, when those that it asked for before are done. */
function reading(
  context: RequestContext,
  channel: string,
  read: (node: SessionHost) => Promise<void>,
): Work {
  const { node, session, channels } = context;
  const run = async (): Promise<void> => {
    mustHave(context, channel);
    await channels.reads.run(async () => {
      if (session.ended) return;
      // A pattern that brought it may have been left meanwhile.
      mustHave(context, channel);
      await read(node);
    });
  };
  return { channels: [channel], run };
}

/** @throws MessagingError ACL_ERROR where the session does not have a channel, by itself or through a pattern */
export function mustHave({ channels }: RequestContext, channel: string): void {
  if (channels.has(channel)) return;
  throw new MessagingError("ACL_ERROR", "not subscribed to this channel");
}
