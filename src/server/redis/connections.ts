/** Connections to Redis by node-redis, and what its errors mean. The only place that makes clients. */
import { createClient, createCluster, ErrorReply } from "redis";
import { type RedisArgument, RedisFailure } from "../../brokers/redis/ports.ts";
import { pauseAfter } from "../../engine/ports/timers.ts";

/** How often an idle connection is tried, in milliseconds. */
const PING_INTERVAL_MS = 3_000;
/** Silence, answers to pings included, after which a connection is given up, in milliseconds. */
const SILENCE_MS = 10_000;
/** Between two tries to connect. */
const RECONNECTS = { firstMs: 25, longestMs: 500 };
/** Commands that one connection has under way at most; further ones are refused. */
const MAX_COMMANDS = 50_000;
/** How long a master of a cluster may be away before the client asks the others which one stands in, in milliseconds. */
const TOPOLOGY_AFTER_MS = 1_000;

/** Errors of a server that may do later what it does not do now. */
const BUSY =
  /^(LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|READONLY|NOREPLICAS|OOM|MISCONF|MOVED|ASK|UNBLOCKED)\b/;
/** Errors of the client about commands that it has not sent. */
const UNSENT = new Set([
  "ClientOfflineError",
  "ClientClosedError",
  "AbortError",
  "TimeoutError",
  "RootNodesUnavailableError",
]);

export interface RedisAddress {
  /** `redis://` or `rediss://`; of a cluster some of its servers. */
  readonly urls: readonly string[];
  readonly cluster: boolean;
  /** Stand above those of the first URL, for every server; empty for none. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** With `rediss://`: PEM of the authorities that sign the server's certificate, default Node's. */
  readonly tls?: { readonly ca?: string } | undefined;
  /** How long one try to connect may take, in milliseconds. */
  readonly connectTimeoutMs?: number;
}

export type RedisClient = ReturnType<typeof newClient>;
export type RedisClusterClient = ReturnType<typeof newCluster>;

/** @param returns whether a connection that is lost, or cannot be made, is tried again */
export function newClient(address: RedisAddress, url: string, returns: () => boolean) {
  return createClient({ url, ...shared(address, returns) });
}

/** @param returns whether a connection that is lost, or cannot be made, is tried again */
export function newCluster(address: RedisAddress, returns: () => boolean) {
  return createCluster({
    rootNodes: address.urls.map((url) => ({ url })),
    defaults: shared(address, returns),
    topologyRefreshOnReconnectionAttemptStrategy: TOPOLOGY_AFTER_MS,
  });
}

/** @throws RangeError where there is none */
export function firstUrl({ urls }: RedisAddress): string {
  const [url] = urls;
  if (url === undefined) throw new RangeError("an address of Redis is missing");
  return url;
}

/** Milliseconds to wait before another try to connect. */
export function reconnectPause(tries: number): number {
  return pauseAfter(tries + 1, RECONNECTS) * (0.5 + Math.random() / 2);
}

/** An argument as the client takes it. Bytes are not copied. */
export function argumentOf(argument: RedisArgument): string | Buffer {
  if (typeof argument === "string") return argument;
  return Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength);
}

/** What an error of the client says about the command that met it. */
export function failureOf(error: unknown): RedisFailure {
  if (error instanceof RedisFailure) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ErrorReply) {
    return new RedisFailure(BUSY.test(message) ? "busy" : "refused", message, error);
  }
  const name = error instanceof Error ? error.constructor.name : "";
  // Anything else is taken for the worse: that it was sent.
  const unsent = UNSENT.has(name) || message === "The queue is full";
  return new RedisFailure(unsent ? "offline" : "lost", message, error);
}

/** What an error of a connection says in a sentence about Redis, without a password. */
export function described(error: unknown): string {
  const message = textOf(error instanceof RedisFailure ? (error.cause ?? error) : error);
  if (/^(WRONGPASS|NOAUTH|ERR AUTH|ERR Client sent AUTH)/.test(message)) {
    return "refuses the user or the password";
  }
  return `cannot be used: ${message}`;
}

/** A failure to connect to all addresses of a name has its reasons inside. */
function textOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") {
    return error.errors.map(textOf).join(", ");
  }
  return error instanceof Error ? error.message : String(error);
}

/**
 * Whether a server takes writes: after a fail-over the one that was connected to may have become a replica.
 *
 * @throws what the client throws
 */
export async function isMaster(client: RedisClient): Promise<boolean> {
  return /^role:master\r?$/m.test(String(await client.sendCommand(["INFO", "replication"])));
}

function shared(address: RedisAddress, returns: () => boolean) {
  const { tls, connectTimeoutMs } = address;
  const first = new URL(firstUrl(address));
  const username = address.username || decodeURIComponent(first.username);
  const password = address.password || decodeURIComponent(first.password);
  const socket = {
    socketTimeout: SILENCE_MS,
    reconnectStrategy: (tries: number) => (returns() ? reconnectPause(tries) : false),
    ...(connectTimeoutMs === undefined ? {} : { connectTimeout: connectTimeoutMs }),
  };
  const secure = { tls: true as const, ...tls };
  return {
    ...(username === "" ? {} : { username }),
    ...(password === "" ? {} : { password }),
    socket: first.protocol === "rediss:" ? { ...socket, ...secure } : socket,
    pingInterval: PING_INTERVAL_MS,
    // Without a connection a command fails at once: how long to wait is the broker's to say.
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_COMMANDS,
    maintNotifications: "disabled" as const,
  };
}
