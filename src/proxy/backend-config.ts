/** Backends as they are configured, checked, and in the units that calls take. */
import type { LifecycleKind } from "../engine/ports/lifecycle.ts";
import type { CallLane } from "./calls/counts.ts";
import type { RoutePattern } from "./router.ts";

/**
 * How a backend is spoken to: `http` sends each call to one URL, `connect` is the service `ProxyService` over the
 * Connect protocol, and `grpc` the same over gRPC.
 */
export type BackendKind = "http" | "connect" | "grpc";

/** What a backend of the kind `http` is sent. */
export const PAYLOADS = ["json", "cloudevents", "v0.1.1"] as const;
export type Payload = (typeof PAYLOADS)[number];

/** How messages to a backend of the kind `connect` are encoded. */
export const CONNECT_ENCODINGS = ["proto", "json"] as const;
export type ConnectEncoding = (typeof CONNECT_ENCODINGS)[number];

/** How the certificate of a backend is checked. */
export interface BackendTls {
  /** The name that it has to be for; undefined for the host of the URL. */
  readonly serverName: string | undefined;
  /** Whether any certificate will do. */
  readonly insecureSkipVerify: boolean;
}

/** When calls are not made any more, because a backend fails. */
export interface CircuitConfig {
  /** Calls in a row that have failed. */
  readonly failures: number;
  /** How long until one call tries whether it works again, in milliseconds. */
  readonly pauseMs: number;
}

export interface BackendConfig {
  /** Names it in `hooks`, in the log and in metrics. */
  readonly name: string;
  readonly kind: BackendKind;
  /** Absolute, `http:` or `https:`. Of Connect and gRPC the paths of methods are below it. */
  readonly url: string;
  /** Name of the service binding that is called in place of a connection; undefined for a connection. */
  readonly binding: string | undefined;
  /** How long a call of each kind may take, in milliseconds: the smaller of the backend's and the server's time. */
  readonly timeouts: Readonly<Record<CallLane, number>>;
  /** Of the kind `http`. */
  readonly payload: Payload;
  /** Whether lifecycle events come in batches, with the payload `cloudevents`. */
  readonly batchEvents: boolean;
  /** Of the kind `connect`. */
  readonly encoding: ConnectEncoding;
  /** What requests are signed with; without any they are not. */
  readonly signingSecrets: readonly Uint8Array[];
  /** Sent with each call; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: BackendTls;
  /** Addresses and networks that it may have although they are refused otherwise. */
  readonly allowedAddresses: readonly string[];
  /** Bytes that an answer may have. */
  readonly maxResponseBytes: number;
  /** Calls of each kind that may be under way. */
  readonly concurrency: number;
  /** Calls of each kind that may wait for one of those to end. */
  readonly queue: number;
  readonly circuit: CircuitConfig;
  /** What it answers; of all routes of all backends the first that matches counts. */
  readonly routes: readonly RoutePattern[];
}

/** Which backend decides what is no RPC, and to which one events are reported, by its name; undefined where there is none. */
export interface HookConfig {
  readonly authenticate: string | undefined;
  readonly subscribe: string | undefined;
  readonly events: Readonly<Partial<Record<LifecycleKind, string | undefined>>>;
  /** Whether the routes decide, as in v0.1.1: then a route for everything has the hooks as well. */
  readonly byRoutes: boolean;
}

/** What the configuration says of backends. */
export interface ProxyConfig {
  readonly backends: readonly BackendConfig[];
  readonly hooks: HookConfig;
  /** Whether an RPC that no backend is for comes back as it was; otherwise it is refused. */
  readonly rpcEcho: boolean;
  /** What an operator should look at although it is valid, as sentences that begin with a path. */
  readonly warnings: readonly string[];
}
