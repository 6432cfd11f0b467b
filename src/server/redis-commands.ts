/** Commands and scripts of the Redis broker, by node-redis: one server, or a cluster by the key's slot. */
import { createHash } from "node:crypto";
import { ErrorReply, RESP_TYPES } from "redis";
import type {
  RedisArgument,
  RedisCommands,
  RedisReply,
  RedisScript,
} from "../brokers/redis-ports.ts";
import {
  argumentOf,
  failureOf,
  firstUrl,
  newClient,
  newCluster,
  type RedisAddress,
  type RedisClient,
  type RedisClusterClient,
} from "./redis-connections.ts";

/** Opens the connections for commands. Rejects with the client's error where that fails. */
export async function openCommands(address: RedisAddress): Promise<NodeRedisCommands> {
  let opened = false;
  const returns = (): boolean => opened;
  const client = address.cluster
    ? newCluster(address, returns)
    : newClient(address, firstUrl(address), returns);
  // Each error is told by the command that meets it.
  client.on("error", () => {});
  try {
    await client.connect();
  } catch (error) {
    client.destroy();
    throw error;
  }
  opened = true;
  return new NodeRedisCommands(client);
}

export class NodeRedisCommands implements RedisCommands {
  readonly #client: RedisClient | RedisClusterClient;
  readonly #send: (key: string, args: (string | Buffer)[]) => Promise<RedisReply>;
  readonly #digests = new Map<RedisScript, string>();

  constructor(client: RedisClient | RedisClusterClient) {
    this.#client = client;
    // A timeout would only watch over what waits for a connection, and nothing does.
    const options = { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer }, timeout: 0 };
    this.#send =
      "slots" in client
        ? (key, args) => client.sendCommand<RedisReply>(key, false, args, options)
        : (_, args) => client.sendCommand<RedisReply>(args, options);
  }

  /** Addresses of the servers of a cluster, as host and port; none where there is only one. */
  servers(): readonly string[] {
    return "slots" in this.#client ? [...this.#client.nodeByAddress.keys()] : [];
  }

  close(): void {
    // A connection that is being opened survives, and keeps the process alive: it is ended when it is open.
    for (const client of this.#clients()) client.on("connect", () => client.destroy());
    this.#client.destroy();
  }

  async command(key: string, args: readonly RedisArgument[]): Promise<RedisReply> {
    try {
      return await this.#send(key, args.map(argumentOf));
    } catch (error) {
      throw failureOf(error);
    }
  }

  async run(
    script: RedisScript,
    keys: readonly string[],
    args: readonly RedisArgument[],
  ): Promise<RedisReply> {
    const key = keys[0] ?? "";
    const rest = [`${keys.length}`, ...keys, ...args.map(argumentOf)];
    try {
      return await this.#send(key, ["EVALSHA", this.#digest(script), ...rest]);
    } catch (error) {
      const unknown = error instanceof ErrorReply && error.message.startsWith("NOSCRIPT");
      if (!unknown) throw failureOf(error);
    }
    // This teaches it to the server as well.
    return await this.command(key, ["EVAL", script.source, ...rest]);
  }

  /** One for each server. */
  #clients() {
    const client = this.#client;
    if (!("slots" in client)) return [client];
    return client.masters.flatMap((master) => (master.client === undefined ? [] : [master.client]));
  }

  #digest(script: RedisScript): string {
    let digest = this.#digests.get(script);
    if (digest === undefined) {
      digest = createHash("sha1").update(script.source).digest("hex");
      this.#digests.set(script, digest);
    }
    return digest;
  }
}
