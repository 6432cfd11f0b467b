/**
 * What a client is subscribed to, as the API of v0.1.1 has it: by names alone, several in one request, whose promise settles
 * with the server's answer. What becomes of a subscription on a later connection is the core's.
 */
import { MessagingError } from "../../protocol/errors.ts";
import type { Connection } from "../core/connection.ts";
import { systemClock } from "../core/environment.ts";
import { type Gap, type ReceivedMessage, receivedMessage } from "../core/message.ts";
import { errorOf, type Terms } from "../core/requests.ts";
import type { Handle } from "../core/subscription.ts";
import { type Topics, topicsOf } from "../core/topics/topics.ts";
import type {
  ConnectedFrame,
  InboundFrame,
  OutboundFrame,
  SubscriptionAnswer,
  SubscriptionRequest,
} from "../wire/frames.ts";

export interface SubscriptionsTerms {
  readonly connection: Connection;
  readonly requestTimeoutMs: number;
  /** Subscriptions are no members of presence. */
  readonly ephemeral: boolean;
  /** A message of whatever channel. Of one frame it comes once, whatever the number of patterns that bring it. */
  readonly received: (message: ReceivedMessage) => void;
  readonly gap: (gap: Gap) => void;
  /** A subscription that stood is refused on a later connection. */
  readonly ended: (channel: string, error: MessagingError) => void;
  readonly report: (error: unknown) => void;
}

/** Who waits for the answer to a subscription. */
interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: MessagingError) => void;
}

export class Subscriptions {
  readonly #terms: SubscriptionsTerms;
  readonly #topics: Topics;
  readonly #handles = new Map<string, Handle>();
  /** The channels that the server has acknowledged, or has subscribed this client to by itself. */
  readonly #acknowledged = new Set<string>();
  readonly #waiting = new Map<string, Waiting[]>();
  /** Subscriptions are made or ended, of which the server hears in one request after all of them. */
  #isHeld = false;
  /** Counts losses: what was asked before the last one is over. */
  #losses = 0;
  #hasConnected = false;

