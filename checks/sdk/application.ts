/**
 * An application with a client of the SDK: it subscribes, publishes and asks, and notes all that it is told. Nothing of the
 * connection is its affair, except how it ends.
 */
import { isPattern } from "../../src/channels/names.ts";
import {
  type Client,
  type ClientOptions,
  createClient,
  createCloudEvent,
  type Gap,
  MessagingError,
  type Position,
  type ReceivedMessage,
  type Subscription,
} from "../../src/index.ts";
import {
  type ApplicationFact,
  type EventSpec,
  type Fact,
  type Place,
  padded,
  unpadded,
} from "../../test/history/facts.ts";
import type { SeededRandom } from "../../test/support/random.ts";
import { Page } from "./page.ts";

/** What is found out about clients, and by whom it is judged. */
export interface Court {
  note(fact: Fact): void;
  /** Takes what should not have happened at all. */
  complain(problem: string): void;
  /** A promise that has to settle: how it rejects is known, and what it resolves with is right. */
  settles(what: string, promise: Promise<unknown>): void;
}

export interface ApplicationOptions {
  readonly name: string;
  readonly user: string;
  readonly url: string;
  readonly client: Omit<ClientOptions, "clientId" | "surroundings" | "onError">;
  readonly court: Court;
  /** Whether its name becomes its user's. */
  readonly authenticated: boolean;
  /** It can subscribe and nothing else, and not to the last messages of a channel. */
  readonly readsOnly: boolean;
}

/** What the server has said before it closed a connection. */
export interface Farewell {
  readonly comesBack: boolean;
  /** No client that has heard it may try before, by `performance.now`. */
  readonly notBefore: number;
}

interface Held {
  readonly subscription: Subscription;
  /** It has been asked for with terms of its own. */
  readonly special: boolean;
}

/** What a request may be refused with while a network fails. */
const EXCUSED = ["UNAVAILABLE", "RATE_LIMITED", "RPC_TIMEOUT", "OUTCOME_UNKNOWN"];
/** And one about a channel that the client is not subscribed to by its name. */
const NOT_ALLOWED = ["ACL_ERROR"];
/** The channel of CHANNEL_RULES that has surveys. */
const SURVEYED = "life.other";
/** Of one name. */
const MOST_SUBSCRIPTIONS = 2;
const GAVE_UP = new Error("the application has given up");

let attempts = 0;

export class Application {
  readonly name: string;
  readonly user: string;
  readonly client: Client;
  readonly page = new Page();
  /** How its connections have ended, by code. */
  readonly ends: number[] = [];
  /**
   * Closes that the server has announced, by their reasons, which differ. The client may have left the connection before
   * the announcement came, and another close of the server may have the same code.
   */
  readonly farewells = new Map<string, Farewell>();
  /** No try may come before it, by `performance.now`. */
  notBefore = 0;
  readonly #options: ApplicationOptions;
  readonly #held = new Map<string, Held[]>();
  /** The last message of each channel. */
  readonly #places = new Map<string, Place>();
  #subscriptions = 0;
  #leaving = false;
  /** Tries that may still arrive, because they were on their way when it was closed. */
  #late = 0;

  constructor(options: ApplicationOptions) {
    const { name, user, url, client, court } = options;
    this.name = name;
    this.user = user;
    this.#options = options;
    this.client = createClient(url, {
      ...client,
      clientId: name,
      surroundings: this.page,
      onError: (error) => {
        // A request that was given up may be refused later.
        if (!isExcused(error)) court.complain(`${name} got ${error.code}: ${error}`);
      },
    });
    this.client.onSurvey(({ data }) => data);
    this.client.addEventListener("statechange", ({ detail }) => {
      if (detail.error?.close) this.#ended(detail.error.close);
      if (detail.state === "closed" && detail.error && !this.#mayEnd(detail.error)) {
        court.complain(`${name} has closed by itself: ${detail.error}`);
      }
    });
    court.settles(`ready of ${name}`, this.client.ready);
  }

  /** It will not come back. */
  get closed(): boolean {
    return this.client.state === "closed";
  }

  get readsOnly(): boolean {
    return this.#options.readsOnly;
  }

