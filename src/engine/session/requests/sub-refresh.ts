/** New tokens of subscriptions. Each is looked at as that of a subscribe; a yes keeps the subscription, a no ends it. */
import { create } from "@bufbuild/protobuf";
import { errorMessage, MessagingError } from "../../../protocol/errors.ts";
import {
  type InboundMessage,
  type SubRefresh,
  SubscriptionSchema,
} from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { watchToken } from "../expiry/token-due.ts";
import { fitErrors } from "../frame-limit.ts";
import type { RequestContext } from "./context.ts";
import { authorize, release, removal } from "./subscriptions.ts";

/** Of a v1 client, and without tokens, it is acknowledged and changes nothing, as in v0.1.1. */
export async function subRefresh(
  context: RequestContext,
  message: InboundMessage,
  { tokens }: SubRefresh,
): Promise<void> {
  const { node, client, order, replies } = context;
  const wanted = client.extended ? Object.entries(tokens) : [];
  const { maxSubscriptions } = node.settings;
  if (wanted.length > maxSubscriptions) {
    throw new MessagingError("BAD_REQUEST", `there are more than ${maxSubscriptions} tokens`);
  }
  if (wanted.length === 0) {
    replies.reply(message, { case: "subRefreshAck", value: {} });
    return;
  }
  const names = wanted.map(([channel]) => channel);
  await order.run(names, "exclusive", () => renew(context, message, wanted));
}

async function renew(
  context: RequestContext,
  message: InboundMessage,
  wanted: readonly (readonly [channel: string, token: string])[],
): Promise<void> {
  const { node, session, client, channels, replies } = context;
  const had = new Set(channels.names);
  const outcomes = await Promise.all(
    wanted.map(async ([channel, token]) => {
      try {
        if (!had.has(channel)) {
          throw new MessagingError("BAD_REQUEST", "there is no such subscription");
        }
        return { channel, consent: await authorize(context, channel, token), error: undefined };
      } catch (error) {
        if (!(error instanceof MessagingError)) throw error;
        return { channel, consent: undefined, error };
      }
    }),
  );
  if (session.ended) return;
  for (const { channel, consent, error } of outcomes) {
    // A backend that cannot say has not said no: the subscription is as good as it was.
    if (error === undefined) client.ends.set(channel, consent);
    else if (!error.retry) client.ends.set(channel, undefined);
  }
  release(
    context,
    outcomes.map(({ consent }) => consent),
  );
  const refused = outcomes.filter(
    ({ channel, error }) => error?.retry === false && had.has(channel),
  );
  if (refused.length > 0)
    await removal(
      context,
      refused.map(({ channel }) => channel),
    )();
  else session.save();
  if (session.ended) return;
  watchToken(context);
  const entries = outcomes.map(({ channel, error }) =>
    create(SubscriptionSchema, {
      channel,
      ...(error === undefined ? {} : { error: errorMessage(error) }),
    }),
  );
  const subscriptions = fitErrors(entries, node.settings.maxMessageBytes);
  replies.reply(message, { case: "subRefreshAck", value: { subscriptions } });
  if (outcomes.some(({ error }) => error?.counts === true)) replies.countError();
}