  constructor(terms: SubscriptionsTerms) {
    const { connection, received, gap, report } = terms;
    this.#terms = terms;
    // The connection as it is, but for what is done here before the server is asked, and with its answer.
    const between = Object.create(connection, {
      state: { get: () => (this.#isHeld ? "connecting" : connection.state) },
      request: { value: this.#request.bind(this) },
    }) as Connection;
    this.#topics = topicsOf({
      ...{ connection: between, clock: systemClock },
      received(message) {
        try {
          return receivedMessage(message);
        } catch (error) {
          report(error);
          return undefined;
        }
      },
      emit(type, detail) {
        if (type === "message") received(detail as ReceivedMessage);
        else if (type === "gap") gap(detail as Gap);
      },
      failed: report,
    });
  }

  get channels(): string[] {
    return [...this.#acknowledged];
  }

  /** Subscriptions of which the first connect asks. */
  add(channels: readonly string[]): void {
    for (const channel of channels) this.#handle(channel);
  }

  /** What a connect asks for. */
  requests(room: number): readonly SubscriptionRequest[] {
    return this.#topics.requests(room);
  }

  /** @returns why the server refuses what the first connect has asked for */
  connected(frame: ConnectedFrame): MessagingError | undefined {
    const { subscriptions = [] } = frame;
    const refused = subscriptions.find(({ error }) => error !== undefined)?.error;
    if (refused !== undefined && !this.#hasConnected) return errorOf(refused);
    this.#hasConnected = true;
    this.#answered(subscriptions);
    this.#topics.connected(frame);
    return undefined;
  }

  frame(frame: OutboundFrame): void {
    const { handlers } = this.#topics;
    for (const kind of Object.keys(handlers) as (keyof OutboundFrame)[]) {
      const member = frame[kind];
      if (member !== undefined) handlers[kind]?.(member as never);
    }
    for (const { channel = "" } of frame.subscribed?.subscriptions ?? []) {
      this.#acknowledged.add(channel);
    }
    for (const { channel = "" } of frame.unsubscribed?.subscriptions ?? []) {
      this.#acknowledged.delete(channel);
      this.#handles.delete(channel);
    }
  }

  /** @param error why no connection will come any more; undefined where one will */
  lost(error: MessagingError | undefined): void {
    this.#losses += 1;
    this.#topics.lost(error);
    if (error === undefined) return;
    for (const channel of [...this.#waiting.keys()]) this.#settle(channel, error);
  }

  /**
   * Subscribes in one request.
   *
   * @throws MessagingError (as a rejection) of the first refused channel; the others stay subscribed
   */
  async subscribe(channels: readonly string[]): Promise<void> {
    const answers = channels.map(
      (channel) =>
        new Promise<void>((resolve, reject) => {
          const waiting = this.#waiting.get(channel) ?? [];
          this.#waiting.set(channel, [...waiting, { resolve, reject }]);
        }),
    );
    const outcomes = Promise.allSettled(answers);
    this.#hold(() => this.add(channels));
    this.#topics.refreshed();
    for (const channel of channels) {
      if (this.#handles.get(channel)?.state === "subscribed") this.#granted(channel);
    }
    for (const outcome of await outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  /** Ends subscriptions in one request. */
  async unsubscribe(channels: readonly string[]): Promise<void> {
    const { connection, requestTimeoutMs } = this.#terms;
    const why = new MessagingError("UNAVAILABLE", "the subscription has ended");
    for (const channel of channels) {
      this.#drop(channel);
      this.#settle(channel, why);
    }
    if (connection.state === "connected") {
      const subscriptions = channels.map((channel) => ({ channel }));
      const terms = { take: () => {}, timeoutMs: requestTimeoutMs };
      await connection.request(
        { unsubscribe: { subscriptions } },
        { kind: "unsubscribe_ack", ...terms },
      );
    }
    for (const channel of channels) this.#acknowledged.delete(channel);
  }

  /** The application's part of a subscription, which may be the server's as well. */
  #handle(channel: string): Handle {
    let handle = this.#handles.get(channel);
    if (handle === undefined) {
      const { received: onMessage } = this.#terms;
      const ephemeral = this.#terms.ephemeral || undefined;
      handle = this.#topics.subscribe(channel, { ephemeral, onMessage });
      this.#handles.set(channel, handle);
    }
    return handle;
  }

  /** Forgets a subscription, of which nobody tells the server here. */
  #drop(channel: string): void {
    this.#hold(() => {
      const handle = this.#handle(channel);
      this.#handles.delete(channel);
      handle.unsubscribe().catch(() => {});
    });
  }

  #hold(run: () => void): void {
    this.#isHeld = true;
    try {
      run();
    } finally {
      this.#isHeld = false;
    }
  }

  /** Asks the server, and looks at the answer before the core does. */
  #request(frame: InboundFrame, terms: Terms<"subscribe_ack", unknown>): Promise<unknown> {
    const { connection } = this.#terms;
    const { subscribe } = frame;
    if (subscribe === undefined) return connection.request(frame, terms);
    const losses = this.#losses;
    const answer = connection.request(frame, {
      ...terms,
      take: (answers) => {
        const answered = answers.flatMap(({ subscriptions = [] }) => subscriptions);
        this.#answered(answered);
        // Whoever waits must not wait for ever.
        const names = new Set(answered.map(({ channel }) => channel));
        for (const { channel } of subscribe.subscriptions) {
          if (names.has(channel)) continue;
          const text = `the server has not answered for ${channel}`;
          this.#refused(channel, new MessagingError("INTERNAL_ERROR", text));
        }
        return terms.take(answers);
      },
    });
    answer.catch((error: unknown) => {
      if (losses !== this.#losses) return;
      for (const { channel } of subscribe.subscriptions) {
        this.#refused(channel, MessagingError.from(error));
      }
    });
    return answer;
  }

  #answered(answers: readonly SubscriptionAnswer[]): void {
    for (const { channel = "", error } of answers) {
      if (error === undefined) this.#granted(channel);
      else this.#refused(channel, errorOf(error));
    }
  }

  #granted(channel: string): void {
    this.#acknowledged.add(channel);
    this.#settle(channel);
  }

  #refused(channel: string, error: MessagingError): void {
    // What stands goes on where a renewal is refused.
    if (this.#handles.get(channel)?.state === "subscribed") return;
    const isWaitedFor = this.#waiting.has(channel);
    // The core asks again by itself.
    if (error.retry && !isWaitedFor) return;
    this.#drop(channel);
    this.#acknowledged.delete(channel);
    if (isWaitedFor) this.#settle(channel, error);
    else this.#terms.ended(channel, error);
  }

  #settle(channel: string, error?: MessagingError): void {
    const waiting = this.#waiting.get(channel) ?? [];
    this.#waiting.delete(channel);
    for (const { resolve, reject } of waiting) {
      if (error === undefined) resolve();
      else reject(error);
    }
  }
}