  /** Everything that it wants it has. */
  get quiet(): boolean {
    if (this.closed) return true;
    const all = [...this.#held.values()].flat();
    const subscribed = all.every(({ subscription }) => subscription.state === "subscribed");
    return this.client.state === "connected" && subscribed;
  }

  /** Where it has got to in a channel. */
  place(channel: string): Place | undefined {
    return this.#places.get(channel);
  }

  subscribe(name: string, random: SeededRandom, since?: Place): void {
    const held = this.#held.get(name) ?? [];
    // Two subscriptions share what one asks for.
    if (this.closed || held.length >= MOST_SUBSCRIPTIONS || held.some(({ special }) => special)) {
      return;
    }
    // The server rewinds channels, and no patterns.
    const mayRewind = !this.readsOnly && !isPattern(name);
    const rewinds = since === undefined && held.length === 0 && mayRewind;
    const rewind = rewinds && random.chance(0.2);
    const terms = rewind ? { rewind: 1 + random.int(30) } : since === undefined ? {} : { since };
    if (held.length > 0 && since !== undefined) return;
    this.#subscriptions += 1;
    const who = `${this.name}/${this.#subscriptions}`;
    const note = (fact: ApplicationFact): void =>
      this.#options.court.note({ kind: "application", who, name, fact });
    const subscription = this.client.subscribe(name, {
      ...terms,
      onMessage: (message) => this.#message(note, message),
    });
    const entry = { subscription, special: rewind || since !== undefined };
    this.#held.set(name, [...held, entry]);
    let isNew = true;
    const entered = (): void => {
      if (subscription.state === "subscribed" && isNew) {
        isNew = false;
        note({ kind: "subscribed", since });
      } else if (subscription.state === "ended") {
        note({ kind: "ended" });
        this.#forget(name, entry);
        if (!this.#leaving && !this.closed) this.#complain(`${name} has ended by itself`);
      } else if (subscription.state === "refused") {
        this.#complain(`${name} is refused: ${subscription.error}`);
      }
    };
    subscription.addEventListener("gap", ({ detail }) => {
      note({ kind: "gap", channel: detail.channel, gap: toldGap(detail) });
    });
    subscription.addEventListener("statechange", entered);
    entered();
    this.#settles(`ready of ${name}`, subscription.ready);
  }

  unsubscribe(random: SeededRandom): void {
    const all = [...this.#held.values()].flat();
    if (all.length === 0 || this.closed) return;
    this.#leaving = true;
    this.#settles("unsubscribe", random.pick(all).subscription.unsubscribe());
    this.#leaving = false;
  }

  /** @param givesUpAfterMs when it does not wait any longer */
  publish(event: EventSpec, givesUpAfterMs?: number): void {
    const { court } = this.#options;
    attempts += 1;
    const attempt = attempts;
    court.note({ kind: "publish", attempt, event });
    const { id, source } = event;
    const data = padded(event);
    const signal = signalAfter(givesUpAfterMs);
    const publishing = this.client
      .publish(event.channel, createCloudEvent({ id, source, type: "told", data }), signal)
      .then(
        (result) => court.note({ kind: "published", attempt, ...result }),
        (error: unknown) => {
          const code = error instanceof MessagingError ? error.code : "";
          const isUnsent = code === "RATE_LIMITED" || code === "UNAVAILABLE";
          court.note({ kind: isUnsent ? "unsent" : "unknown", attempt });
          throw error;
        },
      );
    this.#settles(`publish of ${event.text}`, publishing);
  }

  /** Asks for something, whose answer must be the one to this question. */
  ask(random: SeededRandom, channel: string): void {
    if (this.closed) return;
    const signal = signalAfter(random.chance(0.1) ? random.int(20) : undefined);
    const number = random.int(1_000_000);
    switch (random.int(5)) {
      case 0:
      case 1: {
        const answer = this.client.rpc(channel, "echo", { number }, signal);
        this.#settles(
          "rpc",
          answer.then((value) => this.#same(value, { number }, "an RPC")),
        );
        break;
      }
      case 2:
        this.#settles("presence", this.client.presence(channel, signal));
        break;
      case 3: {
        const limit = 1 + random.int(20);
        const page = this.client.history(channel, { limit, ...signal });
        this.#settles(
          "history",
          page.then(({ messages }) => {
            const [first] = messages;
            const offsets = messages.map(({ offset }) => offset);
            const expected = messages.map((_, i) => (first?.offset ?? 0) + i);
            this.#same(offsets, expected, `history of ${channel}`);
          }),
        );
        break;
      }
      default: {
        const survey = this.client.survey(SURVEYED, number, { timeoutMs: 1_000, ...signal });
        this.#settles(
          "survey",
          survey.then(({ answers }) => {
            for (const { data } of answers) if (data) this.#same(data, number, "a survey");
          }),
        );
      }
    }
  }

  /** Brings another token. */
  refresh(): void {
    this.#settles("refresh", this.client.refresh(this.user));
  }

  close(forget = false): void {
    if (this.client.state === "connecting") this.#late = 1;
    this.#settles("close", this.client.close({ forget }));
    if (!this.closed) this.#complain("it is not closed after close");
  }

  /** A connection that is tried. */
  tried(at: number): void {
    if (this.closed) {
      this.#late -= 1;
      if (this.#late < 0) this.#complain(`it comes back, closed with ${this.ends.at(-1)}`);
    }
    // A timer may be early by the part of a millisecond that it cannot express.
    if (at + 2 < this.notBefore) {
      this.#complain(`it comes back ${(this.notBefore - at).toFixed(0)} ms before it may`);
    }
    this.notBefore = 0;
  }

  #ended({ code, reason }: NonNullable<MessagingError["close"]>): void {
    this.ends.push(code);
    const farewell = this.farewells.get(reason);
    if (farewell?.comesBack) this.notBefore = farewell.notBefore;
    else if (farewell && !this.closed) this.#complain(`it goes on after ${code}`);
  }

  #mayEnd({ close }: MessagingError): boolean {
    return this.farewells.get(close?.reason ?? "")?.comesBack === false;
  }

