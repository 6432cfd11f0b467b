/** Subscribe and unsubscribe, by a client or from the server's side; connect subscribes in the same way. */
import { create } from "@bufbuild/protobuf";
import { patternProblem } from "../../../channels/patterns.ts";
import { DISCONNECTS, type Disconnect } from "../../../protocol/codes.ts";
import { errorFrom, MessagingError } from "../../../protocol/errors.ts";
import {
  type InboundMessage,
  type Subscribe,
  type Subscription as SubscriptionMessage,
  SubscriptionSchema,
  type Unsubscribe,
} from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { background } from "../../background.ts";
import type { SubscriptionConsent } from "../../ports/backends.ts";
import type { Origin } from "../../subscription/listener.ts";
import type { JoinTerms } from "../../subscription/ports.ts";
import type { JoinOutcome } from "../../subscription/session-channels.ts";
import { answeredConsent } from "../backend-answers.ts";
import type { CallTerms } from "../backend-calls.ts";
import { watchToken } from "../expiry/token-due.ts";
import { divided, fitErrors } from "../frame-limit.ts";
import { debug, reasonOf } from "../log.ts";
import { givenRefusal, mayDo, mustBeAllowed, mustNotBeDenied } from "./access.ts";
import type { RequestContext, Work } from "./context.ts";

/** Channels that a request may name without waiting for a turn, and that one step of a turn has room for. */
const CHANNELS_AT_ONCE = 8;
const CHANNELS_A_STEP = 10;

const AUTHORIZE: Omit<CallTerms<SubscriptionConsent | undefined>, "timeoutMs"> = {
  backend: "authorizeSubscribe",
  check: answeredConsent,
  invalid: ["ACL_ERROR", "authorization failed"],
  timeout: ["UNAVAILABLE", "authorization took too long"],
  failure: ["UNAVAILABLE", "authorization failed"],
  // Whether a v1 client is closed is nothing that a refusal decides.
  reserved: ({ retry }) => retry,
};

export function subscribe(
  context: RequestContext,
  message: InboundMessage,
  { subscriptions: requested }: Subscribe,
): Work {
  const { session, client, channels, lifecycle, replies } = context;
  const run = async (): Promise<void> => {
    if (session.ended) return;
    const { identity } = client;
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
    const told = lifecycle?.subscribed(outcome.added);
    if (told !== undefined) {
      try {
        await told;
      } catch (error) {
        takeBack(context, outcome.added);
        throw error;
      }
      if (session.ended) return;
    }
    session.save();
    const subscriptions = acknowledged(context, outcome);
    const value = { $typeName: "messageloop.v1.SubscribeAck", subscriptions } as const;
    replies.reply(message, { case: "subscribeAck", value });
    if (outcome.errors.some((error) => error.counts)) replies.countError();
    // A token that has come meanwhile has taken away only what the session had.
    if (client.identity !== identity) leaveDisallowed(context);
    await channels.settle(outcome);
  };
  return { channels: namesOf(requested), run };
}

export function unsubscribe(
  context: RequestContext,
  message: InboundMessage,
  { subscriptions: requested }: Unsubscribe,
): Work {
  const { session, replies } = context;
  const names = namesOf(requested);
  const run = async (): Promise<void> => {
    const told = await inTurn(context, names.length, async () => {
      // Not the promise itself: a request that waits for a turn would wait for it.
      return { kept: leave(context, names) };
    });
    if (session.ended) return;
    session.save();
    if (told.kept !== undefined) await told.kept;
    if (session.ended) return;
    const subscriptions = requested.map(({ channel, ephemeral, token }) => ({
      channel,
      ephemeral,
      token,
    }));
    replies.reply(message, { case: "unsubscribeAck", value: { subscriptions } });
  };
  return { channels: names, run };
}

/**
 * Leaves channels.
 *
 * @returns what says that it is kept that they were left, as `SessionLifecycle.unsubscribed` does
 */
function leave(
  { channels, lifecycle }: RequestContext,
  names: readonly string[],
): Promise<void> | undefined {
  const had = lifecycle && new Set(channels.names);
  for (const name of names) channels.leave(name, true);
  return had && lifecycle?.unsubscribed([...new Set(names)].filter((name) => had.has(name)));
}

/** Takes subscriptions back that could be reported to no backend. */
function takeBack(context: RequestContext, names: readonly string[]): void {
  const { node, session } = context;
  if (session.ended) return;
  const told = leave(context, names);
  session.save();
  if (told !== undefined) background(told, node.logger, "telling of channels that were left");
}

