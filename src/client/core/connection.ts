/**
 * A client's connection through all of its lives: it dials, says connect, keeps the connection alive, notices its loss and
 * comes back. It knows frames and requests, and nothing of what an application subscribes to.
 *
 * Every attempt has a generation number. What a transport, a timer or a promise of an earlier one tells is not heard.
 */
import { MessagingError } from "../../protocol/errors.ts";
import { reconnects } from "../../protocol/lean/reconnects.ts";
import { utf8Length } from "../../protocol/lean/utf8-length.ts";
import type {
  Codec,
  ConnectedFrame,
  Frame,
  InboundFrame,
  OutboundFrame,
  SubscriptionRequest,
} from "../wire/frames.ts";
import type { Clock, Surroundings, Transport, TransportEnd, TransportFactory } from "./ports.ts";
import { type AnswerKind, errorOf, Requests, retryAfterMs, type Terms } from "./requests.ts";

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
  lost(error: MessagingError): void;
  changed(change: StateChange): void;
  /** Belongs to no request. */
  report(error: unknown): void;
}

/** A first try comes within it, and each further one within the double of the one before. */
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 20_000;
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

export class Connection {
  state: ConnectionState = "connecting";
  token: string;
  sessionId = "";
  userId = "";
  capabilities: readonly string[] = [];
  /** 0 while the server has not said. */
  maxMessageBytes = 0;
  readonly #options: ConnectionOptions;
  readonly #clock: Clock;
  readonly #owner: ConnectionOwner;
  readonly #requests: Requests;
  readonly #unwatch: () => void;
  /** What cancels each timer, by its purpose. */
  readonly #timers = new Map<string, () => void>();
  #generation = 0;
  #transport: Transport | undefined;
  #attempts = 0;
  /** Attempts since the last connection that lasted. */
  #failures = 0;
  #connectedAt: number | undefined;
  /** Before this no attempt is made, by `Clock.elapsed`. */
  #notBefore = 0;
  #tokenAt = Number.NEGATIVE_INFINITY;
  #tokenReason: TokenRequest["reason"] = "connect";
  #asleep = false;
  /** What the server has said before it closed. */
  #told: OutboundFrame["disconnect"];
  #refusal: MessagingError | undefined;
  #received = 0;
  #reported = 0;
  #reportAt = Number.POSITIVE_INFINITY;
  #closing: Promise<void> | undefined;
  /** The transport that is being closed, and who waits for that. */
  #leaving: Transport | undefined;
  #gone = (): void => {};

