/** Subscribe and unsubscribe, by a client or from the server's side; connect subscribes in the same way. */
import { create } from "@bufbuild/protobuf";
import { patternProblem } from "../../../channels/patterns.ts";
import { DISCONNECTS, type Disconnect } from "../../../protocol/codes.ts";
import type { MessagingError } from "../../../protocol/errors.ts";
import {
  type InboundMessage,
  type Subscribe,
  type Subscription as SubscriptionMessage,
  SubscriptionSchema,
  type Unsubscribe,
} from "../../../protocol/gen/messageloop/v1/service_pb.js";
import type { JoinOutcome } from "../../subscription/session-channels.ts";
import { answeredConsent } from "../backend-answers.ts";
import type { CallTerms } from "../backend-calls.ts";
import { fitErrors } from "../frame-limit.ts";
import { debug, reasonOf } from "../log.ts";
import type { RequestContext, Work } from "./context.ts";

/** Channels that a request may name without waiting for a turn, and that one step of a turn has room for. */
const CHANNELS_AT_ONCE = 8;
const CHANNELS_A_STEP = 10;

const AUTHORIZE: Omit<CallTerms<void>, "timeoutMs"> = {
  backend: "authorizeSubscribe",
  check: answeredConsent,
  invalid: ["ACL_ERROR", "authorization failed"],
  timeout: ["UNAVAILABLE", "authorization took too long"],
  failure: ["UNAVAILABLE", "authorization failed"],
};

export function subscribe(
  context: RequestContext,
  message: InboundMessage,
  { subscriptions: requested }: Subscribe,
): Work {
  const { session, client, channels, replies } = context;
  const run = async (): Promise<void> => {
    if (session.ended || overLimit(context, requested)) return;
    const outcome = await join(context, requested);
    if (session.ended) return;
    const refused = client.extended ? undefined : refusalOfAll(requested, outcome.errors);
    if (refused !== undefined) {
      // Another request may have saved what was taken back here.
      session.save();
      replies.refuse(message, refused.error, "backend");
      if (refused.disconnect !== undefined) session.close(refused.disconnect);
      return;
    }
    session.save();
    const subscriptions = acknowledged(context, outcome);
    replies.reply(message, { case: "subscribeAck", value: { subscriptions } });
    if (outcome.errors.some((error) => error.counts)) replies.countError();
    await channels.settle(outcome);
  };
  return { channels: namesOf(requested), run };
}

export function unsubscribe(
  context: RequestContext,
  message: InboundMessage,
  { subscriptions: requested }: Unsubscribe,
): Work {
  const { session, channels, replies } = context;
  const names = namesOf(requested);
  const run = async (): Promise<void> => {
    await inTurn(context, names.length, async () => {
      for (const name of names) channels.leave(name, true);
    });
    if (session.ended) return;
    session.save();
    const subscriptions = requested.map(({ channel, ephemeral, token }) => ({
      channel,
      ephemeral,
      token,
    }));
    replies.reply(message, { case: "unsubscribeAck", value: { subscriptions } });
  };
  return { channels: names, run };
}

/** A subscribe from the server's side: nobody is asked, and the client is not told. */
export function addition(
  { session, channels }: RequestContext,
  names: readonly string[],
): () => Promise<void> {
  return async () => {
    if (!session.connected) return;
    const requested = names.map((channel) => create(SubscriptionSchema, { channel }));
    const outcome = await channels.join(requested, {
      // What cannot be joined must not take the rest with it.
      extended: true,
      recovery: false,
      byClient: false,
      authorize: async () => {},
    });
    if (session.ended) return;
    session.save();
    await channels.settle(outcome);
  };
}

/** An unsubscribe from the server's side. */
export function removal(
  { session, channels }: RequestContext,
  names: readonly string[],
): () => Promise<void> {
  return async () => {
    if (session.ended) return;
    for (const name of names) channels.leave(name, true);
    session.save();
  };
}

/** The channels that a request names. */
export function namesOf(requested: readonly SubscriptionMessage[]): string[] {
  return requested.map((entry) => entry.channel);
}

/** Closes a session that asks for more channels than it may have. Returns whether it does. */
export function overLimit(
  { node, session, channels }: RequestContext,
  requested: readonly SubscriptionMessage[],
): boolean {
  const wanted = channels.sizeWith(requested);
  if (wanted <= node.settings.maxSubscriptions) return false;
  session.close(DISCONNECTS.channelLimit);
  return true;
}

export function join(
  context: RequestContext,
  requested: readonly SubscriptionMessage[],
): Promise<JoinOutcome> {
  const { client, channels } = context;
  return inTurn(context, requested.length, () =>
    channels.join(requested, {
      extended: client.extended,
      recovery: client.can("recovery"),
      byClient: true,
      authorize: (channel, token) => authorize(context, channel, token),
    }),
  );
}

/** The entries of an acknowledgement, in a frame that a client reads. */
export function acknowledged(
  { node }: RequestContext,
  outcome: JoinOutcome,
): SubscriptionMessage[] {
  return fitErrors(outcome.acknowledged, node.settings.maxMessageBytes);
}

/**
 * What a v1 client is told of subscriptions of which some were refused, and what its session is closed
 * with; undefined where a retry may mend it. A name that is none is the client's mistake and no matter of
 * what it may do.
 */
export function refusalOfAll(
  requested: readonly SubscriptionMessage[],
  errors: readonly MessagingError[],
): { readonly error: MessagingError; readonly disconnect: Disconnect | undefined } | undefined {
  const misnamed = requested.some(({ channel }) => patternProblem(channel) !== undefined);
  const wrong = misnamed ? errors.find(({ code }) => code === "BAD_REQUEST") : undefined;
  if (wrong !== undefined) return { error: wrong, disconnect: DISCONNECTS.badRequest };
  const error = errors[0];
  return error && { error, disconnect: error.retry ? undefined : DISCONNECTS.invalidToken };
}

/** Does something to many channels when it is the session's turn; to few at once. */
function inTurn<T>({ node }: RequestContext, channels: number, work: () => Promise<T>): Promise<T> {
  if (channels <= CHANNELS_AT_ONCE) return work();
  return node.turns.run(work, Math.ceil(channels / CHANNELS_A_STEP));
}

/** Asks whether this user may subscribe. */
async function authorize(context: RequestContext, channel: string, token: string): Promise<void> {
  const { node, client } = context;
  const { backends, settings } = node;
  if (backends.authorizeSubscribe === undefined) return;
  const request = { channel, token, caller: client.caller };
  const terms = { ...AUTHORIZE, timeoutMs: settings.authTimeoutMs };
  try {
    await context.backend.run(
      terms,
      async (cancellation) => await backends.authorizeSubscribe?.(request, cancellation),
    );
  } catch (error) {
    debug(node, client.sessionId, "subscription refused", { channel, ...reasonOf(error, token) });
    throw error;
  }
}
