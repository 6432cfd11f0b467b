/** Connect, from its first look to the welcome: the client's identity, which channels it has, what the server sends it. */
import { DISCONNECTS } from "../../../protocol/codes.ts";
import { MessagingError } from "../../../protocol/errors.ts";
import type {
  Connect,
  Connected,
  InboundMessage,
  Subscription as SubscriptionMessage,
} from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { utf8Length } from "../../../protocol/lean/utf8-length.ts";
import { MAX_CLIENT_NAME_BYTES } from "../../../protocol/limits.ts";
import type { Subject } from "../../ports/access.ts";
import type { Span } from "../../ports/tracing.ts";
import { SYSTEM } from "../../spans.ts";
import { uint64Of } from "../../subscription/positions.ts";
import type { JoinOutcome } from "../../subscription/session-channels.ts";
import { watchToken } from "../expiry/token-due.ts";
import { debug, reasonOf } from "../log.ts";
import type { SessionHost } from "../ports.ts";
import { type RequestContext, type RequestSession, switchedOff } from "./context.ts";
import { turnedAway } from "./entry.ts";
import { identify } from "./identify.ts";
import { acknowledged, join, joinGiven, namesOf, refusalOfAll } from "./subscriptions.ts";
import { CONNECT } from "./table.ts";

/** Why a connect has failed that was refused for anything but its token, or ended by its client. */
const NOT_CONNECTED = "not_connected";

/** The session, as its connect sees it. */
export interface ConnectingSession extends RequestSession {
  /** Takes what the client says of itself. What it sends from now on waits until connect is decided. */
  introduce(request: Connect): void;
  /** The client is connected. */
  establish(): void;
  /** Takes what has waited, without waiting for it. */
  takeWaiting(): void;
}

/** Decides about the first connect of a session: connected, or closed in the end. */
export async function connect(
  context: RequestContext,
  session: ConnectingSession,
  message: InboundMessage,
  request: Connect,
): Promise<void> {
  const span = context.node.tracer?.start("connect", {
    kind: "server",
    attributes: { "messaging.system": SYSTEM, "session.id": context.client.sessionId },
  });
  try {
    await decide(context, session, message, request, span);
  } finally {
    if (!session.connected) span?.fail(NOT_CONNECTED);
    span?.end();
  }
}

async function decide(
  context: RequestContext,
  session: ConnectingSession,
  message: InboundMessage,
  request: Connect,
  span: Span | undefined,
): Promise<void> {
  const refusal = refusalOfNames(request);
  if (refusal !== undefined) {
    context.replies.refuse(message, refusal, CONNECT.answered);
    session.close(DISCONNECTS.badRequest);
    return;
  }
  session.introduce(request);
  const requested = request.subscriptions;
  if (requested.length > 0 && switchedOff(context, "subscribe")) return;
  if (!(await authenticate(context, message, request, span))) return;
  if (session.ended) return;
  const { node, client, order } = context;
  const entering = node.enter(client.identity, client.sessionId);
  const entry = entering && (await entering);
  if (session.ended || (entry !== undefined && turnedAway(context, message, entry))) return;
  const names = [...namesOf(requested), ...(client.identity.channels ?? [])];
  await order.run(names, CONNECT.lane, () => establish(context, session, message, request));
}

/** Joins the channels of an authenticated connect, and lets the frames that wait behind it in. */
async function establish(
  context: RequestContext,
  session: ConnectingSession,
  message: InboundMessage,
  { subscriptions: requested }: Connect,
): Promise<void> {
  if (session.ended) return;
  const { client, channels, replies } = context;
  const asked = await join(context, requested, client.identity.channels);
  if (session.ended) return;
  const given = givenBeside(context, requested);
  // A v1 client of which something was refused is about to be closed.
  const whole = asked.errors.length === 0 || client.extended;
  const outcome = given.length > 0 && whole ? await withGiven(context, asked, given) : asked;
  if (session.ended) return;
  const refused = client.extended ? undefined : refusalOfAll(requested, outcome.errors);
  if (refused !== undefined) {
    replies.refuse(message, refused.error, CONNECT.answered);
    session.close(refused.disconnect ?? DISCONNECTS.internal);
    return;
  }
  const told = context.lifecycle?.connected(outcome.added);
  if (told !== undefined && !(await kept(context, message, told))) return;
  session.establish();
  watchToken(context);
  welcome(context, message, outcome, session.address);
  const settled = channels.settle(outcome);
  // Not waited for: some of them wait for the channels that are being settled.
  session.takeWaiting();
  await settled;
}

/** What the client has by its token or its authenticator and has not asked for. */
function givenBeside(
  { client }: RequestContext,
  requested: readonly SubscriptionMessage[],
): readonly string[] {
  const { channels: given = [] } = client.identity;
  if (given.length === 0) return given;
  const named = new Set(namesOf(requested));
  return given.filter((channel) => !named.has(channel));
}

/**
 * Joins that as well. An extended client hears of it with the rest, and what is refused of it is no mistake of its
 * own; for a v1 client the answer stays the echo of its request, and all of it is granted or nothing.
 */
