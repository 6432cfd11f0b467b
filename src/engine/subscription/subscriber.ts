/** A session, as those who write to it see it, and whose doing its subscriptions are. */
import type { Encoding } from "../../protocol/codec.ts";
import type { Disconnect } from "../../protocol/codes.ts";
import type { SizedFrame, Variant } from "../../protocol/publication-frames.ts";
import type { LogGap } from "../ports/broker.ts";

/** What a subscription needs of its session. */
export interface Subscriber {
  readonly id: string;
  readonly userId: string;
  readonly clientId: string;
  readonly encoding: Encoding;
  readonly variant: Variant;
  /** Whether it hears of joins and leaves. */
  readonly followsPresence: boolean;
  /** Whether it may know who is in a channel. */
  mayFollowPresence(channel: string): boolean;
  /** Bytes that frames have to keep to where they can be divided; 0 where the client has not asked. */
  readonly maxFrameBytes: number;
  write(frame: SizedFrame): void;
  close(disconnect: Disconnect): void;
  /** Reports missing messages, where the client knows such a thing. */
  tellGap(channel: string, gap: LogGap): void;
  /** What its host must remember has changed. */
  changed(): void;
}

/**
 * Whose doing a subscription is: the client has asked for it, its token or its authenticator has given it, or the
 * application has subscribed the session. Each stands above those before.
 */
export const ORIGINS = ["client", "given", "server"] as const;
export type Origin = (typeof ORIGINS)[number];

/** That of two which stands above the other. */
export function higher(left: Origin, right: Origin): Origin {
  return ORIGINS.indexOf(left) > ORIGINS.indexOf(right) ? left : right;
}
