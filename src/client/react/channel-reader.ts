/** What one component sees of a channel, in the form that useSyncExternalStore asks for. */
import {
  type Gap,
  MessagingError,
  type ReceivedMessage,
  type SubscriptionState,
} from "../../index.ts";
import type { ChannelFeed, FeedReader } from "./channel-feed.ts";
import { type PresenceStatus, UNKNOWN } from "./channel-members.ts";
import type { ProvidedClient } from "./provided-client.ts";
import type { ChannelTerms } from "./types.ts";

/** How a subscription is, and what has come of it. */
export interface ChannelStatus<T = unknown> {
  readonly state: SubscriptionState;
  /** Why it was refused, or has ended. */
  readonly error: MessagingError | undefined;
  /** The last messages, the oldest first. */
  readonly messages: readonly ReceivedMessage<T>[];
  /** The last hole in what has come: messages that are missing for good, or until history is asked for them. */
  readonly gap: Gap | undefined;
}

/** What is done with what comes. */
export interface ChannelHandlers {
  readonly onMessage: ((message: ReceivedMessage) => unknown) | undefined;
  readonly onGap: ((gap: Gap) => unknown) | undefined;
}

export interface ReaderTerms {
  /** Undefined where there is none yet. */
  readonly channel: string | undefined;
  readonly terms: ChannelTerms;
  /** Messages that it shows at most. */
  readonly keep: number;
}

const NO_MESSAGES: readonly ReceivedMessage[] = [];
/** Before a component is mounted, on a server for instance. */
export const NOT_YET: ChannelStatus = {
  state: "subscribing",
  error: undefined,
  messages: NO_MESSAGES,
  gap: undefined,
};
const NOTHING: ChannelStatus = { ...NOT_YET, state: "ended" };

export class ChannelReader implements FeedReader {
  /** Those of the component's last rendering. */
  handlers: ChannelHandlers = { onMessage: undefined, onGap: undefined };
  readonly channel: string | undefined;
  readonly terms: ChannelTerms;
  readonly yields = false;
  readonly keep: number;
  readonly #provided: ProvidedClient;
  #listener = (): void => {};
  #refusal: ChannelStatus | undefined;
  #status: ChannelStatus;
  /** The messages of the feed that the status was made of. */
  #from: readonly ReceivedMessage[] | undefined;

  constructor(provided: ProvidedClient, { channel, terms, keep }: ReaderTerms) {
    this.#provided = provided;
    this.channel = channel;
    this.terms = terms;
    this.keep = keep;
    this.#status = channel === undefined ? NOTHING : NOT_YET;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listener = listener;
    const unmount = this.#provided.mount();
    const leave = this.#join();
    return () => {
      leave();
      unmount();
    };
  };

  /** The same object until it has changed. */
  readonly status = (): ChannelStatus => {
    const feed = this.channel === undefined ? undefined : this.#provided.feed(this.channel);
    if (this.#refusal !== undefined || feed === undefined) return this.#refusal ?? this.#status;
    const { state, error, gap } = feed;
    const from = this.keep > 0 ? feed.messages : NO_MESSAGES;
    const before = this.#status;
    const isSame = before.state === state && before.error === error && before.gap === gap;
    if (isSame && from === this.#from) return before;
    this.#from = from;
    this.#status = { state, error, gap, messages: shown(from, this.keep) };
    return this.#status;
  };

  changed(): void {
    this.#listener();
  }

  received(message: ReceivedMessage): unknown {
    return this.handlers.onMessage?.(message);
  }

  gap(gap: Gap): unknown {
    return this.handlers.onGap?.(gap);
  }

  #join(): () => void {
    this.#refusal = undefined;
    if (this.channel === undefined) return () => {};
    try {
      return this.#provided.openFeed(this.channel).join(this);
    } catch (error) {
      this.#refusal = { ...NOT_YET, state: "refused", error: MessagingError.from(error) };
      this.#listener();
      return () => {};
    }
  }
}

function shown(messages: readonly ReceivedMessage[], keep: number): readonly ReceivedMessage[] {
  return messages.length <= keep ? messages : messages.slice(-keep);
}

/** The same for the members of a channel. It takes the subscription that there is, and makes one where there is none. */
export class PresenceReader implements FeedReader {
  readonly terms: ChannelTerms;
  readonly yields = true;
  readonly keep = 0;
  readonly #provided: ProvidedClient;
  readonly #channel: string | undefined;
  #feed: ChannelFeed | undefined;
  #listener = (): void => {};

  /** @param ephemeral where it is the one that makes the subscription */
  constructor(provided: ProvidedClient, channel: string | undefined, ephemeral: boolean) {
    this.#provided = provided;
    this.#channel = channel;
    this.terms = ephemeral ? { ephemeral } : {};
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listener = listener;
    const unmount = this.#provided.mount();
    const channel = this.#channel;
    if (channel === undefined) return unmount;
    const feed = this.#provided.openFeed(channel);
    this.#feed = feed;
    const leave = feed.join(this);
    // What was found out for others already is there at once.
    if (feed.members.status !== UNKNOWN) listener();
    return () => {
      leave();
      unmount();
    };
  };

  readonly status = (): PresenceStatus => this.#feed?.members.status ?? UNKNOWN;

  changed(): void {
    this.#listener();
  }
}
