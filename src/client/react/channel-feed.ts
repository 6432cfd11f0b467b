/** The one subscription that all components share which want the same channel: its state, and its last messages. */
import {
  type Gap,
  MessagingError,
  type ReceivedMessage,
  type Subscription,
  type SubscriptionState,
} from "../../index.ts";
import { ChannelMembers } from "./channel-members.ts";
import type { AnyClient, ChannelTerms } from "./types.ts";

/** A component that wants a channel. */
export interface FeedReader {
  /** How it wants it subscribed. */
  readonly terms: ChannelTerms;
  /** Whether it takes what there is, where others have subscribed in another way. */
  readonly yields: boolean;
  /** Messages that it shows at most. */
  readonly keep: number;
  /** Something has changed that it may show. */
  changed(): void;
  /** Takes each message; what it throws is the application's mistake. */
  received?(message: ReceivedMessage): unknown;
  gap?(gap: Gap): unknown;
}

/** Messages that are kept for components that come later, at least. */
const LEAST_KEPT = 100;

/** Terms that differ in a token alone are the same: a new token is brought to the subscription that is there. */
function keyOf({ ephemeral = false, since, rewind = 0 }: ChannelTerms): string {
  return JSON.stringify([ephemeral, since?.epoch, since?.offset, rewind]);
}

export class ChannelFeed {
  readonly channel: string;
  state: SubscriptionState = "subscribing";
  error: MessagingError | undefined;
  /** The last hole in what has come. */
  gap: Gap | undefined;
  readonly #client: AnyClient | undefined;
  readonly #left: () => void;
  readonly #readers = new Map<FeedReader, AbortController>();
  #subscription: Subscription | undefined;
  #key = "";
  #token: string | undefined;
  /** The last messages, the oldest first. */
  #kept: ReceivedMessage[] = [];
  /** The same for components, until another one comes. */
  #messages: readonly ReceivedMessage[] | undefined = [];
  #members: ChannelMembers | undefined;

  /** @param left is called when a component has left */
  constructor(channel: string, client: AnyClient | undefined, left: () => void) {
    this.channel = channel;
    this.#client = client;
    this.#left = left;
  }

  get isWanted(): boolean {
    return this.#readers.size > 0;
  }

  /** The same array until another message comes. */
  get messages(): readonly ReceivedMessage[] {
    this.#messages ??= [...this.#kept];
    return this.#messages;
  }

  /** Who is subscribed; it is found out from the first call on. */
  get members(): ChannelMembers {
    if (this.#members === undefined) {
      this.#members = new ChannelMembers(this.channel, this.#client, () => this.#changed());
      if (this.#subscription !== undefined) this.#members.follow(this.#subscription);
    }
    return this.#members;
  }

  /**
   * @returns what is called when the component leaves
   * @throws MessagingError BAD_REQUEST where others have subscribed to the channel in another way
   */
  join(reader: FeedReader): () => void {
    const { terms, yields } = reader;
    if (this.#subscription === undefined) this.#subscribe(terms);
    else if (!yields && keyOf(terms) !== this.#key) {
      if ([...this.#readers.keys()].some((other) => !other.yields)) {
        throw new MessagingError(
          "BAD_REQUEST",
          `another component has subscribed to ${this.channel} with other options`,
        );
      }
      this.#unsubscribe();
      this.#subscribe(terms);
    } else this.bring(terms.token);
    const own = new AbortController();
    this.#readers.set(reader, own);
    this.#listen(reader, own.signal);
    return () => {
      own.abort();
      this.#readers.delete(reader);
      this.#left();
    };
  }

  /** Brings another token to the subscription. */
  bring(token: string | undefined): void {
    if (token === undefined || token === this.#token) return;
    this.#token = token;
    // The state says that it is refused.
    this.#subscription?.setToken(token).catch(() => {});
  }

  end(): void {
    this.#unsubscribe();
    this.#members?.end();
  }

  #subscribe(terms: ChannelTerms): void {
    const client = this.#client;
    this.#key = keyOf(terms);
    this.#token = terms.token;
    if (client === undefined) return;
    let subscription: Subscription;
    try {
      subscription = client.subscribe(this.channel, {
        ...terms,
        onMessage: (message: ReceivedMessage) => this.#take(message),
      });
    } catch (error) {
      this.#enter("refused", MessagingError.from(error));
      return;
    }
    this.#subscription = subscription;
    subscription.addEventListener("statechange", ({ detail }) => {
      if (subscription === this.#subscription) this.#enter(detail.state, detail.error);
    });
    subscription.addEventListener("gap", ({ detail }) => {
      if (subscription !== this.#subscription) return;
      this.gap = detail;
      this.#changed();
    });
    // A client that is closed asks for nothing more.
    const { state, error } = subscription;
    this.#enter(client.state === "closed" ? "ended" : state, error);
    this.#members?.follow(subscription);
    for (const [reader, { signal }] of this.#readers) this.#listen(reader, signal);
  }

  #unsubscribe(): void {
    const subscription = this.#subscription;
    this.#subscription = undefined;
    this.#kept = [];
    this.#messages = [];
    this.gap = undefined;
    subscription?.unsubscribe().catch(() => {});
  }

  /** As listeners of the subscription readers cannot break each other, and what they throw goes to `onError`. */
  #listen(reader: FeedReader, signal: AbortSignal): void {
    const subscription = this.#subscription;
    subscription?.addEventListener("message", ({ detail }) => reader.received?.(detail), {
      signal,
    });
    subscription?.addEventListener("gap", ({ detail }) => reader.gap?.(detail), { signal });
  }

  #take(message: ReceivedMessage): void {
    let most = LEAST_KEPT;
    for (const { keep } of this.#readers.keys()) most = Math.max(most, keep);
    this.#kept.push(message);
    while (this.#kept.length > most) this.#kept.shift();
    this.#messages = undefined;
    this.#changed();
  }

  #enter(state: SubscriptionState, error: MessagingError | undefined): void {
    this.state = state;
    this.error = error;
    this.#changed();
  }

  #changed(): void {
    for (const reader of this.#readers.keys()) reader.changed();
  }
}
