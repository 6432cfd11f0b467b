/**
 * The client of one provider, and what the components below it share: its connection's state, and one subscription for each
 * channel. Nothing of it begins while React renders, which it may do twice, without an end, or on a server: it begins with
 * the first component that is mounted.
 *
 * What the last component leaves is ended a task later. A component that React takes down and puts up again in one go, as
 * StrictMode does, finds everything as it was.
 */
import {
  type CloudEvent,
  type ConnectionState,
  createClient,
  type DetailEvent,
  MessagingError,
  type PublishOptions,
  type PublishResult,
  type StateChange,
} from "../../index.ts";
import { ChannelFeed } from "./channel-feed.ts";
import type { AnyClient, AnyClientOptions } from "./types.ts";

/** What a provider is given: a client, or where one is to connect to. */
export interface ProvidedBy {
  readonly client: AnyClient | undefined;
  readonly url: string | undefined;
  readonly options: AnyClientOptions;
  /** Makes the client. Default: `createClient` of `messageloop`. */
  readonly create?: ((url: string, options: AnyClientOptions) => AnyClient) | undefined;
}

/** How the connection is. */
export interface ConnectionStatus {
  readonly state: ConnectionState;
  /** Why it is lost or closed; undefined where it is made, and after `close()`. */
  readonly error: MessagingError | undefined;
  /** Milliseconds until the next try, by when the connection was lost; undefined where there will be none by itself. */
  readonly retryInMs: number | undefined;
}

/** Before anything is known. */
export const CONNECTING: ConnectionStatus = {
  state: "connecting",
  error: undefined,
  retryInMs: undefined,
};

export class ProvidedClient {
  readonly by: ProvidedBy;
  /** The provider's options as they are now; those functions of them are called that are there now. */
  options: AnyClientOptions;
  /** Undefined before the first component is mounted, where the provider makes it. */
  #client: AnyClient | undefined;
  #status = CONNECTING;
  /** Components that are mounted. */
  #mounted = 0;
  #begun = false;
  readonly #listeners = new Set<() => void>();
  readonly #feeds = new Map<string, ChannelFeed>();
  readonly #changed = ({ detail }: DetailEvent<StateChange>): void => {
    const { state, error, retryInMs } = detail;
    this.#status = { state, error, retryInMs };
    this.#tell();
  };

  constructor(by: ProvidedBy) {
    this.by = by;
    this.options = by.options;
    this.#client = by.client;
    if (by.client !== undefined) this.#status = { ...CONNECTING, state: by.client.state };
  }

  // As useSyncExternalStore calls them.

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    const leave = this.mount();
    return () => {
      this.#listeners.delete(listener);
      leave();
    };
  };

  readonly client = (): AnyClient | undefined => this.#client;

  /** On a server there is only what the application has made itself. */
  readonly serverClient = (): AnyClient | undefined => this.by.client;

  readonly status = (): ConnectionStatus => this.#status;

  /**
   * A component is there. The first one begins the client.
   *
   * @returns what is called when it goes
   */
  mount(): () => void {
    this.#mounted += 1;
    if (!this.#begun) this.#begin();
    return () => {
      this.#mounted -= 1;
      this.#tidySoon();
    };
  }

  /** The one subscription to a channel, once any component wants it. */
  feed(channel: string): ChannelFeed | undefined {
    return this.#feeds.get(channel);
  }

  /** The same; it is made where there is none. Whoever asks is mounted. */
  openFeed(channel: string): ChannelFeed {
    let feed = this.#feeds.get(channel);
    if (feed === undefined) {
      feed = new ChannelFeed(channel, this.#client, () => this.#tidySoon());
      this.#feeds.set(channel, feed);
    }
    return feed;
  }

  publish(
    channel: string | undefined,
    data: unknown | CloudEvent,
    options?: PublishOptions,
  ): Promise<PublishResult> {
    if (channel === undefined) return refused("BAD_REQUEST", "there is no channel yet");
    if (this.#client === undefined) return refused("UNAVAILABLE", "no component has been mounted");
    return this.#client.publish(channel, data, options);
  }

  #begin(): void {
    const { url, create = createClient } = this.by;
    if (this.#client === undefined && url !== undefined) {
      this.#client = create(url, this.#current());
    }
    this.#begun = true;
    const client = this.#client;
    client?.addEventListener("statechange", this.#changed);
    if (client !== undefined && client.state !== this.#status.state) {
      this.#status = { ...CONNECTING, state: client.state };
      // What closed it before anybody could listen, such as an address that is none.
      client.ready.catch((error: MessagingError) => {
        if (client !== this.#client) return;
        this.#status = { ...this.#status, error };
        this.#tell();
      });
    }
    this.#tell();
  }

  /** The provider's options, whose functions are always those of its last rendering. */
  #current(): AnyClientOptions {
    const { getToken, onError, ...rest } = this.options;
    return {
      ...rest,
      ...(getToken && {
        getToken: (request) => (this.options.getToken ?? getToken)(request),
      }),
      ...(onError && { onError: (error) => (this.options.onError ?? onError)(error) }),
    };
  }

  #tidySoon(): void {
    setTimeout(() => this.#tidy(), 0);
  }

  #tidy(): void {
    for (const [channel, feed] of this.#feeds) {
      if (feed.isWanted) continue;
      this.#feeds.delete(channel);
      feed.end();
    }
    if (this.#mounted > 0 || !this.#begun) return;
    this.#begun = false;
    this.#client?.removeEventListener("statechange", this.#changed);
    if (this.by.client !== undefined) return;
    this.#client?.close().catch(() => {});
    this.#client = undefined;
    this.#status = CONNECTING;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** A rejection, which may be ignored. */
function refused(code: string, text: string): Promise<never> {
  const refusal = Promise.reject(new MessagingError(code, text));
  refusal.catch(() => {});
  return refusal;
}
