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

export const MessageLoopProvider = untyped.MessageLoopProvider;
export const useClient = untyped.useClient;
export const useConnectionState = untyped.useConnectionState;
export const useChannel = untyped.useChannel;
export const usePresence = untyped.usePresence;
