/** What the suite needs of a host: a way to get a server, and what that server shows. */
import type { HostCapabilities } from "../../src/engine/capabilities.ts";

export interface ServerOptions {
  /** Settings that every host has, as an operator writes them; default none. */
  readonly settings?: {
    readonly server?: Readonly<Record<string, unknown>>;
    readonly limits?: Readonly<Record<string, unknown>>;
    readonly channels?: readonly Readonly<Record<string, unknown>>[];
    readonly access?: Readonly<Record<string, unknown>>;
    readonly proxy?: readonly Readonly<Record<string, unknown>>[];
    readonly hooks?: Readonly<Record<string, unknown>>;
  };
  /** Settings of streams, `transport.stream`. */
  readonly stream?: Readonly<Record<string, unknown>>;
  /** Whether it has the API keys of the suite, and signs its tickets. */
  readonly keys?: boolean;
  /** Connections that a node holds. */
  readonly maxConnections?: number;
  /**
   * `none` has no backend at all; `open` has the suite's backend without authentication; `closed`
   * demands authentication of everyone.
   */
  readonly backend?: "none" | "open" | "closed";
}

/** What a server holds now, summed over its nodes, and what it has done since it started. */
export interface ServerStats {
  readonly sessions: number;
  readonly subscriptions: number;
  readonly openCalls: number;
  readonly openSurveys: number;
  /** Channels that the broker has registered interest in. */
  readonly registrations: number;
  /** Channels with publishes that wait for their acknowledgement. */
  readonly publishing: number;
  readonly delivered: number;
  readonly encoded: readonly number[];
  readonly decoded: number;
  readonly disconnects: Readonly<Record<string, number>>;
  readonly droppedAnswers: number;
}

export interface RunningServer {
  /** Such as `ws://localhost:9080/ws`. */
  readonly url: string;
  /** Such as `127.0.0.1:9090`: where gRPC and Connect are served over HTTP/2 without TLS. */
  readonly grpc?: string;
  /** Addresses of several nodes that clients are spread over in turn, where there are several. */
  readonly spread?: readonly string[];
  /** The address that reaches a certain node, where there are several. */
  node?(index: number): string;
  /** Whether it agrees to compression; default not. */
  readonly compresses?: boolean;
  /** Only test builds can be observed. */
  stats?(): Promise<ServerStats>;
  /** Resident memory of the server's processes, in bytes. */
  memory?(): Promise<number>;
  stop(): Promise<void>;
}

export interface Host {
  /** Undefined where nothing is known of the host. */
  readonly capabilities: HostCapabilities | undefined;
  /** What a case is run with over WebSocket: every kind of client, or one, the kinds in turn. */
  readonly kinds: "all" | "in turn";
  /** What is run over Open and Send as well: every case, as many as show every rule, or none. */
  readonly opens: "cases" | "rules" | "nothing";
  /** Whether `start` honours its options; a server that was found running cannot. */
  readonly configurable: boolean;
  start(options: ServerOptions): Promise<RunningServer>;
  /** Ends what its servers share, after all of them. */
  stop?(): Promise<void>;
}
