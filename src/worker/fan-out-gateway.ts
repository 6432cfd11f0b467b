/** A gateway as the fan-out of a channel knows it. */
import type { GatewayRow } from "./gateway-table.ts";
import { PresenceQueue, type WaitingPresence } from "./presence-queue.ts";

export interface Gateway {
  readonly name: string;
  registration: string;
  /** Offset up to which the gateway is known to have everything. */
  confirmed: number;
  /** Whether its row holds a `confirmed`. */
  noted: boolean;
  /** Whether it is told who joins and leaves. */
  follows: boolean;
  readonly presence: PresenceQueue;
  /** It has to learn of this life of the log, for something of the last one may not have arrived. */
  announce: boolean;
  call: Call | undefined;
}

export interface Call {
  /** Last offset of the batch. */
  readonly until: number;
  readonly presence: WaitingPresence;
  readonly announce: boolean;
  /** Settles when the answer has been dealt with. */
  done: Promise<void>;
}

/** A gateway as its row says it is, where one that is not owed anything has everything. */
export function foundGateway(
  { name, registration, confirmed, presence: follows }: GatewayRow,
  { head, transient }: { head(): number; readonly transient: boolean },
): Gateway {
  const owed = confirmed !== undefined;
  return {
    name,
    registration,
    // What was confirmed of a log that is no more says nothing about this one.
    confirmed: Math.min(confirmed ?? head(), head()),
    noted: owed,
    follows,
    presence: new PresenceQueue(owed && follows),
    announce: owed && transient,
    call: undefined,
  };
}
