/** Commands and scripts of the Redis broker, by node-redis: one server, or a cluster by the key's slot. */
import { createHash } from "node:crypto";
import { ErrorReply, RESP_TYPES, RootNodesUnavailableError } from "redis";
import {
  type RedisArgument,
  type RedisCommands,
  RedisFailure,
  type RedisReply,
  type RedisScript,
} from "../../brokers/redis/ports.ts";
import { made } from "../../channels/maps.ts";
import {
  argumentOf,
  described,
  failureOf,
  firstUrl,
  isMaster,
  newClient,
  newCluster,
  type RedisAddress,
  type RedisClient,
  type RedisClusterClient,
  reconnectPause,
} from "./connections.ts";

/** What is said of a server that a fail-over has turned into a replica; begins as its own errors do. */
const IS_REPLICA = "READONLY the server is a replica";
/** A timeout would only watch over what waits for a connection, and nothing does. */
const OPTIONS = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer }, timeout: 0 };

/** Opens the connections for commands. Rejects with the client's error where that fails. */
export async function openCommands(address: RedisAddress): Promise<NodeRedisCommands> {
  let opened = false;
  let failure: unknown;
  const returns = (): boolean => opened;
  const client = address.cluster
    ? newCluster(address, returns)
    : newClient(address, firstUrl(address), returns);
  client.on("error", (error: unknown) => {
    failure = error;
  });
  try {
    await client.connect();
  } catch (error) {
    client.destroy();
    // Of a cluster it says only that no server of it can be had.
    throw error instanceof RootNodesUnavailableError ? (failure ?? error) : error;
  }
  opened = true;
  return new NodeRedisCommands(address, client);
}

export class NodeRedisCommands implements RedisCommands {
  /** Called when the connection has been made again, to a server that takes writes in place of one that did not. */
  moved: (() => void) | undefined;
  readonly #address: RedisAddress;
  #client: RedisClient | RedisClusterClient;
  readonly #digests = new Map<RedisScript, string>();
  /** Why there is no connection; undefined while there is one. */
  #cause: unknown;
  #leaving = false;
  #closed = false;

  constructor(address: RedisAddress, client: RedisClient | RedisClusterClient) {
    this.#address = address;
    this.#client = client;
    this.#watch(client);
  }

  /** Addresses of the servers of a cluster, as host and port; none where there is only one. */
  servers(): readonly string[] {
    return "slots" in this.#client ? [...this.#client.nodeByAddress.keys()] : [];
  }

  close(): void {
    this.#closed = true;
    // A connection that is being opened survives, and keeps the process alive: it is ended when it is open.
    for (const client of this.#clients()) client.on("connect", () => client.destroy());
    this.#client.destroy();
  }

  async probe(): Promise<void> {
    try {
      if ("slots" in this.#client) await this.each(["PING"]);
      else if (!(await isMaster(this.#client))) throw new RedisFailure("busy", IS_REPLICA);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Sends a command to every server. Rejects with the client's error. */
  async each(args: readonly string[]): Promise<RedisReply[]> {
    return await Promise.all(
      this.#clients().map((client) => client.sendCommand<RedisReply>([...args])),
    );
  }

  async command(key: string, args: readonly RedisArgument[]): Promise<RedisReply> {
    const words = args.map(argumentOf);
    try {
      return await this.#send(key, words);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  async run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<RedisReply> {
    const key = keys[0] ?? "";
    const rest = [`${keys.length}`, ...keys, ...args.map(argumentOf)];
    const words = ["EVALSHA", this.#digest(script), ...rest];
    try {
      return await this.#send(key, words);
    } catch (error) {
      const unknown = error instanceof ErrorReply && error.message.startsWith("NOSCRIPT");
      if (!unknown) throw this.#failure(error);
    }
    // This teaches it to the server as well.
    return await this.command(key, ["EVAL", script.source, ...rest]);
  }

  /** @param key by which a cluster finds the server */
  #send(key: string, words: ReturnType<typeof argumentOf>[]): Promise<RedisReply> {
    const client = this.#client;
    return "slots" in client
      ? client.sendCommand<RedisReply>(key, false, words, OPTIONS)
      : client.sendCommand<RedisReply>(words, OPTIONS);
  }

  #failure(error: unknown): RedisFailure {
    const failure = failureOf(error);
    if (failure.message.startsWith("READONLY")) this.#leave();
    if (failure.kind !== "offline" || this.#cause === undefined) return failure;
    return new RedisFailure("offline", `Redis ${described(this.#cause)}`, error);
  }

  #watch(client: RedisClient | RedisClusterClient): void {
    client.on("error", (error: unknown) => {
      this.#cause = error;
    });
    client.on("ready", () => {
      this.#cause = undefined;
    });
  }

  /** The server has become a replica: its name may lead to the new master by now. */
  #leave(): void {
    const client = this.#client;
    if (this.#leaving || this.#closed || "slots" in client) return;
    this.#leaving = true;
    this.#cause = new Error(IS_REPLICA);
    client.destroy();
    this.#again().catch((error: unknown) => {
      // Reported by the next command.
      this.#cause = error;
    });
  }

  async #again(): Promise<void> {
    for (let tries = 0; !this.#closed; tries++) {
      let adopted = false;
      const client = newClient(this.#address, firstUrl(this.#address), () => adopted);
      this.#watch(client);
      try {
        await client.connect();
        if (!this.#closed && (await isMaster(client))) {
          adopted = true;
          this.#client = client;
          this.#cause = undefined;
          this.#leaving = false;
          this.moved?.();
          return;
        }
        this.#cause = new Error(IS_REPLICA);
      } catch (error) {
        this.#cause = error;
      }
      client.destroy();
      await new Promise((resolve) => setTimeout(resolve, reconnectPause(tries)));
    }
  }

  /** One for each server. */
  #clients() {
    const client = this.#client;
    if (!("slots" in client)) return [client];
    return client.masters.flatMap((master) => (master.client === undefined ? [] : [master.client]));
  }

  #digest(script: RedisScript): string {
    return made(this.#digests, script, () =>
      createHash("sha1").update(script.source).digest("hex"),
    );
  }
}
