import { createHooks } from "messageloop/react";

/** What each channel carries, by pattern: the hooks know the types. */
interface Channels {
  "chat.*": { readonly text: string };
}

export const { MessageLoopProvider, useChannel, useConnectionState, usePresence } =
  createHooks<Channels>();
