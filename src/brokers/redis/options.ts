/** What a Redis broker is made of. */
import type { RuleBook } from "../../channels/rules.ts";
import type { Clock, Logger, Timers } from "../../engine/ports/platform.ts";
import type { RedisLifecycleTerms } from "./lifecycle/outbox.ts";
import type { NodeSigner } from "./node-calls.ts";

export interface RedisBrokerOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: { epoch(): string };
  /** Names this process among all: unique, letters and digits only. */
  readonly node: string;
  /** Undefined where the nodes share no secret: then they do not call each other. */
  readonly signer?: NodeSigner | undefined;
  /** Calls back in the next turn of the event loop. */
  readonly nextTurn: (callback: () => void) => void;
  readonly logger: Logger;
  /** What channels keep and offer. Default: the default rules for all. */
  readonly rules?: RuleBook;
  /** Before every name in Redis, so that deployments can share one. */
  readonly prefix: string;
  /** Whether users are found and channels are listed. Default false. */
  readonly keepsDirectory?: boolean;
  /** Which lifecycle events are kept. Default none. */
  readonly lifecycle?: RedisLifecycleTerms | undefined;
  /** The operator vouches that Redis comes back with all that it has acknowledged. */
  readonly durable: boolean;
  /**
   * Called when the node is not ready any more, with what is known of the cause, and when it is again. A cause names
   * no password.
   */
  readonly onReady?: (ready: boolean, cause?: string) => void;
  /** How often channels are refreshed and the node says that it is there, in milliseconds. */
  readonly refreshMs?: number;
  readonly beatMs?: number;
}
