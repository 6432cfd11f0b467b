/** What the random life needs of a host. Each host does what it can; the rest does not happen there. */
import type { Encoding } from "../../src/protocol/codec.ts";
import type { SocketLike } from "../support/client.ts";
import type { Terms } from "./facts.ts";

export interface LifeSocket extends SocketLike {
  /** Ends the connection without a word, where a socket can do that. */
  terminate?(): void;
}

export interface LifeHost {
  /** Places that a connection can be opened at, such as gateways; 1 where there is no choice. */
  readonly places: number;
  readonly channels: ReadonlyMap<string, Terms>;
  /** Messages that one request may replay. */
  readonly recoveryMessages: number;
  /** Whether a publish may be called repeated at its first attempt. */
  readonly repeatsInside: boolean;
  /** Whether subscribers of patterns take part. Default true. */
  readonly patterns?: boolean;
  /** Whether the name that a client connects with as its token becomes its user's. */
  readonly authenticates: boolean;
  /** Rejects while the host cannot be reached. */
  open(encoding: Encoding, place: number): Promise<LifeSocket>;
  /** Unix milliseconds, of the clock that the logs have. */
  now(): number;
  /** Lets others work for a moment. */
  turn(): Promise<void>;
  /** What can happen to the host, by name, with how often it does in 10,000 steps. */
  readonly events: ReadonlyMap<string, HostEvent>;
}

export interface HostEvent {
  readonly often: number;
  /** Happens once in so many steps beside that, in the middle of them. */
  readonly every?: number;
  /** Whether logs that live in memory are lost: all, or that of the channel. */
  readonly loses: "nothing" | "channel" | "all";
  /** Whether logs may not answer for a while. */
  readonly faulty: boolean;
  /** Whether history of the channel is removed. */
  readonly trims: boolean;
  /** Whether the steps wait until it is over. */
  readonly waits: boolean;
  run(channel: string, place: number): Promise<void>;
}
