/** One stream of server-sent events: a channel's, or a pattern's. */
import { MessagingError } from "../../protocol/errors.ts";
import type { Clock } from "../core/ports.ts";
import { EventLines, type ServerEvent } from "./event-lines.ts";
import { type Fetch, type FetchAnswer, piecesOf } from "./fetch.ts";

export interface EventReaderTerms {
  /** Asks for what the address needs, such as a ticket. */
  readonly address: () => Promise<URL>;
  readonly headers: Readonly<Record<string, string>>;
  readonly call: Fetch;
  readonly clock: Clock;
  /** How long the stream may say nothing, in milliseconds. */
  readonly silenceMs: number;
  readonly event: (event: ServerEvent) => void;
  /**
   * The end, once, unless it was closed before.
   *
   * @param error `UNAVAILABLE` where the stream was lost, or is not to be had for now; else the server's refusal
   */
  readonly ended: (error: MessagingError) => void;
}

const NO_CONTENT = 204;
/** How long what has come may lie behind a timer that was late, in milliseconds. */
const GRACE_MS = 1_000;

export class EventReader {
  readonly #terms: EventReaderTerms;
  readonly #controller = new AbortController();
  #heardAt = 0;
  #isOver = false;
  #stopTimer = (): void => {};

  constructor(terms: EventReaderTerms) {
    this.#terms = terms;
    this.#read().catch((cause: unknown) => {
      const text = "the event stream was lost";
      this.#end(
        cause instanceof MessagingError
          ? cause
          : new MessagingError("UNAVAILABLE", text, { cause }),
      );
    });
  }

  close(): void {
    this.#isOver = true;
    this.#stopTimer();
    this.#controller.abort();
  }

  async #read(): Promise<void> {
    const { address, call, clock, event, headers } = this.#terms;
    const { signal } = this.#controller;
    const url = await address();
    if (this.#isOver) return;
    const answer = await call(url.href, { headers, redirect: "manual", signal });
    if (answer.status !== 200) throw await refusalOf(answer);
    if (!(answer.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) {
      throw new MessagingError("UNAVAILABLE", "the answer is no event stream");
    }
    const lines = new EventLines((one) => {
      if (!this.#isOver) event(one);
    });
    this.#heardAt = clock.elapsed();
    this.#watch();
    for await (const piece of piecesOf(answer)) {
      if (this.#isOver) return;
      this.#heardAt = clock.elapsed();
      lines.read(piece);
    }
    throw new MessagingError("UNAVAILABLE", "the event stream ended");
  }

  #watch(): void {
    const { clock, silenceMs } = this.#terms;
    const leftMs = (): number => this.#heardAt + silenceMs - clock.elapsed();
    this.#stopTimer = clock.after(leftMs(), () => {
      // In a page that was frozen what has come lies behind this timer.
      if (leftMs() <= 0) this.#stopTimer = clock.after(GRACE_MS, lookAgain);
      else this.#watch();
    });
    const lookAgain = (): void => {
      if (leftMs() > 0) this.#watch();
      else this.#end(new MessagingError("UNAVAILABLE", "the event stream is silent"));
    };
  }

  #end(error: MessagingError): void {
    if (this.#isOver) return;
    this.close();
    this.#terms.ended(error);
  }
}

/** What an answer says that is no stream. */
async function refusalOf(answer: FetchAnswer): Promise<MessagingError> {
  const { status } = answer;
  const text = await answer.text();
  // The next stream is asked for with another one.
  if (status === NO_CONTENT) return new MessagingError("UNAVAILABLE", "the ticket has expired");
  try {
    const { code, message } = JSON.parse(text) as { code?: string; message?: string };
    if (status < 500 && code !== undefined) return new MessagingError(code, message ?? "");
  } catch {
    // Of a proxy.
  }
  return new MessagingError("UNAVAILABLE", `HTTP ${status}`);
}
