"use client";
/** Channels, presence and the connection as React hooks: `messageloop/react`. */
import { createHooks } from "./hooks.ts";

export type { PresenceStatus } from "./channel-members.ts";
export type { ChannelStatus } from "./channel-reader.ts";
export {
  createHooks,
  type MessageLoopHooks,
  type MessageLoopProviderProps,
  type UseChannelOptions,
  type UseChannelResult,
  type UsePresenceOptions,
} from "./hooks.ts";
export type { ConnectionStatus } from "./provided-client.ts";

/** For channels whose data has no type; `createHooks` makes others. */
const untyped = createHooks();

/**
 * Connects all components below it.
 *
 * @example <MessageLoopProvider url="/ws"><App /></MessageLoopProvider>
 */
export const MessageLoopProvider = untyped.MessageLoopProvider;
/**
 * The client, for all that no hook is for.
 *
 * @example const client = useClient();
 */
export const useClient = untyped.useClient;
/**
 * How the connection is.
 *
 * @example const { state, retryInMs } = useConnectionState();
 */
export const useConnectionState = untyped.useConnectionState;
/**
 * Messages of a channel, or of the channels of a pattern.
 *
 * @example const { messages, publish } = useChannel("chat.lobby", { rewind: 50 });
 */
export const useChannel = untyped.useChannel;
/**
 * The members of a channel.
 *
 * @example const { members } = usePresence("chat.lobby");
 */
export const usePresence = untyped.usePresence;
