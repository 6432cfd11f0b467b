/** The connections of the Redis broker, opened and checked: all of it, or one sentence why not. */
import { RedisFailure } from "../brokers/redis-ports.ts";
import { StartError } from "./listeners.ts";
import { type NodeRedisCommands, openCommands } from "./redis-commands.ts";
import type { RedisAddress } from "./redis-connections.ts";
import { NodeRedisSubscriptions } from "./redis-subscriptions.ts";

/** The oldest Redis that has what the scripts need. */
const MIN_VERSION = 7;

export interface OpenRedis {
  readonly commands: NodeRedisCommands;
  readonly subscriptions: NodeRedisSubscriptions;
  /** Ends both connections. */
  close(): void;
}

/** @throws StartError with one sentence that holds no password */
export async function openRedis(address: RedisAddress): Promise<OpenRedis> {
  let commands: NodeRedisCommands | undefined;
  try {
    commands = await openCommands(address);
    const problem = await problemOf(commands, address);
    if (problem !== undefined) throw new StartError(`Redis at ${placesOf(address)} ${problem}`);
    const { servers } = commands;
    const subscriptions = new NodeRedisSubscriptions(address, servers.bind(commands));
    await subscriptions.connect();
    const opened = { commands, subscriptions };
    return {
      ...opened,
      close: () => {
        opened.subscriptions.close();
        opened.commands.close();
      },
    };
  } catch (error) {
    commands?.close();
    if (error instanceof StartError) throw error;
    throw new StartError(`Redis at ${placesOf(address)} ${reasonOf(error)}`);
  }
}

/** What keeps a server from being used; of a cluster any one of them tells. */
async function problemOf(
  commands: NodeRedisCommands,
  { cluster }: RedisAddress,
): Promise<string | undefined> {
  const info = String(await commands.command("", ["INFO", "server"]));
  const field = (name: string): string =>
    new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
  // Valkey tells here which Redis it is compatible with.
  const version = field("redis_version");
  if (!(Number.parseInt(version, 10) >= MIN_VERSION)) {
    return `is of version ${version || "nothing"}: ${MIN_VERSION} or newer is needed`;
  }
  if (field("run_id") === "") return "does not tell its run id";
  if (field("redis_mode") === "cluster" && !cluster) {
    return "is a cluster: broker.redis.cluster must be true";
  }
  return undefined;
}

/** Host and port of each address. */
function placesOf({ urls }: RedisAddress): string {
  return urls.map((url) => new URL(url).host).join(", ");
}

function reasonOf(error: unknown): string {
  const message = textOf(error instanceof RedisFailure ? (error.cause ?? error) : error);
  if (/^(WRONGPASS|NOAUTH|ERR AUTH|ERR Client sent AUTH)/.test(message)) {
    return "refuses the user or the password";
  }
  if (/cluster support disabled/i.test(message)) {
    return "is no cluster: broker.redis.cluster must be false";
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