async function withGiven(
  context: RequestContext,
  asked: JoinOutcome,
  given: readonly string[],
): Promise<JoinOutcome> {
  const { extended } = context.client;
  const { acknowledged, added, joined, patterns, errors } = await joinGiven(context, given);
  return {
    acknowledged: extended ? [...asked.acknowledged, ...acknowledged] : asked.acknowledged,
    added: [...asked.added, ...added],
    joined: [...asked.joined, ...joined],
    patterns: [...asked.patterns, ...patterns],
    errors: extended ? asked.errors : errors,
  };
}

/**
 * Waits until what is reported of the connect is kept. A client whose connect could not be kept comes back: a backend
 * that hears of sessions knows at least what the client knows.
 *
 * @returns whether the session goes on
 */
async function kept(
  { replies, session }: RequestContext,
  message: InboundMessage,
  told: Promise<void>,
): Promise<boolean> {
  try {
    await told;
    return !session.ended;
  } catch (error) {
    if (session.ended) return false;
    replies.refuse(message, error, CONNECT.answered);
    session.close(DISCONNECTS.internal);
    return false;
  }
}

/** Undefined where nothing is wrong with a client's names for itself: they stand in all it publishes. */
function refusalOfNames({ clientId, clientType }: Connect): MessagingError | undefined {
  for (const [name, value] of Object.entries({ client_id: clientId, client_type: clientType })) {
    if (utf8Length(value) > MAX_CLIENT_NAME_BYTES) {
      const text = `${name} is longer than ${MAX_CLIENT_NAME_BYTES} bytes`;
      return new MessagingError("BAD_REQUEST", text);
    }
  }
  return undefined;
}

/**
 * Learns which user this is. A refusal is sent to the client and closes with 3500.
 *
 * @returns whether the session goes on
 */
async function authenticate(
  context: RequestContext,
  message: InboundMessage,
  { token, version }: Connect,
  span: Span | undefined,
): Promise<boolean> {
  const { node, session, client, replies } = context;
  const { address } = session;
  if (client.admitted || node.backends.authenticate === undefined) return true;
  const { sessionId, clientId } = client;
  try {
    client.identity = await identify(context, { token, version }, { span });
    return true;
  } catch (error) {
    span?.fail(MessagingError.from(error).code);
    const reason = reasonOf(error, token);
    debug(node, sessionId, "authentication failed", { client: clientId, address, ...reason });
    // A backend that is down has refused nobody: a client that knows the difference may come back.
    const { retry: down, metadata = {} } = MessagingError.from(error);
    if (down && client.extended) {
      replies.refuse(message, error, "backend");
      session.close(DISCONNECTS.internal);
    } else {
      const text = "authentication failed";
      const refusal = down ? new MessagingError("AUTH_ERROR", text, { metadata }) : error;
      replies.refuse(message, refusal, "backend");
      session.close(DISCONNECTS.invalidToken);
    }
    return false;
  }
}

/** Tells a client that it is connected, and which channels it has. */
function welcome(
  context: RequestContext,
  message: InboundMessage,
  outcome: JoinOutcome,
  address: string,
): void {
  const { node, client, replies } = context;
  const { sessionId, userId, clientId, clientType, encoding, extended } = client;
  const subscriptions = acknowledged(context, outcome);
  replies.reply(message, {
    case: "connected",
    value: {
      $typeName: "messageloop.v1.Connected",
      sessionId,
      subscriptions,
      publications: [],
      ...granted(context),
    },
  });
  debug(node, sessionId, "connected", {
    user: userId,
    client: clientId,
    clientType,
    address,
    encoding,
    extended,
  });
  if (outcome.errors.some((error) => error.counts)) replies.countError();
}

type Granted = Pick<
  Connected,
  "capabilities" | "userId" | "maxMessageBytes" | "pingIntervalMs" | "creditBytes" | "dedupWindowMs"
>;

/** The most that the field has room for: a longer time is named as this one. */
const LONGEST_WINDOW_MS = 0xffff_ffff;

const NOTHING_GRANTED: Granted = {
  capabilities: [],
  userId: "",
  maxMessageBytes: 0,
  pingIntervalMs: 0,
  creditBytes: 0n,
  dedupWindowMs: 0,
};

/** What `connected` has for an extended client alone. */
function granted({ node, client }: RequestContext): Granted {
  if (!client.extended) return NOTHING_GRANTED;
  const { maxMessageBytes, pingIntervalMs, creditBytes } = node.settings;
  return {
    capabilities: [...client.capabilities],
    userId: client.userId,
    maxMessageBytes,
    pingIntervalMs,
    creditBytes: client.can("credit") ? uint64Of(creditBytes) : 0n,
    dedupWindowMs: Math.min(dedupWindow(node, client.subject), LONGEST_WINDOW_MS),
  };
}

/** How long an event is recognised in whichever channel somebody publishes it again. */
function dedupWindow({ rules, authorizer }: SessionHost, who: Subject): number {
  return rules.dedupWindowMs((pattern, except) =>
    authorizer.reaches(who, "publish", pattern, except),
  );
}