  #message(note: (fact: ApplicationFact) => void, message: ReceivedMessage): void {
    const { channel, epoch, offset, replay, event, publisher, data } = message;
    if (typeof data !== "string") this.#complain(`${channel} brings ${JSON.stringify(data)}`);
    const user = this.#options.authenticated ? publisher.userId : undefined;
    const seen = { text: unpadded(String(data)), id: event.id, source: event.source, user };
    const place = { epoch, offset };
    this.#places.set(channel, place);
    note({ kind: "message", channel, place, event: seen, replay });
  }

  #forget(name: string, entry: Held): void {
    const rest = (this.#held.get(name) ?? []).filter((held) => held !== entry);
    if (rest.length > 0) this.#held.set(name, rest);
    else this.#held.delete(name);
  }

  #settles(what: string, promise: Promise<unknown>): void {
    this.#options.court.settles(`${what} of ${this.name}`, promise);
  }

  #same(value: unknown, expected: unknown, what: string): void {
    const [told, meant] = [JSON.stringify(value), JSON.stringify(expected)];
    if (told !== meant) this.#complain(`${what} is answered ${told}, and not ${meant}`);
  }

  #complain(problem: string): void {
    this.#options.court.complain(`${this.name}: ${problem}`);
  }
}

/** Whether a promise of a client may reject with this while its network fails. */
export function isExcused(error: unknown): boolean {
  if (error === GAVE_UP) return true;
  return error instanceof MessagingError && [...EXCUSED, ...NOT_ALLOWED].includes(error.code);
}

function signalAfter(ms: number | undefined): { signal?: AbortSignal } {
  if (ms === undefined) return {};
  const controller = new AbortController();
  setTimeout(() => controller.abort(GAVE_UP), ms);
  return { signal: controller.signal };
}

function toldGap({ reason, after, until }: Gap) {
  return { reason, after: placeOf(after), until: placeOf(until) };
}

function placeOf(position: Position | undefined): Place | undefined {
  if (position === undefined || !position.epoch) return undefined;
  return { epoch: position.epoch, offset: position.offset ?? 0 };
}
