/**
 * A client's connection through all of its lives: it dials, says connect, keeps the connection alive, notices its loss and
 * comes back. It knows frames and requests, and nothing of what an application subscribes to.
 *
 * Every attempt has a generation number. What a transport, a timer or a promise of an earlier one tells is not heard.
 */
import { MessagingError } from "../../protocol/errors.ts";
import { reconnects } from "../../protocol/lean/reconnects.ts";
import type {
  Codec,
  ConnectedFrame,
  Frame,
  InboundFrame,
  OutboundFrame,
  SubscriptionRequest,
} from "../wire/frames.ts";
import { frameLength } from "../wire/sizes.ts";
import { deferred } from "./emitter.ts";
import type { Clock, Surroundings, Transport, TransportEnd, TransportFactory } from "./ports.ts";
import { Receiver } from "./receiver.ts";
import { type AnswerKind, errorOf, requestsOf, retryAfterMs, type Terms } from "./requests.ts";
import { FIRST_DELAY_MS, longestDelay, Timer } from "./timer.ts";

/**
 * - `connecting`: on the way, or waiting for the next try
 * - `connected`: the server has answered connect
 * - `closed`: for good
 */
export type ConnectionState = "connecting" | "connected" | "closed";

/** A change of state, and why. */
export interface StateChange {
  readonly state: ConnectionState;
  readonly previous: ConnectionState;
  /** Why the connection is lost or closed; undefined where it is made, and after the application's own `close()`. */
  readonly error: MessagingError | undefined;
  /** Milliseconds until the next try, where there will be one by itself. */
  readonly retryInMs: number | undefined;
}

/** Why `getToken` is asked. */
export interface TokenRequest {
  /** `connect` before an attempt, `expired` where the server has closed for that, `expiring` on a live connection. */
  readonly reason: "connect" | "expired" | "expiring";
}

export interface ConnectionOptions {
  readonly url: string;
  readonly clientId: string;
  readonly clientType: string;
  readonly version: string;
  readonly token: string;
  readonly getToken?: (request: TokenRequest) => string | null | Promise<string | null>;
  readonly codec: Codec;
  readonly transport: TransportFactory;
  readonly capabilities: readonly string[];
  readonly connectTimeoutMs: number;
  /** Of a request of which nothing else is said. Default 10,000. */
  readonly requestTimeoutMs?: number;
  /** Default 10,000. */
  readonly pongTimeoutMs?: number;
  /** Default: what the server asks for. 0 sends none. */
  readonly pingIntervalMs?: number;
  /** False ends at the first loss. Default true. */
  readonly reconnect?: boolean;
  /** False ends when the first attempt fails. */
  readonly patient: boolean;
  readonly clock: Clock;
  readonly surroundings: Surroundings;
}

/** The connection's owner. What it is told comes in the order of the frames, inside of them. */
export interface ConnectionOwner {
  /** What to subscribe to, in a connect of at most so many bytes more. */
  subscriptions(room: number): readonly SubscriptionRequest[];
  /** The server has answered connect. Requests can be made; those from before are sent after it. */
  connected(frame: ConnectedFrame, time: number): void;
  /** What nobody has asked for. */
  frame(frame: OutboundFrame): void;
  /** A new token is in use. */
  refreshed(): void;
  /** The session is over, and requests have been rejected. */
  lost(error: MessagingError, isOver: boolean): void;
  changed(change: StateChange): void;
  /** Belongs to no request. */
  report(error: unknown): void;
}

/** What the SDK knows beyond the first version of the protocol. */
export const CAPABILITIES: readonly string[] = [
  "recovery",
  "presence",
  "history",
  "survey",
  "control",
  "refresh",
  "credit",
  "compact",
];

const REQUEST_TIMEOUT_MS = 10_000;
const PONG_TIMEOUT_MS = 10_000;
/** How long a pong that may lie behind a late timer has after its time is over. */
const PONG_GRACE_MS = 1_000;
/** How long `close` waits for the server. */
const CLOSE_TIMEOUT_MS = 1_000;
/** Attempts that follow one another this closely use one token. */
const TOKEN_REUSE_MS = 60_000;
/** What a server takes that has not said yet how much it takes. */
const USUAL_MESSAGE_BYTES = 65_536;
/** Reports of what was received, per credit. */
const REPORTS_PER_CREDIT = 4;
/** The code that says to the server that this client comes back. */
const COMES_BACK = 3000;
const TOKEN_EXPIRED = 3513;
/** No close frame came. */
const LOST = 1006;

