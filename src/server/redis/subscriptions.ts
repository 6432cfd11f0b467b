/**
 * Pub/Sub of the Redis broker, by node-redis, on a connection of its own. Every connection is a new
 * client: what the old one was subscribed to is the broker's to know, and a cluster's is opened to
 * another server when one is gone.
 */
import {
  RedisFailure,
  type RedisListener,
  type RedisSubscriptions,
} from "../../brokers/redis/ports.ts";
import {
  described,
  failureOf,
  firstUrl,
  isMaster,
  newClient,
  type RedisAddress,
  type RedisClient,
  reconnectPause,
} from "./connections.ts";

export class NodeRedisSubscriptions implements RedisSubscriptions {
  readonly #address: RedisAddress;
  /** Addresses of the servers of a cluster, as host and port. */
  readonly #servers: () => readonly string[];
  #client: RedisClient | undefined;
  #listener: RedisListener | undefined;
  #closed = false;
  #tries = 0;
  readonly #take = (payload: Buffer, topic: Buffer): void => {
    this.#listener?.message(topic.toString(), payload);
  };

  constructor(address: RedisAddress, servers: () => readonly string[]) {
    this.#address = address;
    this.#servers = servers;
  }

  /** Opens the first connection. Rejects with the client's error where that fails. */
  async connect(): Promise<void> {
    const client = newClient(this.#address, this.#url(), () => false);
    let cause: unknown;
    const lost = (error?: unknown): void => {
      cause ??= error;
      client.destroy();
      if (this.#client === client) this.#lose(error);
    };
    client.on("error", lost);
    client.on("end", () => lost());
    try {
      await client.connect();
      if (!this.#address.cluster && !(await isMaster(client))) {
        throw new Error("the server is a replica");
      }
    } catch (error) {
      client.destroy();
      // A client that was ended for an error says only that it was ended.
      throw cause ?? error;
    }
    if (this.#closed) client.destroy();
    else this.#client = client;
  }

  /** Leaves the server for the one that its name leads to now. */
  renew(): void {
    const client = this.#client;
    if (client === undefined) return;
    this.#lose(new Error("the server was left for a new master"));
    client.destroy();
  }

  async ping(): Promise<void> {
    await this.#confirmed((client) => client.ping());
  }

  start(listener: RedisListener): void {
    this.#listener = listener;
  }

  async subscribe(topics: readonly string[]): Promise<void> {
    await this.#confirmed((client) => client.subscribe([...topics], this.#take, true));
  }

  unsubscribe(topics: readonly string[]): void {
    // A connection that is lost meanwhile unsubscribes as well.
    this.#client?.unsubscribe([...topics], this.#take, true).catch(() => {});
  }

  async subscribeGlobs(globs: readonly string[]): Promise<void> {
    await this.#confirmed((client) => client.pSubscribe([...globs], this.#take, true));
  }

  unsubscribeGlobs(globs: readonly string[]): void {
    this.#client?.pUnsubscribe([...globs], this.#take, true).catch(() => {});
  }

  /** @throws RedisFailure */
  async #confirmed(call: (client: RedisClient) => Promise<unknown>): Promise<void> {
    const client = this.#client;
    if (client === undefined) throw new RedisFailure("offline", "there is no connection");
    try {
      await call(client);
    } catch (error) {
      throw failureOf(error);
    }
    if (this.#client !== client) throw new RedisFailure("lost", "the connection was lost");
  }

  close(): void {
    this.#closed = true;
    const client = this.#client;
    this.#client = undefined;
    client?.destroy();
  }

  #lose(error: unknown): void {
    this.#client = undefined;
    this.#listener?.lost(error === undefined ? undefined : `Redis ${described(error)}`);
    this.#again().catch((failure: unknown) => this.#listener?.lost(String(failure)));
  }

  async #again(): Promise<void> {
    for (let tries = 0; !this.#closed; tries++) {
      try {
        await this.connect();
      } catch {
        // Why there is no connection is reported by the commands, which need the same server.
        await new Promise((resolve) => setTimeout(resolve, reconnectPause(tries)));
        continue;
      }
      if (!this.#closed) this.#listener?.regained();
      return;
    }
  }

  /** The servers take turns. */
  #url(): string {
    this.#tries += 1;
    const { urls } = this.#address;
    const servers = this.#servers();
    if (servers.length === 0) return urls[this.#tries % urls.length] ?? firstUrl(this.#address);
    const scheme = firstUrl(this.#address).split("://", 1)[0] ?? "redis";
    return `${scheme}://${servers[this.#tries % servers.length]}`;
  }
}
