/** The hooks, with the types of an application's channels. */
import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
} from "react";
import {
  type Client,
  type ClientOptions,
  type CloudEvent,
  type DataOf,
  type Gap,
  type MessageHandler,
  MessagingError,
  type PublishOptions,
  type PublishResult,
} from "../../index.ts";
import { type PresenceStatus, UNKNOWN } from "./channel-members.ts";
import { ChannelReader, type ChannelStatus, NOT_YET, PresenceReader } from "./channel-reader.ts";
import { CONNECTING, type ConnectionStatus, ProvidedClient } from "./provided-client.ts";
import type { ChannelTerms } from "./types.ts";

/** What a provider is given: where to connect to, or a client of the application's own. */
export type MessageLoopProviderProps<Channels extends object = Record<string, unknown>> =
  | {
      /** Such as `wss://example.com/ws`; in a page also a path. Another one is another client. */
      readonly url: string;
      /**
       * Those of `createClient`. They are read when the client is made; of `getToken` and `onError` always those are called
       * that were given last. For another user give the provider another `key`.
       */
      readonly options?: ClientOptions<Channels>;
      /** What makes the client, such as `createClient` of `messageloop/shared`. Default: that of `messageloop`. */
      readonly createClient?: (url: string, options: ClientOptions<Channels>) => Client<Channels>;
      readonly client?: undefined;
      readonly children?: ReactNode;
    }
  | {
      /** It is the application's to close. Undefined where there is none yet, as on a server. */
      readonly client: Client<Channels> | undefined;
      readonly url?: undefined;
      readonly options?: undefined;
      readonly createClient?: undefined;
      readonly children?: ReactNode;
    };

/** How a component wants a channel. */
export interface UseChannelOptions<T = unknown> extends ChannelTerms {
  /** Is given each message that comes while the component is mounted. What it throws goes to `onError`. */
  readonly onMessage?: MessageHandler<T>;
  /** Is given each hole in what comes. */
  readonly onGap?: (gap: Gap) => unknown;
  /** How many messages `messages` has at most. Default 100, and 0 where there is `onMessage`. */
  readonly keep?: number;
}

/** A channel as a component sees it. */
export interface UseChannelResult<T = unknown> extends ChannelStatus<T> {
  /**
   * Publishes data, or an event, to the channel. The same function as long as the channel is the same.
   *
   * @throws MessagingError (as a rejection, which may be ignored) as `client.publish` does
   */
  readonly publish: (data: T | CloudEvent<T>, options?: PublishOptions) => Promise<PublishResult>;
}

export interface UsePresenceOptions {
  /** Not a member itself, unless a `useChannel` of the same channel is. Default false. */
  readonly ephemeral?: boolean;
}

/** Hooks that know what channels carry. Their provider is their own: another one's client is not seen by them. */
export interface MessageLoopHooks<Channels extends object> {
  /**
   * Connects all components below it: by a client of its own, which begins when the first of them is mounted and is closed
   * after the last, or by the application's.
   *
   * @example
   * <MessageLoopProvider url="/ws" options={{ getToken }}><App /></MessageLoopProvider>
   */
  MessageLoopProvider(props: MessageLoopProviderProps<Channels>): ReactElement;

  /**
   * The client, for everything that no hook is for. Undefined on a server and in the first rendering, where the provider
   * makes it.
   */
  useClient(): Client<Channels> | undefined;

  /** How the connection is. */
  useConnectionState(): ConnectionStatus;

  /**
   * Subscribes to a channel, or to the channels of a pattern, while the component is mounted. All components that want the
   * same channel share one subscription.
   *
   * @param channel undefined subscribes to nothing
   * @param options or the handler alone; without any the last 100 messages are kept and shown
   *
   * @example
   * const { messages, publish } = useChannel("chat.lobby", { rewind: 50 });
   */
  useChannel<Name extends string>(
    channel: Name | undefined,
    options?: MessageHandler<DataOf<Channels, Name>> | UseChannelOptions<DataOf<Channels, Name>>,
  ): UseChannelResult<DataOf<Channels, Name>>;