/**
 * A subscribe from the server's side: no backend is asked, and a client that can take it hears what it has now.
 *
 * @param errors are added for what was refused: this closes no session, whose client has done nothing wrong
 */
export function addition(
  context: RequestContext,
  names: readonly string[],
  errors: Map<string, MessagingError>,
): () => Promise<void> {
  const { session, channels, lifecycle } = context;
  return async () => {
    if (!session.connected) return;
    // What cannot be joined must not take the rest with it.
    const outcome = await joinUnasked(context, names, {
      extended: true,
      authorize: async () => "server",
    });
    if (session.ended) return;
    const told = lifecycle?.subscribed(outcome.added);
    if (told !== undefined) {
      const problem = await told.then(
        () => undefined,
        (error: unknown) => MessagingError.from(error),
      );
      if (problem !== undefined) {
        takeBack(context, outcome.added);
        for (const name of names) errors.set(name, problem);
        return;
      }
      if (session.ended) return;
    }
    session.save();
    for (const { channel, error } of outcome.acknowledged) {
      if (error !== undefined) errors.set(channel, errorFrom(error));
    }
    const granted = outcome.acknowledged.filter(({ error }) => error === undefined);
    tellChange(context, "subscribed", granted);
    await channels.settle(outcome);
  };
}

/** Joins what a client has by its token or its authenticator, which has granted it by that: only a rule can deny it. */
export function joinGiven(context: RequestContext, names: readonly string[]): Promise<JoinOutcome> {
  const { extended } = context.client;
  const authorize = async (channel: string): Promise<Origin> => {
    mustNotBeDenied(context, "subscribe", channel);
    return "given";
  };
  return inTurn(context, names.length, () => joinUnasked(context, names, { extended, authorize }));
}

/**
 * Joins channels about which no backend is asked.
 *
 * @param terms of them `extended` says whether the session keeps those that were joined where others were not
 */
function joinUnasked(
  { channels }: RequestContext,
  names: readonly string[],
  terms: Pick<JoinTerms, "extended" | "authorize">,
): Promise<JoinOutcome> {
  const requested = entriesOf([...new Set(names)]);
  return channels.join(requested, { ...terms, recovery: false, byClient: false });
}

/** An unsubscribe from the server's side: a client that can take it hears what it has no more. */
export function removal(context: RequestContext, names: readonly string[]): () => Promise<void> {
  const { session, channels } = context;
  return async () => {
    // What connect asks for is being joined: it cannot be taken away from in between.
    if (!session.connected) return;
    const had = new Set(channels.names);
    const ended = [...new Set(names)].filter((name) => had.has(name));
    const told = leave(context, ended);
    session.save();
    try {
      if (told !== undefined) await told;
    } finally {
      tellChange(context, "unsubscribed", entriesOf(ended));
    }
  };
}

/**
 * Takes away what rules and grants do not allow any more, and reports it to the client. A client that cannot take the
 * report is closed, to come back and hear it then.
 */
export function leaveDisallowed(context: RequestContext): void {
  const { node, session, client, channels } = context;
  const ended = [...channels.origins()]
    .filter(([name, origin]) => !mayKeep(context, name, origin))
    .map(([name]) => name);
  if (ended.length === 0 || session.ended) return;
  debug(node, client.sessionId, "channels are not allowed any more", { channels: ended.length });
  const told = leave(context, ended);
  session.save();
  if (told !== undefined) background(told, node.logger, "telling of channels that were left");
  if (!client.can("control")) {
    session.close(DISCONNECTS.connectionClosed);
    return;
  }
  tellChange(context, "unsubscribed", entriesOf(ended));
}

/** The application is above rules. What a token has given only a rule can take, or another token that leaves it out. */
function mayKeep(context: RequestContext, name: string, origin: Origin): boolean {
  if (origin === "server") return true;
  // A record says that channels were given, and not which.
  const { channels = [name] } = context.client.identity;
  return origin === "given" && channels.includes(name)
    ? givenRefusal(context, "subscribe", name) === undefined
    : mayDo(context, "subscribe", name);
}

/** Tells what the server has changed of a session's subscriptions, in messages that its client reads. */
function tellChange(
  { node, session, client, replies }: RequestContext,
  kind: "subscribed" | "unsubscribed",
  subscriptions: readonly SubscriptionMessage[],
): void {
  if (!client.can("control")) return;
  const around = replies.notice({ case: kind, value: {} }).bytes;
  const most = session.maxFrameBytes || node.settings.maxMessageBytes;
  for (const some of divided(subscriptions, client.encoding, most - around)) {
    replies.tell({ case: kind, value: { subscriptions: [...some] } });
  }
}

