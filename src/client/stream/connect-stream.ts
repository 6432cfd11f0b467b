/**
 * The transport of Connect streams: one call of `Open`, whose answer is all that the server says, and calls of `Send`
 * for what the client says. Plain fetch, without a library.
 */

import { systemClock } from "../core/environment.ts";
import type {
  Clock,
  Transport,
  TransportEnd,
  TransportEvents,
  TransportFactory,
} from "../core/ports.ts";
import type { Frame } from "../wire/frames.ts";
import { beside } from "./address.ts";
import { END, EnvelopeReader, enveloped } from "./envelopes.ts";
import { type Fetch, type FetchAnswer, ownFetch, piecesOf } from "./fetch.ts";
import { type Form, formOf, type Opened, type Told } from "./forms.ts";
import { retryAfterMs } from "./retry-after.ts";
import { type Outcome, Sends } from "./sends.ts";

export interface ConnectStreamOptions {
  /**
   * What `messageloop.v1.MessagingService` lies beside, such as `https://example.com/ws`. Default: the client's own URL.
   */
  readonly url?: string;
  /** In the place of the global one. */
  readonly fetch?: Fetch;
  /** Time and chance, for tests. */
  readonly clock?: Clock;
}

const SERVICE = "messageloop.v1.MessagingService";
/** No close code came. */
const LOST = 1006;
/** Heartbeats that may be missing. */
const MISSED_HEARTBEATS = 3;
/** How long what has come may lie behind a timer that was late, in milliseconds. */
const GRACE_MS = 1_000;
/** Statuses of calls that may succeed when they are made again; so may those above 500. */
const PASSING: readonly number[] = [408, 409, 425, 429, 499];
const UNIMPLEMENTED = 501;
const NOT_FOUND = 404;

/**
 * Connect streams: for networks and pages where there is no WebSocket, at the price of one request for what is said.
 *
 * @example
 * const client = await dial("wss://example.com/ws", { transport: connectStream() });
 */
export function connectStream(options: ConnectStreamOptions = {}): TransportFactory {
  const { url: given, fetch: call = ownFetch, clock = systemClock } = options;
  return {
    name: "connect-stream",
    open: (url, subprotocol, events) =>
      new ConnectStream({
        address: (method) => beside(given ?? url, `${SERVICE}/${method}`).href,
        form: formOf(subprotocol),
        ...{ call, clock, events },
      }),
  };
}

interface ConnectStreamTerms {
  readonly address: (method: "Open" | "Send") => string;
  readonly form: Form;
  readonly call: Fetch;
  readonly clock: Clock;
  readonly events: TransportEvents;
}

class ConnectStream implements Transport {
  readonly #terms: ConnectStreamTerms;
  readonly #openAt: string;
  readonly #sendTo: string;
  readonly #stream = new AbortController();
  readonly #sends: Sends;
  #hasBegun = false;
  #opened: Opened | undefined;
  #farewell: (Told & { kind: "farewell" }) | undefined;
  #isOver = false;
  /** By `Clock.elapsed`. */
  #heardAt = 0;
  #stopTimer = (): void => {};