export interface Connection {
  readonly state: ConnectionState;
  readonly token: string;
  /** The session's public id; empty before the first. */
  readonly sessionId: string;
  readonly userId: string;
  /** How many bytes of a frame's content the server takes. */
  readonly room: number;
  /** Begins the first attempt. */
  start(): void;
  /**
   * Asks the server, as soon as there is a connection.
   *
   * @throws MessagingError (as a rejection, which may be ignored)
   */
  request<Kind extends AnswerKind, T>(frame: InboundFrame, terms: Terms<Kind, T>): Promise<T>;
  /** Says what has no answer. Without a connection nobody is told. */
  tell(frame: InboundFrame): void;
  /** Takes a new token, and brings it to the server where there is a connection. */
  refresh(token: string): Promise<void>;
  /** Ends the connection for good. Resolves when the server has answered, or after a second. */
  close(error?: MessagingError): Promise<void>;
}

export function connectionOf(options: ConnectionOptions, owner: ConnectionOwner): Connection {
  const { url, codec, clock, getToken } = options;
  const requests = requestsOf(clock, options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS);
  /** Of an attempt, of the pause before the next one, or of the end. */
  const limit = new Timer(clock);
  const beat = new Timer(clock);
  const pong = new Timer(clock);
  const [closed, finish] = deferred();
  let state: ConnectionState = "connecting";
  let { token } = options;
  let sessionId = "";
  let userId = "";
  /** 0 while the server has not said. */
  let maxMessageBytes = 0;
  let generation = 0;
  let transport: Transport | undefined;
  let receiver: Receiver | undefined;
  /** The application has given a token for the first attempt. */
  let hasToken = token !== "";
  /** No attempt is under way: the page was left, or there is a pause before the next one. */
  let isIdle = false;
  /** Attempts since the last connection that lasted. */
  let failures = 0;
  let connectedAt: number | undefined;
  /** Before this no attempt is made, by `Clock.elapsed`. */
  let notBefore = 0;
  let tokenAt = -TOKEN_REUSE_MS;
  let tokenReason: TokenRequest["reason"] = "connect";
  /** What the server has said before it closed. */
  let told: OutboundFrame["disconnect"];
  let refusal: MessagingError | undefined;
  /** The transport that is being closed. */
  let leaving: Transport | undefined;

  /** The same function, but for what comes of it when something else has begun. */
  const current = <Given extends unknown[], T>(run: (...given: Given) => T) => {
    const mine = generation;
    return (...given: Given): T | undefined => (mine === generation ? run(...given) : undefined);
  };

  /** Makes all that was there belong to the past, and returns its transport. */
  const abandon = (): Transport | undefined => {
    const former = transport;
    transport = undefined;
    generation += 1;
    limit.stop();
    beat.stop();
    pong.stop();
    receiver?.stop();
    isIdle = false;
    return former;
  };

  /** @param tell happens in the new state, before the change is told */
  const enter = (
    next: ConnectionState,
    tell: () => void,
    error?: MessagingError,
    retryInMs?: number,
  ): void => {
    const previous = state;
    // The owner, or the application, may end it meanwhile.
    const changed = current(() => owner.changed({ state: next, previous, error, retryInMs }));
    state = next;
    tell();
    changed();
  };

  /** The session is over, if there was one. */
  const leave = (next: ConnectionState, error?: MessagingError, retryInMs?: number): void => {
    const why = error ?? closedError();
    const tell = (): void => {
      const isOver = next === "closed";
      requests.fail(why, isOver);
      owner.lost(why, isOver);
    };
    enter(next, tell, error, retryInMs);
  };

  const close = (error?: MessagingError): Promise<void> => {
    if (state === "closed") return closed;
    leaving = abandon();
    unwatch();
    leave("closed", error);
    if (!leaving) finish();
    else {
      leaving.close(1000, "client closing");
      limit.set(CLOSE_TIMEOUT_MS, finish);
    }
    return closed;
  };

  const end = (error: unknown): unknown => close(MessagingError.from(error));

  const room = (): number => (maxMessageBytes || USUAL_MESSAGE_BYTES) - 1_024;

  const send = (frame: Frame): void => transport?.send(frame);

  const tell = (frame: InboundFrame): void => {
    if (state === "connected") send(codec.encode(frame));
  };

  const flush = (): void =>
    requests.flush((frame) => {
      const encoded = codec.encode(frame);
      const bytes = frameLength(encoded);
      if (maxMessageBytes && bytes > maxMessageBytes) {
        throw new MessagingError("TOO_LARGE", `${bytes} bytes, not ${maxMessageBytes}`);
      }
      send(encoded);
    });

  const request: Connection["request"] = (frame, terms) => {
    const answer = requests.add(frame, terms);
    if (state === "closed") requests.fail(closedError(), true);
    else if (state === "connected") flush();
    return answer;
  };

  /** A token of the application. Also what it throws is a rejection. */
  const ask = async (reason: TokenRequest["reason"]): Promise<string | null> =>
    getToken?.({ reason }) ?? null;

  const takeToken = (fresh: string): void => {
    token = fresh;
    tokenAt = clock.elapsed();
    tokenReason = "connect";
  };

  const refresh = async (fresh: string): Promise<void> => {
    takeToken(fresh);
    if (state !== "connected") return;
    const take = (): void => owner.refreshed();
    await request({ refresh: { token } }, { kind: "refresh_ack", take });
  };

  const attempt = (): void => {
    abandon();
    refusal = undefined;
    told = undefined;
    limit.set(options.connectTimeoutMs, () => drop("no answer in time"));
    if (!getToken || hasToken || clock.elapsed() - tokenAt < TOKEN_REUSE_MS) {
      hasToken = false;
      open();
      return;
    }
    ask(tokenReason).then(
      current((fresh) => {
        if (fresh === null) end(new MessagingError("AUTH_ERROR", "getToken has no token"));
        else {
          takeToken(fresh);
          open();
        }
      }),
      current((cause) => {
        const error = new MessagingError("UNAVAILABLE", "getToken has failed", { cause });
        owner.report(error);
        drop(error.message);
      }),
    );
  };

  const open = (): void => {
    const report = (bytes: number): void => tell({ received: { bytes } });
    receiver = new Receiver({ codec, pong, owner, take, tell: report });
    const lost = current((why: TransportEnd) => {
      transport = undefined;
      lose(why);
    });
    try {
      const opened = options.transport.open(url, codec.subprotocol, {
        opened: current(connect),
        frame: receiver.frame.bind(receiver),
        alive: current(() => pong.stop()),
        ended(why) {
          if (opened === leaving) {
            limit.stop();
            finish();
          }
          lost(why);
        },
      });
      transport = opened;
    } catch (error) {
      end(error);
    }
  };

  const connect = (): void => {
    const subscriptions = owner.subscriptions(room() - token.length);
    const connect = {
      client_id: options.clientId,
      client_type: options.clientType,
      token,
      version: options.version,
      subscriptions,
      capabilities: options.capabilities,
    };
    send(codec.encode({ id: "0", connect }));
  };

  const take = (frame: OutboundFrame): void => {
    const { connected, disconnect, error, token_expiring: expiring } = frame;
    if (disconnect) told = disconnect;
    else if (state !== "connected") {
      if (connected) begin(connected, frame.time ?? 0);
      // A close follows, whose code decides.
      else if (error) refusal = errorOf(error);
    } else if (!requests.answer(frame)) {
      if (error) owner.report(errorOf(error));
      // The tokens of subscriptions are the application's own.
      else if (getToken && expiring && !expiring.channels?.length) {
        const renew = current((fresh: string | null) =>
          fresh === null ? undefined : refresh(fresh),
        );
        ask("expiring")
          .then(renew)
          .catch(current((why) => owner.report(why)));
      } else owner.frame(frame);
    }
  };

  const begin = (frame: ConnectedFrame, time: number): void => {
    const { ping_interval_ms = 0, credit_bytes = 0, capabilities } = frame;
    ({
      session_id: sessionId = "",
      user_id: userId = "",
      max_message_bytes: maxMessageBytes = 0,
    } = frame);
    limit.stop();
    connectedAt = clock.elapsed();
    const counts = capabilities?.includes("credit") && credit_bytes > 0;
    receiver?.start(counts ? credit_bytes / REPORTS_PER_CREDIT : Infinity);
    enter("connected", () => {
      const goOn = current(flush);
      pingEvery(options.pingIntervalMs ?? ping_interval_ms);
      owner.connected(frame, time);
      goOn();
    });
  };

  const ping = (): void => {
    transport?.ping();
    // The oldest ping without an answer decides, whatever was sent since.
    if (pong.runs()) return;
    pong.set(options.pongTimeoutMs ?? PONG_TIMEOUT_MS, () => {
      // In a page that was hidden or asleep the answer may lie behind this timer: it comes before the next one.
      pong.set(PONG_GRACE_MS, () => drop("no answer in time"));
    });
  };

  const pingEvery = (ms: number): void => {
    if (ms <= 0) return;
    beat.set(ms, () => {
      ping();
      pingEvery(ms);
    });
  };

  /** Ends a connection that does not answer, without waiting for its close handshake. */
  const drop = (reason: string): void => lose({ code: LOST, reason });

  const lose = ({ code, reason, fatal, retryAfterMs: pauseMs = 0 }: TransportEnd): void => {
    // The close frame may have been lost after what announced it.
    const close =
      !told?.code || code !== LOST
        ? { code, reason }
        : { code: told.code, reason: told.reason ?? "" };
    const error = new MessagingError(
      refusal?.code ?? (fatal ? "UNIMPLEMENTED" : "UNAVAILABLE"),
      refusal?.message ?? `connection closed: ${close.code} ${close.reason}`.trim(),
      { close, metadata: refusal?.metadata },
    );
    const comesBack = !fatal && (told ? told.reconnect : reconnects(close.code));
    const isFirst = connectedAt === undefined && failures === 0;
    if (!comesBack || options.reconnect === false || (isFirst && !options.patient)) {
      end(error);
      return;
    }
    if (close.code === TOKEN_EXPIRED) {
      tokenAt = -TOKEN_REUSE_MS;
      tokenReason = "expired";
    }
    const askedMs = Math.max(told?.retry_after_ms ?? 0, retryAfterMs(error), pauseMs);
    // The server may have named the same time to everybody.
    const delayMs = askedMs + delay();
    notBefore = clock.elapsed() + askedMs;
    abandon()?.close(COMES_BACK, "connection lost");
    wait(delayMs);
    leave("connecting", error, delayMs);
  };

  const wait = (ms: number): void => {
    isIdle = true;
    limit.set(ms, attempt);
  };

  /** A random time, in milliseconds. The longer connections do not last, the longer it may be. */
  const delay = (): number => {
    const bound = longestDelay(failures);
    const healthy = connectedAt !== undefined && clock.elapsed() - connectedAt >= bound;
    connectedAt = undefined;
    failures = healthy ? 1 : failures + 1;
    return clock.random() * (healthy ? FIRST_DELAY_MS : bound);
  };

  const unwatch = options.surroundings.watch(
    () => {
      // Only this client can have been cut.
      if (state === "connected") ping();
      else if (isIdle) wait(Math.max(0, notBefore - clock.elapsed()));
    },
    () => {
      // The page is left: what it has open would hear nothing, and look alive to the server.
      if (state === "closed") return;
      abandon()?.close(1000, "page left");
      isIdle = true;
      leave("connecting", new MessagingError("UNAVAILABLE", "page left"));
    },
  );

  return {
    get state() {
      return state;
    },
    get token() {
      return token;
    },
    get sessionId() {
      return sessionId;
    },
    get userId() {
      return userId;
    },
    get room() {
      return room();
    },
    start: attempt,
    request,
    tell,
    refresh,
    close,
  };
}

/** What becomes of everything when the application closes its client. */
export function closedError(): MessagingError {
  return new MessagingError("UNAVAILABLE", "the client is closed");
}