  constructor(options: ConnectionOptions, owner: ConnectionOwner) {
    this.#options = options;
    this.#clock = options.clock;
    this.#owner = owner;
    this.#requests = new Requests(options.clock);
    this.token = options.token;
    this.#unwatch = options.surroundings.watch(
      () => this.#wake(),
      () => this.#sleep(),
    );
  }

  /** Begins the first attempt. */
  start(): void {
    this.#attempt();
  }

  /**
   * Asks the server, as soon as there is a connection.
   *
   * @throws MessagingError (as a rejection, which may be ignored)
   */
  request<Kind extends AnswerKind, T>(frame: InboundFrame, terms: Terms<Kind, T>): Promise<T> {
    const answer = this.#requests.add(frame, terms);
    if (this.state === "closed") this.#requests.fail(closedError(), true);
    else if (this.state === "connected") this.#flush();
    return answer;
  }

  /** Says what has no answer. Without a connection nobody is told. */
  tell(frame: InboundFrame): void {
    if (this.state === "connected") this.#send(this.#options.codec.encode(frame));
  }

  /** Takes a new token, and brings it to the server where there is a connection. */
  async refresh(token: string): Promise<void> {
    this.#takeToken(token);
    if (this.state !== "connected") return;
    await this.request(
      { refresh: { token } },
      { kind: "refresh_ack", take: () => this.#owner.refreshed(), timeoutMs: 10_000 },
    );
  }

  /** Ends the connection for good. Resolves when the server has answered, or after a second. */
  close(error?: MessagingError): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = new Promise((resolve) => {
        this.#gone = () => {
          this.#cancel("close");
          resolve();
        };
      });
      this.#shut(error);
    }
    return this.#closing;
  }

  #shut(error: MessagingError | undefined): void {
    const transport = this.#abandon();
    this.#leaving = transport;
    this.#unwatch();
    this.#leave("closed", error);
    if (transport === undefined) this.#gone();
    else {
      transport.close(1000, "client closing");
      this.#timer("close", CLOSE_TIMEOUT_MS, this.#gone);
    }
  }

  /** The session is over, if there was one. */
  #leave(state: ConnectionState, error?: MessagingError, retryInMs?: number): void {
    const generation = this.#generation;
    const previous = this.state;
    // Before anybody is told, so that whoever asks now finds it so.
    this.state = state;
    const why = error ?? closedError();
    this.#requests.fail(why, state === "closed");
    this.#owner.lost(why);
    // The owner may have closed it.
    if (generation === this.#generation) this.#owner.changed({ state, previous, error, retryInMs });
  }

  #attempt(): void {
    const generation = this.#begin();
    this.#attempts += 1;
    this.#refusal = undefined;
    this.#told = undefined;
    this.#timer("connect", this.#options.connectTimeoutMs, () => this.#drop("no answer in time"));
    const { getToken } = this.#options;
    const fresh = this.#clock.elapsed() - this.#tokenAt < TOKEN_REUSE_MS;
    if (getToken === undefined || fresh || (this.#attempts === 1 && this.token !== "")) {
      this.#open(generation);
      return;
    }
    // Also what it throws is a rejection.
    const asking = (async () => getToken({ reason: this.#tokenReason }))();
    asking.then(
      (token) => {
        if (generation !== this.#generation) return;
        if (token === null) {
          this.#end(new MessagingError("AUTH_ERROR", "getToken has no token"));
          return;
        }
        this.#takeToken(token);
        this.#open(generation);
      },
      (cause: unknown) => {
        if (generation !== this.#generation) return;
        const error = new MessagingError("UNAVAILABLE", "getToken has failed", { cause });
        this.#owner.report(error);
        this.#lose({ code: LOST, reason: error.message });
      },
    );
  }

  #open(generation: number): void {
    const { url, codec, transport: factory } = this.#options;
    const current = (run: () => void) => {
      if (generation === this.#generation) run();
    };
    try {
      const transport = factory.open(url, codec.subprotocol, {
        opened: () => current(() => this.#connect()),
        frame: (frame) => current(() => this.#receive(frame)),
        alive: () => current(() => this.#alive()),
        ended: (end) => {
          if (transport === this.#leaving) this.#gone();
          current(() => {
            this.#transport = undefined;
            this.#lose(end);
          });
        },
      });
      this.#transport = transport;
    } catch (error) {
      this.#end(MessagingError.from(error));
    }
  }

  #connect(): void {
    const { clientId, clientType, version, capabilities, codec } = this.#options;
    const room = (this.maxMessageBytes || USUAL_MESSAGE_BYTES) - 1024 - this.token.length;
    const connect = {
      client_id: clientId,
      client_type: clientType,
      token: this.token,
      version,
      subscriptions: this.#owner.subscriptions(room),
      capabilities,
    };
    this.#send(codec.encode({ id: "0", connect }));
  }

  #receive(data: Frame): void {
    this.#alive();
    this.#received += typeof data === "string" ? utf8Length(data) : data.length;
    try {
      this.#take(this.#options.codec.decode(data));
    } catch (error) {
      this.#owner.report(error);
    }
    this.#report();
  }

  #take(frame: OutboundFrame): void {
    if (frame.disconnect !== undefined) this.#told = frame.disconnect;
    else if (this.state === "connected") {
      if (this.#requests.answer(frame)) return;
      if (frame.error !== undefined) this.#owner.report(errorOf(frame.error));
      else this.#owner.frame(frame);
      if (frame.token_expiring !== undefined) this.#tokenExpiring(frame.token_expiring.channels);
    } else if (frame.connected !== undefined) this.#connected(frame.connected, frame.time ?? 0);
    // A close follows, whose code decides.
    else if (frame.error !== undefined) this.#refusal = errorOf(frame.error);
  }

  #connected(frame: ConnectedFrame, time: number): void {
    const generation = this.#generation;
    this.#cancel("connect");
    this.sessionId = frame.session_id ?? "";
    this.userId = frame.user_id ?? "";
    this.capabilities = frame.capabilities ?? [];
    this.maxMessageBytes = frame.max_message_bytes ?? 0;
    this.#connectedAt = this.#clock.elapsed();
    const credit = this.capabilities.includes("credit") ? (frame.credit_bytes ?? 0) : 0;
    if (credit > 0) this.#reportAt = credit / REPORTS_PER_CREDIT;
    const previous = this.state;
    this.state = "connected";
    this.#beat(this.#options.pingIntervalMs ?? frame.ping_interval_ms ?? 0);
    this.#owner.connected(frame, time);
    // The owner, or the application, may have ended it by now.
    if (generation === this.#generation) this.#flush();
    if (generation !== this.#generation) return;
    this.#owner.changed({ state: "connected", previous, error: undefined, retryInMs: undefined });
  }

  #flush(): void {
    const { codec } = this.#options;
    this.#requests.flush((frame) => {
      const encoded = codec.encode(frame);
      const bytes = typeof encoded === "string" ? utf8Length(encoded) : encoded.length;
      if (this.maxMessageBytes > 0 && bytes > this.maxMessageBytes) {
        const text = `${bytes} bytes are more than the ${this.maxMessageBytes} that the server takes`;
        throw new MessagingError("TOO_LARGE", text);
      }
      this.#send(encoded);
    });
  }

  #send(frame: Frame): void {
    this.#transport?.send(frame);
  }

  /** Tells how much has come in, where the server wants to know. */
  #report(): void {
    if (this.#received - this.#reported < this.#reportAt || this.state !== "connected") return;
    this.#reported = this.#received;
    this.tell({ received: { bytes: this.#received } });
  }

  #beat(intervalMs: number): void {
    if (intervalMs <= 0) return;
    this.#timer("ping", intervalMs, () => {
      this.#ping();
      this.#beat(intervalMs);
    });
  }

  #ping(): void {
    this.#transport?.ping();
    // The oldest ping without an answer decides, whatever was sent since.
    if (this.#timers.has("pong")) return;
    this.#timer("pong", this.#options.pongTimeoutMs ?? PONG_TIMEOUT_MS, () => {
      // In a page that was hidden or asleep the answer may lie behind this timer: it comes before the next one.
      this.#timer("pong", PONG_GRACE_MS, () => this.#drop("no answer to ping"));
    });
  }

  #alive(): void {
    this.#cancel("pong");
  }

  /** Ends a connection that does not answer, without waiting for its close handshake. */
  #drop(reason: string): void {
    this.#lose({ code: LOST, reason });
  }

  #lose({ code, reason, fatal = false, retryAfterMs: pauseMs = 0 }: TransportEnd): void {
    const { reconnect = true, patient } = this.#options;
    const told = this.#told;
    const refusal = this.#refusal;
    // The close frame may have been lost after what announced it.
    const close =
      told?.code === undefined || code !== LOST
        ? { code, reason }
        : { code: told.code, reason: told.reason ?? "" };
    const error = new MessagingError(
      refusal?.code ?? (fatal ? "UNIMPLEMENTED" : "UNAVAILABLE"),
      refusal?.message ?? `connection closed: ${close.code} ${close.reason}`.trim(),
      { close, metadata: refusal?.metadata },
    );
    const comesBack = !fatal && (told ? told.reconnect : reconnects(close.code));
    const isFirst = this.#connectedAt === undefined && this.#failures === 0;
    if (!comesBack || !reconnect || (isFirst && !patient)) {
      this.#end(error);
      return;
    }
    if (close.code === TOKEN_EXPIRED) {
      this.#tokenAt = Number.NEGATIVE_INFINITY;
      this.#tokenReason = "expired";
    }
    const refusedMs = refusal ? retryAfterMs(refusal) : 0;
    const askedMs = Math.max(told?.retry_after_ms ?? 0, refusedMs, pauseMs);
    const delayMs = Math.max(this.#delay(), askedMs);
    this.#notBefore = this.#clock.elapsed() + askedMs;
    this.#abandon()?.close(COMES_BACK, "connection lost");
    this.#timer("retry", delayMs, () => this.#attempt());
    this.#leave("connecting", error, delayMs);
  }

  /** A random time, in milliseconds. The longer connections do not last, the longer it may be. */
  #delay(): number {
    const bound = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures);
    const lasted = this.#connectedAt === undefined ? 0 : this.#clock.elapsed() - this.#connectedAt;
    this.#connectedAt = undefined;
    const healthy = lasted >= bound;
    this.#failures = healthy ? 1 : this.#failures + 1;
    return this.#clock.random() * (healthy ? FIRST_DELAY_MS : bound);
  }

  #end(error: MessagingError): void {
    this.close(error).catch(() => {});
  }

  /** Only this client can have been cut. */
  #wake(): void {
    if (this.state === "connected") this.#ping();
    else if (this.#asleep || this.#timers.has("retry")) {
      this.#asleep = false;
      const waitMs = Math.max(0, this.#notBefore - this.#clock.elapsed());
      this.#timer("retry", waitMs, () => this.#attempt());
    }
  }

  /** The page is left: what it has open would hear nothing, and look alive to the server. */
  #sleep(): void {
    if (this.state === "closed") return;
    this.#asleep = true;
    this.#abandon()?.close(1000, "page left");
    this.#leave("connecting", new MessagingError("UNAVAILABLE", "the page was left"));
  }

  #tokenExpiring(channels: readonly string[] = []): void {
    const { getToken } = this.#options;
    if (channels.length > 0 || getToken === undefined) return;
    const generation = this.#generation;
    (async () => {
      const token = await getToken({ reason: "expiring" });
      if (generation === this.#generation && token !== null) await this.refresh(token);
    })().catch((error: unknown) => {
      if (generation === this.#generation) this.#owner.report(error);
    });
  }

  #takeToken(token: string): void {
    this.token = token;
    this.#tokenAt = this.#clock.elapsed();
    this.#tokenReason = "connect";
  }

  /** Makes all that was there belong to the past, and returns its transport. */
  #abandon(): Transport | undefined {
    const transport = this.#transport;
    this.#transport = undefined;
    this.#begin();
    return transport;
  }

  #begin(): number {
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#received = 0;
    this.#reported = 0;
    this.#reportAt = Number.POSITIVE_INFINITY;
    this.#generation += 1;
    return this.#generation;
  }

  #timer(purpose: string, ms: number, run: () => void): void {
    this.#cancel(purpose);
    this.#timers.set(
      purpose,
      this.#clock.after(ms, () => {
        this.#timers.delete(purpose);
        run();
      }),
    );
  }

  #cancel(purpose: string): void {
    this.#timers.get(purpose)?.();
    this.#timers.delete(purpose);
  }
}

/** What becomes of everything when the application closes its client. */
export function closedError(): MessagingError {
  return new MessagingError("UNAVAILABLE", "the client is closed");
}
