/** The connections of the Redis broker, opened and checked: all of it, or one sentence why not. */
import { StartError } from "../start-error.ts";
import { type NodeRedisCommands, openCommands } from "./commands.ts";
import { described, type RedisAddress } from "./connections.ts";
import { NodeRedisSubscriptions } from "./subscriptions.ts";

/** The oldest Redis that has what the scripts need. */
const MIN_VERSION = 7;

export interface OpenRedis {
  readonly commands: NodeRedisCommands;
  readonly subscriptions: NodeRedisSubscriptions;
  /** Ends both connections. */
  close(): void;
}

export interface RedisTerms {
  /** Redis may forget keys when its memory is full. */
  readonly allowEviction: boolean;
}

/** @throws StartError with one sentence that holds no password */
export async function openRedis(
  address: RedisAddress,
  terms: RedisTerms = { allowEviction: false },
): Promise<OpenRedis> {
  let commands: NodeRedisCommands | undefined;
  try {
    commands = await openCommands(address);
    const problem = await problemOf(commands, address, terms);
    if (problem !== undefined) throw new StartError(`Redis at ${placesOf(address)} ${problem}`);
    const { servers } = commands;
    const subscriptions = new NodeRedisSubscriptions(address, servers.bind(commands));
    await subscriptions.connect();
    commands.moved = () => subscriptions.renew();
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

/** What keeps a server from being used; in a cluster any one of them reports it, but each has its own memory. */
async function problemOf(
  commands: NodeRedisCommands,
  { cluster }: RedisAddress,
  { allowEviction }: RedisTerms,
): Promise<string | undefined> {
  const server = await infoOf(commands, "server");
  // Valkey reports here which Redis it is compatible with.
  const version = server("redis_version");
  if (!(Number.parseInt(version, 10) >= MIN_VERSION)) {
    return `is of version ${version || "nothing"}: ${MIN_VERSION} or newer is needed`;
  }
  if (server("run_id") === "") return "does not tell its run id";
  // Valkey's own name for it.
  const mode = server("redis_mode") || server("server_mode");
  if (mode === "cluster" && !cluster) return "is a cluster: broker.redis.cluster must be true";
  const replication = await infoOf(commands, "replication");
  if (!cluster && replication("role") === "slave") return "is a replica: it takes no writes";
  if (allowEviction) return undefined;
  // Where servers do not report it, it cannot be known: many that are managed forbid CONFIG, and all have INFO.
  const policies = (await commands.each(["INFO", "memory"])).map((info) =>
    fieldOf(String(info), "maxmemory_policy"),
  );
  const evicting = policies.find((policy) => policy !== "" && policy !== "noeviction");
  if (evicting === undefined) return undefined;
  return (
    `may forget messages when its memory is full: its maxmemory-policy is ${evicting} and must be noeviction, ` +
    "or broker.redis.allow_eviction true"
  );
}

/** The fields of a section of what a server says about itself; empty where it does not say. */
async function infoOf(
  commands: NodeRedisCommands,
  section: string,
): Promise<(name: string) => string> {
  const info = String(await commands.command("", ["INFO", section]));
  return (name) => fieldOf(info, name);
}

function fieldOf(info: string, name: string): string {
  return new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
}

/** Host and port of each address. */
function placesOf({ urls }: RedisAddress): string {
  return urls.map((url) => new URL(url).host).join(", ");
}

function reasonOf(error: unknown): string {
  const reason = described(error);
  return /cluster support disabled/i.test(reason)
    ? "is no cluster: broker.redis.cluster must be false"
    : reason;
}