  /**
   * The members of a channel. It goes by the subscription of `useChannel`, and makes one where there is none: only a
   * subscriber may know the members.
   *
   * @param channel no pattern; undefined has no members
   *
   * @example
   * const { members } = usePresence("chat.lobby");
   */
  usePresence(channel: string | undefined, options?: UsePresenceOptions): PresenceStatus;
}

const DEFAULT_KEEP = 100;

/**
 * A provider and its hooks for channels that carry what the table says.
 *
 * @typeParam Channels what channels carry, by name or pattern, such as `{ "chat.*": ChatMessage }`
 *
 * @example
 * export const { MessageLoopProvider, useChannel, useClient } = createHooks<Channels>();
 */
export function createHooks<
  Channels extends object = Record<string, unknown>,
>(): MessageLoopHooks<Channels> {
  const Context = createContext<ProvidedClient | undefined>(undefined);

  function useProvided(): ProvidedClient {
    const provided = useContext(Context);
    if (provided === undefined) {
      throw new MessagingError("BAD_REQUEST", "there is no MessageLoopProvider around this hook");
    }
    return provided;
  }

  return {
    MessageLoopProvider({ client, url, options = {}, createClient: create, children }) {
      const [held, hold] = useState(() => new ProvidedClient({ client, url, options, create }));
      let provided = held;
      if (held.by.client !== client || held.by.url !== url) {
        provided = new ProvidedClient({ client, url, options, create });
        hold(provided);
      }
      useEffect(() => {
        provided.options = options;
      });
      useEffect(() => provided.mount(), [provided]);
      return createElement(Context.Provider, { value: provided }, children);
    },

    useClient() {
      const { subscribe, client, serverClient } = useProvided();
      return useSyncExternalStore(subscribe, client, serverClient);
    },

    useConnectionState() {
      const { subscribe, status } = useProvided();
      return useSyncExternalStore(subscribe, status, () => CONNECTING);
    },

    useChannel<Name extends string>(
      channel: Name | undefined,
      given:
        | MessageHandler<DataOf<Channels, Name>>
        | UseChannelOptions<DataOf<Channels, Name>> = {},
    ) {
      type T = DataOf<Channels, Name>;
      const provided = useProvided();
      const options: UseChannelOptions<T> =
        typeof given === "function" ? { onMessage: given } : given;
      const { ephemeral, token, since, rewind, onMessage, onGap } = options;
      const { keep = onMessage === undefined ? DEFAULT_KEEP : 0 } = options;
      // What components write down anew at each rendering is compared by what it says.
      const key = JSON.stringify({ ephemeral, since, rewind });
      // biome-ignore lint/correctness/useExhaustiveDependencies: a new token is brought to the subscription that is there.
      const reader = useMemo(
        () => new ChannelReader(provided, { channel, terms: { ...JSON.parse(key), token }, keep }),
        [provided, channel, key, keep],
      );
      useEffect(() => {
        reader.handlers = { onMessage: onMessage as MessageHandler | undefined, onGap };
      });
      const status = useSyncExternalStore(reader.subscribe, reader.status, () => NOT_YET);
      useEffect(() => {
        if (channel !== undefined) provided.feed(channel)?.bring(token);
      }, [provided, channel, token]);
      const publish = useCallback(
        (data: T | CloudEvent<T>, terms?: PublishOptions) => provided.publish(channel, data, terms),
        [provided, channel],
      );
      return useMemo(() => ({ ...(status as ChannelStatus<T>), publish }), [status, publish]);
    },

    usePresence(channel, { ephemeral = false } = {}) {
      const provided = useProvided();
      const reader = useMemo(
        () => new PresenceReader(provided, channel, ephemeral),
        [provided, channel, ephemeral],
      );
      return useSyncExternalStore(reader.subscribe, reader.status, () => UNKNOWN);
    },
  };
}
