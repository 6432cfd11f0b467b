/**
 * The broker of a self-hosted server and what the server has to do for it: open it before there are
 * clients, look after it meanwhile, and close it when they have gone.
 */
import { readFile } from "node:fs/promises";
import { setTimeout } from "node:timers/promises";
import { MemoryBroker } from "../brokers/memory/broker.ts";
import { RedisBroker } from "../brokers/redis/broker.ts";
import type { RedisLifecycleTerms } from "../brokers/redis/lifecycle/outbox.ts";
import type { RuleBook } from "../channels/rules.ts";
import type { RedisConfig } from "../config/redis.ts";
import { errorText } from "../engine/error-text.ts";
import type { Broker } from "../engine/ports/broker.ts";
import type { Lifecycle } from "../engine/ports/lifecycle.ts";
import type { Logger } from "../engine/ports/platform.ts";
import type { Outbox } from "../hooks/outbox.ts";
import type { RedisFacts } from "../http/metrics/process.ts";
import type { ServerConfig } from "./config/config.ts";
import { clock, idleTimers, nextTurn, shortId } from "./platform.ts";
import type { OpenRedis } from "./redis/client.ts";
import { HmacSigner } from "./redis/signer.ts";
import { RedisWatch } from "./redis/watch.ts";
import { StartError } from "./start-error.ts";

export interface HostedBroker {
  readonly broker: Broker;
  /** Where lifecycle events outlive the process; undefined where they do not. */
  readonly outbox: Outbox | undefined;
  /** @throws StartError with one sentence where it cannot be had */
  open(): Promise<void>;
  /** What the engine reports to, where the broker reports of channels by itself. */
  heard?(lifecycle: Lifecycle): Lifecycle;
  /** How Redis is, where channels are kept there. */
  redis(): RedisFacts | undefined;
  close(): Promise<void>;
}

type BrokerConfig = Pick<ServerConfig, "api" | "redis" | "settings" | "maxRetainedBytes">;

/** Whether users are found and channels are listed: nothing else asks which sessions a user has, or how many. */
export function keepsDirectory({ api, settings }: Pick<ServerConfig, "api" | "settings">): boolean {
  return api.keys.length > 0 || settings.maxUserConnections > 0;
}

/**
 * The broker that a configuration asks for.
 *
 * @param node names this process among those that share a broker
 * @param lifecycle where lifecycle events are reported; undefined for nothing
 */
export function hostedBroker(
  { api, redis, settings, maxRetainedBytes }: BrokerConfig,
  logger: Logger,
  node: string,
  lifecycle?: RedisLifecycleTerms,
): HostedBroker {
  const { rules, maxChannels } = settings;
  if (redis !== undefined) {
    const directory = keepsDirectory({ api, settings });
    const options = { config: redis, rules, logger, node, lifecycle };
    return new HostedRedis({ ...options, keepsDirectory: directory });
  }
  const time = { clock, nextTurn, timers: idleTimers };
  const bounds = { maxChannels, maxRetainedBytes };
  return givenBroker(new MemoryBroker({ ...time, ...bounds, random: { epoch: shortId }, rules }));
}

/** A broker that needs not be opened: the one in memory, or one that a program brings and closes. */
export function givenBroker(broker: Broker): HostedBroker {
  return {
    broker,
    outbox: undefined,
    open: async () => {},
    redis: () => undefined,
    close: async () => {},
  };
}

/**
 * Has a broker hand over what waits, and waits for it no longer than `timeoutMs`. A program's own broker may
 * fail: that is a line in the log, and the server stops all the same.
 */
export function flush(
  broker: Broker,
  logger: Logger,
  timeoutMs: number,
): Promise<void> | undefined {
  try {
    const flushing = broker.flush?.();
    if (flushing === undefined) return undefined;
    const late = setTimeout(timeoutMs, undefined, { ref: false });
    return Promise.race([flushing, late]).catch((error: unknown) => failed(logger, "flush", error));
  } catch (error) {
    failed(logger, "flush", error);
    return undefined;
  }
}

/** Has a broker forget what is not needed. One that fails keeps no silent session from being found. */
export function sweep(broker: Broker, logger: Logger): void {
  try {
    broker.sweep?.();
  } catch (error) {
    failed(logger, "sweep", error);
  }
}

function failed(logger: Logger, what: string, error: unknown): void {
  logger.warn("the broker failed", { what, error: errorText(error) });
}

interface HostedRedisOptions {
  readonly config: RedisConfig;
  readonly rules: RuleBook;
  readonly keepsDirectory: boolean;
  readonly logger: Logger;
  readonly node: string;
  readonly lifecycle: RedisLifecycleTerms | undefined;
}

class HostedRedis implements HostedBroker {
  readonly broker: RedisBroker;
  readonly #config: RedisConfig;
  readonly #logger: Logger;
  #connection: OpenRedis | undefined;
  readonly #watch: RedisWatch;

  constructor({ config, rules, keepsDirectory, logger, node, lifecycle }: HostedRedisOptions) {
    const { prefix, durable, nodeSecret } = config;
    this.#config = config;
    this.#logger = logger;
    this.broker = new RedisBroker({
      clock,
      timers: idleTimers,
      random: { epoch: shortId },
      node,
      signer: nodeSecret === undefined ? undefined : new HmacSigner(nodeSecret),
      nextTurn,
      logger,
      rules,
      prefix,
      durable,
      keepsDirectory,
      lifecycle,
      onReady: (_, cause) => this.#watch.look(cause),
    });
    this.#watch = new RedisWatch({
      ready: () => this.broker.ready,
      stray: () => this.broker.stray,
      address: config.urls.map((url) => new URL(url).host).join(", "),
      logger,
    });
  }

  get outbox(): Outbox | undefined {
    return this.broker.outbox;
  }

  async open(): Promise<void> {
    const connection = await opened(this.#config);
    this.#connection = connection;
    try {
      await this.broker.connect(connection);
    } catch (error) {
      connection.close();
      throw new StartError(
        `Redis cannot be used: ${error instanceof Error ? error.message : error}`,
      );
    }
    this.#watch.start();
    for (const name of this.#config.idle) {
      this.#logger.warn("a setting has no effect", { setting: `broker.redis.${name}` });
    }
  }

  redis(): RedisFacts {
    return this.#watch.facts();
  }

  async close(): Promise<void> {
    this.#watch.stop();
    await this.broker.close();
    this.#connection?.close();
  }
}

/** @throws StartError with one sentence where Redis cannot be used */
async function opened(config: RedisConfig): Promise<OpenRedis> {
  const { allowEviction, urls, cluster, username, password, ca, connectTimeoutMs } = config;
  const address = {
    urls,
    cluster,
    connectTimeoutMs,
    ...(username === "" ? {} : { username }),
    ...(password === "" ? {} : { password }),
    ...(ca === undefined ? {} : { tls: { ca: await authorities(ca) } }),
  };
  // The client is a third of what a start costs, and a broker in memory has no use for it.
  const { openRedis } = await import("./redis/client.ts");
  return await openRedis(address, { allowEviction });
}

async function authorities(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new StartError(`cannot read ${file}: ${(error as NodeJS.ErrnoException).code}`);
  }
}