  /** @throws MessagingError BAD_REQUEST for a URL that is none */
  constructor(terms: ConnectStreamTerms) {
    this.#terms = terms;
    this.#openAt = terms.address("Open");
    this.#sendTo = terms.address("Send");
    this.#sends = new Sends({
      clock: terms.clock,
      call: (seq, frames, signal) => this.#send(seq, frames, signal),
      answered: () => terms.events.alive(),
      failed: (reason) => this.#loseSoon(reason),
    });
    queueMicrotask(() => {
      if (!this.#isOver) terms.events.opened();
    });
  }

  send(frame: Frame): void {
    if (this.#isOver) return;
    if (this.#hasBegun) this.#sends.push(frame);
    else {
      this.#hasBegun = true;
      this.#open(frame).catch(() => {});
    }
  }

  ping(): void {
    if (!this.#isOver) this.#sends.ask();
  }

  /** A stream has no goodbye: the server notices that nobody reads. */
  close(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#shut();
    queueMicrotask(() => this.#terms.events.ended({ code, reason }));
  }

  async #open(connect: Frame): Promise<void> {
    const { call, form } = this.#terms;
    const envelopes = new EnvelopeReader((flags, message) => this.#message(flags, message));
    const type = `application/connect+${form.type}`;
    try {
      const answer = await call(this.#openAt, {
        method: "POST",
        headers: { "Content-Type": type, "Connect-Protocol-Version": "1" },
        body: enveloped(form.connect(connect)),
        redirect: "manual",
        signal: this.#stream.signal,
      });
      if (!isOf(answer, type)) {
        this.#lose(`HTTP ${answer.status}`, retryAfterMs(answer.headers.get("Retry-After")));
        return;
      }
      // Some runtimes have an answer by its head, others by its first byte: what it says decides.
      for await (const piece of piecesOf(answer)) {
        if (this.#isOver) return;
        this.#heardAt = this.#terms.clock.elapsed();
        envelopes.read(piece);
      }
      this.#lose("the stream broke off");
    } catch (error) {
      this.#lose(`the stream was lost: ${(error as Error).message}`);
    }
  }

  #message(flags: number, message: Uint8Array<ArrayBuffer>): void {
    if (this.#isOver) return;
    if (flags === END) this.#ended(message);
    else if (flags !== 0) this.#lose("the stream is compressed");
    else if (this.#opened === undefined) this.#begin(message);
    else this.#take(this.#terms.form.told(message));
  }

  #begin(message: Uint8Array<ArrayBuffer>): void {
    const { events, form } = this.#terms;
    this.#opened = form.opened(message);
    this.#watch();
    // The client counts what it receives, and this with it.
    events.frame(message);
    this.#sends.open();
  }

  #take(told: Told): void {
    const { events } = this.#terms;
    // It was not the last one, and so no farewell.
    if (this.#farewell !== undefined) events.frame(this.#farewell.frame);
    this.#farewell = undefined;
    if (told.kind === "frame") events.frame(told.frame);
    else if (told.kind === "heartbeat") events.alive();
    else this.#farewell = told;
  }

  /** The last message of the call, which is Connect's. */
  #ended(message: Uint8Array): void {
    const { error, metadata } = JSON.parse(new TextDecoder().decode(message)) as {
      readonly error?: { readonly code?: string; readonly message?: string };
      readonly metadata?: { readonly "retry-after"?: readonly string[] };
    };
    // Whatever its code: libraries and proxies call a lost stream by many names, and the server says by a close code
    // who is not to come back.
    const reason = error === undefined ? "the stream ended" : `${error.code}: ${error.message}`;
    this.#lose(reason, retryAfterMs(metadata?.["retry-after"]?.[0]));
  }

  async #send(seq: number, frames: readonly Frame[], signal: AbortSignal): Promise<Outcome> {
    const { call, form } = this.#terms;
    const { sessionId = "", secret = "" } = this.#opened ?? {};
    const type = `application/${form.type}`;
    const answer = await call(this.#sendTo, {
      method: "POST",
      headers: {
        "Content-Type": type,
        "Connect-Protocol-Version": "1",
        "Messageloop-Stream-Secret": secret,
      },
      body: form.send({ sessionId, seq, frames }),
      redirect: "manual",
      signal,
    });
    // Its connection is free for the next call when all of it is here.
    await answer.text();
    const { status } = answer;
    if (isOf(answer, type)) return { kind: "taken" };
    if (status === NOT_FOUND) return { kind: "refused", reason: "there is no such stream" };
    const mayPass = status < 400 || status >= 500 || PASSING.includes(status);
    if (mayPass && status !== UNIMPLEMENTED) return { kind: "again" };
    return { kind: "refused", reason: `a message was refused with HTTP ${status}` };
  }

  /** Ends a stream that says nothing, for a while longer than it may. */
  #watch(): void {
    const { clock } = this.#terms;
    const { heartbeatMs = 0 } = this.#opened ?? {};
    if (heartbeatMs <= 0) return;
    const mostMs = MISSED_HEARTBEATS * heartbeatMs;
    const isSilent = (): boolean => clock.elapsed() - this.#heardAt >= mostMs;
    const look = (): void => {
      // In a page that was frozen what has come lies behind this timer.
      if (isSilent()) this.#stopTimer = clock.after(GRACE_MS, lookAgain);
      else this.#watch();
    };
    const lookAgain = (): void => {
      if (isSilent()) this.#lose("no heartbeat");
      else this.#watch();
    };
    this.#stopTimer = clock.after(heartbeatMs, look);
  }

  /** The stream may be about to say by itself why it ends. */
  #loseSoon(reason: string): void {
    this.#stopTimer();
    this.#stopTimer = this.#terms.clock.after(GRACE_MS, () => this.#lose(reason));
  }

  /** @param pauseMs how long the server asks to stay away, in milliseconds */
  #lose(reason: string, pauseMs = 0): void {
    if (this.#isOver) return;
    const told = this.#farewell;
    const end: TransportEnd = {
      code: told?.code || LOST,
      reason: told?.reason ?? reason,
      retryAfterMs: pauseMs,
    };
    this.#shut();
    this.#terms.events.ended(end);
  }

  #shut(): void {
    this.#isOver = true;
    this.#stopTimer();
    this.#sends.end();
    this.#stream.abort();
  }
}

/** Whether it is the answer of a server that speaks the protocol, and no proxy's. */
function isOf({ status, headers }: FetchAnswer, type: string): boolean {
  return status === 200 && (headers.get("Content-Type") ?? "").startsWith(type);
}
