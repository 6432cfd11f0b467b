/** A subscription as the application holds it. */
import { MessagingError } from "../../protocol/errors.ts";
import type { Position } from "../wire/frames.ts";
import { deferred, Emitter, quiet, type Signal } from "./emitter.ts";
import type { Gap, Member, ReceivedMessage } from "./message.ts";

/**
 * - `subscribing`: wanted, and not acknowledged by this connection yet
 * - `subscribed`: messages come
 * - `refused`: the server does not allow it; it is asked again with another token
 * - `ended`: by the application, by the server, or because the client is closed
 */
export type SubscriptionState = "subscribing" | "subscribed" | "refused" | "ended";

/** Someone has come or gone, or the list of members is told anew because changes were lost on the way. */
export type PresenceChange =
  | { readonly channel: string; readonly kind: "join" | "leave"; readonly member: Member }
  | { readonly channel: string; readonly kind: "members"; readonly members: readonly Member[] };

/** Events of a subscription. */
export interface SubscriptionEvents<T = unknown> {
  message: ReceivedMessage<T>;
  /** Messages are missing: for good, or until they are asked for from history. */
  gap: Gap;
  /** All that was missed has come, but for gaps that were told before. */
  recovered: { readonly channel: string };
  presence: PresenceChange;
  statechange: {
    readonly state: SubscriptionState;
    readonly previous: SubscriptionState;
    readonly error: MessagingError | undefined;
  };
}

/** What is done with each message. What it throws, or rejects with, goes to `onError`. */
export type MessageHandler<T = unknown> = (message: ReceivedMessage<T>) => unknown;

/** How a channel is subscribed to. */
export interface TopicOptions {
  /** Not a member of the channel's presence. */
  readonly ephemeral?: boolean | undefined;
  /** For this subscription alone. */
  readonly token?: string | undefined;
  /** Begin after this position, such as that of the last message that was stored. */
  readonly since?: Position | undefined;
  /** Begin with the last so many messages. */
  readonly rewind?: number | undefined;
}

export interface SubscribeOptions<T = unknown> extends TopicOptions {
  /** Is given each message. Without it they wait for `for await`, or go to listeners of `message`. */
  readonly onMessage?: MessageHandler<T>;
  /** Ends the subscription. */
  readonly signal?: Signal;
}

/** A subscription to whatever its data is. */
// biome-ignore lint/suspicious/noExplicitAny: its listeners take what its channel carries, which nobody here knows.
export type Handle = Subscription<any>;

/** What a subscription needs of its client. */
export interface SubscriptionOwner {
  end(): Promise<void>;
  setToken(token: string): Promise<void>;
  failed(error: unknown): void;
}

/** Messages that wait for an iterator. */
const MOST_WAITING = 1_000;

/**
 * A channel, or a pattern, whose messages this client receives; made by `client.subscribe`. It comes through losses of the
 * connection by itself, and then gets what it has missed.
 *
 * @example
 * const subscription = client.subscribe("news.*");
 * for await (const { channel, data } of subscription) console.log(channel, data);
 */
export class Subscription<T = unknown> extends Emitter<SubscriptionEvents<T>> {
  /** The channel or pattern. */
  declare readonly channel: string;
  /**
   * Settles with the server's first answer.
   *
   * @throws MessagingError (as a rejection, which may be ignored) with the server's code
   */
  declare readonly ready: Promise<void>;
  readonly #owner: SubscriptionOwner;
  readonly #handler: MessageHandler<T> | undefined;
  #state: SubscriptionState = "subscribing";
  #error: MessagingError | undefined;
  readonly #allowed: () => void;
  readonly #refused: (error: MessagingError) => void;
  /** What waits for an iterator; undefined where none is to come. */
  #waiting: ReceivedMessage<T>[] | undefined;
  #overflowed = false;
  #wake = (): void => {};

  /** @internal */
  constructor(channel: string, handler: MessageHandler<T> | undefined, owner: SubscriptionOwner) {
    super(owner.failed);
    this.channel = channel;
    this.#owner = owner;
    this.#handler = handler;
    if (!handler) this.#waiting = [];
    [this.ready, this.#allowed, this.#refused] = deferred();
  }

  get state(): SubscriptionState {
    return this.#state;
  }

  /** Why it was refused, or has ended. */
  get error(): MessagingError | undefined {
    return this.#error;
  }

  /** Ends the subscription: nothing comes of it after the call. Resolves when the server has ended it, too. */
  unsubscribe(): Promise<void> {
    return quiet(this.#owner.end());
  }

  /** Brings a new token for this subscription, in the place of that of its options. */
  setToken(token: string): Promise<void> {
    return quiet(this.#owner.setToken(token));
  }

  /**
   * Messages in their order; ends with the subscription. Those since `subscribe` are there, where no handler was given.
   *
   * @throws MessagingError RATE_LIMITED (from `next`) when more than 1,000 were waiting
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<ReceivedMessage<T>, void, undefined> {
    this.#waiting ??= [];
    const waiting = this.#waiting;
    try {
      for (;;) {
        if (this.#overflowed) {
          throw new MessagingError("RATE_LIMITED", "too much waits");
        }
        const next = waiting.shift();
        if (next) yield next;
        else if (this.#state === "ended") return;
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.#waiting = undefined;
    }
  }

  /** @internal */
  deliver(message: ReceivedMessage<T>): void {
    if (this.#state === "ended") return;
    if (this.#handler) this.hand(this.#handler, message);
    this.emit("message", message);
    const waiting = this.#waiting;
    if (!waiting || this.#overflowed) return;
    if (waiting.push(message) > MOST_WAITING) {
      this.#overflowed = true;
      waiting.length = 0;
    }
    this.#wake();
  }

  /** @internal */
  enter(state: SubscriptionState, error?: MessagingError): void {
    const previous = this.#state;
    this.#error = error;
    if (state === previous || previous === "ended") return;
    this.#state = state;
    if (state === "subscribed") this.#allowed();
    else if (state !== "subscribing") {
      this.#refused(error ?? new MessagingError("UNAVAILABLE", "the subscription has ended"));
    }
    this.#wake();
    this.emit("statechange", { state, previous, error });
  }
}
