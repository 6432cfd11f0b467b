/** What the main thread of a process and its threads say to each other, beside the sockets that are moved. */
import type { Socket } from "node:net";
import type { MessagePort } from "node:worker_threads";
import type { Incident } from "../../engine/ports/incidents.ts";
import type { EngineStats } from "../../engine/stats.ts";
import type { ProcessFacts } from "../../http/metrics/process.ts";
import type { Line } from "../../threads/calls/link.ts";
import type { LogLevel, ServerConfig } from "../config/config.ts";
import type { Door } from "../server.ts";

/** What a thread begins with. */
export interface ThreadData {
  /** 0 to `threads - 1`. */
  readonly index: number;
  readonly threads: number;
  /** Names the process. */
  readonly process: string;
  /** Names this life of the thread, and begins with the name of the process. */
  readonly gateway: string;
  /** Connections and sessions of all threads, see `counts.ts`. */
  readonly counts: Int32Array<SharedArrayBuffer>;
  /** Which thread has which channel, see `ownersMemory`. */
  readonly owners: SharedArrayBuffer;
  /** Tables of the configuration, as a file has them. */
  readonly tables: unknown;
  /** In the place of what the tables say. */
  readonly api: Pick<ServerConfig["api"], "keys" | "ticketKeys">;
  /** The settings of the process, of which a thread may have a share. */
  readonly inForce: ServerConfig["inForce"];
  /** Undefined for no log. */
  readonly logLevel: LogLevel | undefined;
  /** Of the program that starts threads; undefined for the command line. */
  readonly extra?: unknown;
}

export type ToThread =
  /** Another thread is there, or a new one in the place of one that has ended. */
  | {
      readonly type: "join";
      readonly index: number;
      readonly gateway: string;
      readonly line: Line & { readonly port: MessagePort };
    }
  /** Another thread has ended. It is answered with `left`. */
  | { readonly type: "ended"; readonly index: number }
  /** All threads that there are have been joined. Answered with `started`. */
  | { readonly type: "start" }
  | { readonly type: "socket"; readonly door: Door; readonly socket: Socket }
  /** Whether all threads are well. */
  | { readonly type: "health"; readonly well: boolean }
  /** Answered with `pong`. */
  | { readonly type: "ping" }
  /** Answered with `report`. */
  | { readonly type: "reportTo"; readonly id: number }
  /** Answers `totals`. */
  | { readonly type: "reports"; readonly id: number; readonly reports: readonly ThreadReport[] }
  /** Answered with `stopped`. */
  | { readonly type: "stop" }
  /** Something of the program that starts threads. */
  | { readonly type: "extra"; readonly value: unknown };

export type FromThread =
  /** The program is loaded. */
  | { readonly type: "loaded" }
  /** Nothing here counts on that thread any more. */
  | { readonly type: "left"; readonly index: number }
  /** Undefined where it takes sockets; else why it cannot. */
  | { readonly type: "started"; readonly problem: string | undefined }
  /** So many sockets of a door have ended. */
  | { readonly type: "gone"; readonly door: Door; readonly sockets: number }
  | { readonly type: "pong" }
  | { readonly type: "report"; readonly id: number; readonly report: OwnReport }
  /** Asks for the reports of all threads. */
  | { readonly type: "totals"; readonly id: number }
  | { readonly type: "stopped" }
  | { readonly type: "extra"; readonly value: unknown };

/** What a thread reports of itself. */
export interface OwnReport {
  readonly stats: EngineStats;
  readonly facts: ProcessFacts;
  /** Channels that it has. */
  readonly channels: number;
  /** What the ids of its sessions begin with. */
  readonly name: string;
  /** What its sessions have met. */
  readonly incidents: readonly Incident[];
}

/** The same with what the main thread sees of it. */
export interface ThreadReport {
  readonly index: number;
  /** How often a thread in this place has ended. */
  readonly deaths: number;
  /** The part of the last seconds in which it was busy, 0 to 1. */
  readonly busy: number;
  /** Undefined where it did not answer in time. */
  readonly own: OwnReport | undefined;
}
