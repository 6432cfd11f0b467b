/** One connection, as the engine writes to it. */
import type { Disconnect } from "../../protocol/codes.ts";
import type {
  SessionMarks,
  SessionRecord,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { SizedFrame } from "../../protocol/publication-frames.ts";
import type { Identity } from "./identity.ts";

/** Where a connection comes from, as far as the host knows. */
export interface Peer {
  /** Network address of the client; empty where it is unknown. */
  readonly address: string;
  /**
   * Set where the host has found out by itself the user and what it may read, rules of access included: then
   * neither those nor the application's backends are asked. The user id is empty for an anonymous client.
   */
  readonly admitted?: Identity;
}

/** One connection, seen from the engine. */
export interface Transport {
  /**
   * MUST keep the order of calls, except that a connection that is backed up MAY let urgent frames overtake
   * others. MUST NOT throw for a connection that is gone.
   */
  write(frame: SizedFrame): void;
  /** MUST be idempotent and MUST NOT call back into the session. MUST go on reading, paused or not. */
  close(disconnect: Disconnect): void;
  /**
   * Where a host can sleep: MUST keep the latest record for as long as the connection lives, and hand it to
   * `Engine.restore` when the host wakes. Hosts that never sleep leave it out.
   */
  save?(record: SessionRecord): void;
  /**
   * Replaces the marks of the saved record. It is called far more often than `save` and SHOULD cost no
   * storage write.
   */
  mark?(marks: SessionMarks): void;
  /** Where a host answers heartbeats by itself: when it last did, by the clock's steady time. */
  heard?(): number;
  /**
   * Stops the reading of what the client sends until `resume`. Frames that were read before MAY still
   * arrive. Hosts that cannot do that leave both out.
   */
  pause?(): void;
  /** Goes on reading after `pause`. */
  resume?(): void;
}
