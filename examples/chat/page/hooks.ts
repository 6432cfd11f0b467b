/** The hooks of this application: they know what its channels carry. */
import { createHooks } from "messageloop/react";

type Channels = { "chat.*": { readonly text: string } };

export const { MessageLoopProvider, useChannel, useConnectionState, usePresence } =
  createHooks<Channels>();
