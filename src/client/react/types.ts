/** Clients and subscriptions, whatever their channels carry. Types only. */
import type { Client, ClientOptions, SubscribeOptions } from "../../index.ts";

// biome-ignore lint/suspicious/noExplicitAny: its methods take what its channels carry, which is not known here.
export type AnyClient = Client<any>;

// biome-ignore lint/suspicious/noExplicitAny: the same.
export type AnyClientOptions = ClientOptions<any>;

/** How a channel is subscribed to. */
export type ChannelTerms = Omit<SubscribeOptions, "onMessage" | "signal">;