/** Entries that name channels, and say nothing else of them. */
function entriesOf(names: readonly string[]): SubscriptionMessage[] {
  return names.map((channel) => create(SubscriptionSchema, { channel }));
}

/** The channels that a request names. */
export function namesOf(requested: readonly SubscriptionMessage[]): string[] {
  return requested.map((entry) => entry.channel);
}

/** @param given of the channels those that nobody need be asked about; default none */
export function join(
  context: RequestContext,
  requested: readonly SubscriptionMessage[],
  given: readonly string[] = [],
): Promise<JoinOutcome> {
  const { client, channels } = context;
  const consents: Consents = new Map();
  const joining = inTurn(context, requested.length, () =>
    channels.join(requested, {
      extended: client.extended,
      recovery: client.can("recovery"),
      byClient: true,
      authorize: async (channel, token) => {
        if (given.includes(channel)) {
          mustNotBeDenied(context, "subscribe", channel);
          consents.delete(channel);
          return "given";
        }
        consents.set(channel, await authorize(context, channel, token));
        return "client";
      },
    }),
  );
  return joining.then(
    (outcome) => {
      noteEnds(context, outcome, consents);
      release(context, consents.values());
      return outcome;
    },
    (error: unknown) => {
      release(context, consents.values());
      throw error;
    },
  );
}

/** By channel. */
type Consents = Map<string, SubscriptionConsent | undefined>;

/** The subscriptions of these tokens are there, or never will be. */
export function release(
  { client }: RequestContext,
  consents: Iterable<SubscriptionConsent | undefined>,
): void {
  for (const consent of consents) if (consent !== undefined) client.ends.release(consent);
}

/** Remembers when subscriptions end that were granted by tokens of their own. */
function noteEnds(
  context: RequestContext,
  { acknowledged: entries }: JoinOutcome,
  consents: Consents,
): void {
  const { node, client, channels, session } = context;
  const known = client.subscriptionEnds;
  if (known === undefined && [...consents.values()].every((consent) => consent === undefined))
    return;
  for (const { channel, error } of entries) {
    if (error === undefined) client.ends.set(channel, consents.get(channel));
  }
  // Those of channels that were left meanwhile are forgotten when there are too many.
  if (client.ends.size > node.settings.maxSubscriptions) client.ends.keep(new Set(channels.names));
  if (session.connected) watchToken(context);
}

/** The entries of an acknowledgement, in a frame that a client reads. */
export function acknowledged(
  { node }: RequestContext,
  outcome: JoinOutcome,
): SubscriptionMessage[] {
  return fitErrors(outcome.acknowledged, node.settings.maxMessageBytes);
}

/**
 * What a v1 client gets for subscriptions of which some were refused, and what its session is closed
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

/**
 * Whether this user may subscribe: rules and grants first, and of what they allow the backend. Resolves with what
 * bounds that, which is to be released when the subscription is there; undefined where nothing does.
 */
export async function authorize(
  context: RequestContext,
  channel: string,
  token: string,
): Promise<SubscriptionConsent | undefined> {
  const { node, client } = context;
  const { backends, settings } = node;
  if (client.admitted) return undefined;
  const request = { channel, token, caller: client.caller };
  const terms = { ...AUTHORIZE, timeoutMs: settings.authTimeoutMs };
  try {
    mustBeAllowed(context, "subscribe", channel);
    if (backends.authorizeSubscribe === undefined) return undefined;
    const consent = await context.backend.run(terms, (cancellation) =>
      backends.authorizeSubscribe?.(request, cancellation),
    );
    const asking = consent && revoked(context, consent);
    if (asking !== undefined && (await asking)) {
      release(context, [consent]);
      throw new MessagingError("ACL_ERROR", "authorization failed");
    }
    return consent;
  } catch (error) {
    debug(node, client.sessionId, "subscription refused", { channel, ...reasonOf(error, token) });
    throw error;
  }
}

/**
 * Whether the token of a subscription is revoked; undefined where nobody has to be asked.
 */
function revoked(
  { node, client }: RequestContext,
  consent: SubscriptionConsent,
): Promise<boolean> | undefined {
  const { ends, userId, sessionId } = client;
  // Before anybody is asked: what is revoked after the answer is heard here.
  ends.await(consent);
  return node
    .enter({ ...consent.token, userId }, sessionId)
    ?.then((entrance) => entrance === "revoked");
}
