/**
 * The self-hosted server: one engine in one process, with a listener for WebSocket and Connect, one for
 * gRPC, and one for operators. It starts whole or not at all, and stops without losing what it has
 * acknowledged.
 */
import type { Server as NetServer } from "node:net";
import { Authentication } from "../auth/authentication.ts";
import type { RedisLifecycleTerms } from "../brokers/redis/lifecycle/outbox.ts";
import { boundedLogger } from "../engine/bounded-logger.ts";
import { Engine } from "../engine/engine.ts";
import type { Backends } from "../engine/ports/backends.ts";
import type { Broker } from "../engine/ports/broker.ts";
import type { Logger } from "../engine/ports/platform.ts";
import { SettingsError } from "../engine/settings/settings.ts";
import type { HookTargets } from "../hooks/hooks.ts";
import { MemoryOutbox } from "../hooks/memory-outbox.ts";
import type { NodeState } from "../http/api/nodes.ts";
import { fetchBytes } from "../http/fetch-bytes.ts";
import { renderMetrics } from "../http/metrics/metrics.ts";
import type { ProcessFacts } from "../http/metrics/process.ts";
import { DISCONNECTS } from "../protocol/codes.ts";
import { over } from "../proxy/configured.ts";
import { NetworkBackends } from "./backends/backends.ts";
import { ServerHooks } from "./backends/hooks.ts";
import { CAPABILITIES } from "./capabilities.ts";
import { parseConfig, type ServerConfig } from "./config/config.ts";
import { Doors } from "./doors/doors.ts";
import { flush, givenBroker, type HostedBroker, hostedBroker } from "./hosted-broker.ts";
import { lostLines } from "./log-output.ts";
import { LoopLag } from "./loop-lag.ts";
import { hmac, nextTurn, random, shortId, timers } from "./platform.ts";
import { uncaughtErrors } from "./process-errors.ts";
import { ServerClock } from "./server-clock.ts";
import { SilenceWatch } from "./silence-watch.ts";
import { StartError } from "./start-error.ts";
import { ServerTracing } from "./tracing/tracing.ts";
import type { ThreadCounts } from "./transport/connections.ts";
import { type Listener, listen } from "./transport/listeners.ts";
import { VERSION } from "./version.ts";

/** Clients of a server that stops come back within this time, spread evenly, in milliseconds. */
const RETURN_SPREAD_MS = 5_000;
/** How often a server that stops looks whether everybody has gone, in milliseconds. */
const DRAIN_LOOK_MS = 20;
/** How long a server that stops waits for clients that have been sent everything, in milliseconds. */
const FAREWELL_MS = 2_000;
/** How long the last bytes of HTTP/2 connections may take after their streams, in milliseconds. */
const LAST_BYTES_MS = 200;
/** Connections that a listener has beside those that count, such as ones that are refused. */
const SPARE_CONNECTIONS = 1_000;

/** The listeners of a server, as errors name them. */
export const LISTENERS = {
  websocket: "the WebSocket listener",
  grpc: "the gRPC listener",
  http: "the admin listener",
} as const;
export type Door = keyof typeof LISTENERS;

/** Connections that a listener takes; one more is cut at once. */
export function mostConnections({ maxConnections }: Pick<ServerConfig, "maxConnections">): number {
  return 2 * maxConnections + SPARE_CONNECTIONS;
}

export interface ServerOptions {
  /** Default: everything at its default. */
  readonly config?: ServerConfig;
  /** Default: the one that the configuration asks for, which is one in memory. */
  readonly broker?: Broker;
  /** The application's backends as functions; what they leave out is as the configuration says. Default none. */
  readonly backends?: Backends;
  /** The backends to which lifecycle events are reported. Default: those that the configuration names, which are none. */
  readonly hooks?: HookTargets;
  /** Of each kind of warning and info it gets a bounded number, see docs/operations.md. Default: none. */
  readonly logger?: Logger;
}

/** Ports that a running server listens on. */
export interface ServerPorts {
  readonly websocket: number;
  readonly grpc: number;
  readonly http: number;
}

export interface Server {
  readonly engine: Engine;
  /** WebSockets and streams that have not ended, those that are being closed included. */
  readonly connections: number;
  /**
   * Opens every listener.
   *
   * @throws StartError with one sentence when one cannot be opened; then none is.
   */
  start(): Promise<ServerPorts>;
  /**
   * Accepts nothing more, delivers what is acknowledged, closes clients with 3512, which asks them to come back, and ends
   * when all have gone or the drain timeout is over. Any further call waits for the first.
   */
  stop(): Promise<void>;
}

const SILENT: Logger = { warn: () => {} };

/** What a server is given that is one of the threads of a process. */
export interface ThreadParts {
  /** Names it among all nodes. */
  readonly node: string;
  /** Undefined where the threads have none of their own. */
  readonly broker: HostedBroker | undefined;
  /** Takes what a listener answers with in the place of its address. */
  adopt(server: NetServer, door: Door): Listener;
  /** Whether the other threads are well. */
  well(): boolean;
  /** What each has of connections and sessions. */
  readonly counts: ThreadCounts;
  /** All of them as one node. */
  process(): Promise<NodeState>;
  /** Metrics of all of them. */
  metrics(): Promise<string>;
  /** All of them one by one. */
  nodes(): Promise<readonly NodeState[]>;
}

/**
 * A self-hosted server. It listens from `start` on.
 *
 * @example
 * const server = createServer({ config: await loadConfig({ env: process.env }), logger: createLogger("info") });
 * const { websocket } = await server.start();
 * process.once("SIGTERM", () => void server.stop());
 */
export function createServer(options: ServerOptions = {}): Server {
  return new NodeServer(options);
}

export class NodeServer implements Server {
  readonly engine: Engine;
  readonly #config: ServerConfig;
  readonly #broker: HostedBroker;
  readonly #network: NetworkBackends;
  readonly #authentication: Authentication;
  /** Undefined where no backend takes lifecycle events. */
  readonly #hooks: ServerHooks | undefined;
  /** Undefined where nothing is traced. */
  readonly #tracing: ServerTracing | undefined;
  readonly #doors: Doors;
  readonly #silence: SilenceWatch;
  readonly #logger: Logger;
  /** A session's id names the process that has it. */
  #node: string;
  #listeners: Listener[] = [];
  #websocket: Listener | undefined;
  #grpc: Listener | undefined;
  /** Health and metrics stay open until the last client has gone. */
  #admin: Listener | undefined;
  readonly #lag = new LoopLag();
  /** As it was when the node was looked at last. */
  #busyBefore = performance.eventLoopUtilization();
  readonly #clock = new ServerClock();
  readonly #thread: ThreadParts | undefined;
  #ready = false;
  #stopping: Promise<void> | undefined;

  /** @param thread where it is one of several threads. Default it has the process to itself */
  constructor(
    {
      config = parseConfig({}),
      broker,
      backends = {},
      hooks,
      logger: unbounded = SILENT,
    }: ServerOptions,
    thread?: ThreadParts,
  ) {
    const logger = boundedLogger(unbounded, this.#clock);
    this.#config = config;
    this.#logger = logger;
    this.#thread = thread;
    this.#node = thread?.node ?? shortId();
    const { auth, settings } = config;
    const platform = { clock: this.#clock, logger, fetchBytes, hmac };
    this.#network = new NetworkBackends(config.proxy, {
      clock: this.#clock,
      timers,
      random,
      hmac,
      logger,
    });
    const application = over(backends, this.#network.backends);
    this.#authentication = new Authentication(auth, platform, application);
    const configured = this.#network.hooks.kinds.size > 0 ? this.#network.hooks : undefined;
    const targets = hooks ?? configured;
    this.#broker =
      broker === undefined
        ? (thread?.broker ??
          hostedBroker(config, logger, this.#node, targets && this.#lifecycleOf(targets)))
        : givenBroker(broker);
    // An id that names another process than its own would send calls astray.
    this.#node = this.#broker.broker.cluster?.node ?? this.#node;
    const { outbox } = this.#broker;
    const capabilities = {
      ...CAPABILITIES,
      keepsLifecycleEvents: outbox !== undefined,
      keepsRevocations: this.#broker.broker.revocations?.durable === true,
    };
    if (targets !== undefined) {
      const host = { capabilities, clock: this.#clock, logger };
      this.#hooks = new ServerHooks(targets, outbox ?? new MemoryOutbox(), host);
    }
    if (config.tracing !== undefined) {
      this.#tracing = new ServerTracing(config.tracing, { clock: this.#clock, logger });
    }
    this.engine = new Engine({
      broker: this.#broker.broker,
      clock: this.#clock,
      random,
      timers,
      nextTurn,
      logger,
      lookBy: (at) => this.#silence.lookBy(at),
      capabilities,
      backends: this.#authentication.backends,
      lifecycle:
        this.#hooks && (this.#broker.heard?.(this.#hooks.lifecycle) ?? this.#hooks.lifecycle),
      tracer: this.#tracing,
      settings,
    });
    if (thread === undefined && config.workers !== 1) {
      logger.warn("server.workers does nothing: threads are for messageloop serve");
    }
    if (settings.maxUserConnections > 0 && this.#broker.broker.directory === undefined) {
      logger.warn("limits.connections_per_user does nothing: the broker has no directory");
    }
    this.#silence = new SilenceWatch(this.engine, logger);
    this.#doors = new Doors({
      config,
      engine: this.engine,
      clock: this.#clock,
      logger,
      sessionId: () => `${this.#node}.${random.uuid()}`,
      locates:
        this.#authentication.backends.authenticate !== undefined || logger.debug !== undefined,
      open: () => this.#ready,
      ready: () => this.#isReady,
      nodes: {
        node: thread?.process ?? (() => this.#state()),
        nodes: thread?.nodes ?? (async () => [this.#state()]),
      },
      threads: thread?.counts,
    });
  }

  /** What the broker is to keep of lifecycle events. */
  #lifecycleOf({ kinds }: HookTargets): RedisLifecycleTerms {
    const lost = (ids: readonly string[]): void => {
      for (const id of ids) this.engine.session(id)?.close(DISCONNECTS.goingAway);
    };
    return { kinds, random, lost };
  }

  get connections(): number {
    return this.#doors.connections.size;
  }

  /** What the ids of its sessions begin with. */
  get node(): string {
    return this.#node;
  }

  async start(): Promise<ServerPorts> {
    const { websocket, grpc, http, proxy } = this.#config;
    for (const warning of proxy.warnings) this.#logger.warn(warning);
    try {
      await this.#prepareAuthentication();
      await this.#tracing?.open();
      await this.#broker.open();
      const metrics = (): string => renderMetrics(this.engine.stats(), this.facts());
      const operations = await this.#doors.operations(this.#thread?.metrics ?? metrics);
      this.#admin = await this.#listen(operations, http, "http");
      this.#grpc = await this.#listen(await this.#doors.streams(), grpc, "grpc");
      this.#listeners.push(this.#grpc);
      const clients = await this.#doors.clients();
      this.#websocket = await this.#listen(clients, websocket, "websocket");
      this.#listeners.push(this.#websocket);
      this.#ready = true;
      this.#lag.start();
      this.#clock.start();
      this.#silence.start();
      return {
        http: this.#admin.port,
        grpc: this.#grpc.port,
        websocket: this.#websocket.port,
      };
    } catch (error) {
      await Promise.all([this.#close(), this.#closeAdmin(), this.#broker.close()]);
      await this.#tracing?.close();
      throw error;
    }
  }

  async #prepareAuthentication(): Promise<void> {
    try {
      await this.#authentication.prepare();
    } catch (error) {
      throw error instanceof SettingsError ? new StartError(error.message) : error;
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#ready = false;
    this.#silence.stop();
    this.#clock.stop();
    this.#lag.stop();
    this.#doors.health.end();
    const closed = this.#close();
    const { drainTimeoutMs } = this.#config;
    const flushing = flush(this.#broker.broker, this.#logger, drainTimeoutMs);
    // What is handed over at once leaves no time for another publish before the farewell.
    if (flushing !== undefined) await flushing;
    for (const session of this.engine.sessions()) {
      session.close(DISCONNECTS.goingAway, Math.floor(Math.random() * RETURN_SPREAD_MS));
    }
    // A session ends before its last message has left, so connections are what counts.
    await this.#drained(() => this.#doors.size, drainTimeoutMs);
    await this.#drained(() => this.#grpc?.connections ?? 0, LAST_BYTES_MS);
    this.#doors.cut();
    for (const listener of this.#listeners) listener.destroy();
    await closed;
    await this.#hooks?.end(drainTimeoutMs);
    await Promise.all([this.#network.close(), this.#broker.close()]);
    await this.#tracing?.close();
    await this.#closeAdmin();
  }

  /** Resolves when nothing is left, or the time is over. */
  async #drained(left: () => number, ms: number): Promise<void> {
    const began = performance.now();
    while (left() > 0 && performance.now() - began < ms) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
      if (performance.now() - began > FAREWELL_MS) this.#doors.cutFlushed();
    }
  }

  async #close(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
  }

  async #closeAdmin(): Promise<void> {
    const closed = this.#admin?.close();
    this.#admin?.destroy();
    await closed;
  }

  get #isReady(): boolean {
    return this.#ready && (this.#broker.broker.ready ?? true) && (this.#thread?.well() ?? true);
  }

  /** The node at this moment. */
  #state(): NodeState {
    const { connections, lag, memory, uptimeSeconds } = this.facts();
    const now = performance.eventLoopUtilization();
    const { utilization: busy } = performance.eventLoopUtilization(now, this.#busyBefore);
    this.#busyBefore = now;
    return {
      name: this.#node,
      stats: this.engine.stats(),
      facts: { uptimeSeconds, connections, memoryBytes: memory.resident, lag, busy },
      incidents: this.engine.counters.incidents.latest(),
    };
  }

  /** What metrics say about the process itself. */
  facts(): ProcessFacts {
    const { rss, heapTotal, external } = process.memoryUsage();
    return {
      version: VERSION,
      host: CAPABILITIES.name,
      uptimeSeconds: process.uptime(),
      connections: this.connections,
      sockets: {
        websocket: this.#websocket?.connections ?? 0,
        grpc: this.#grpc?.connections ?? 0,
        http: this.#admin?.connections ?? 0,
      },
      lag: this.#lag.stats(),
      memory: { resident: rss, heap: heapTotal, external },
      uncaught: uncaughtErrors,
      logLinesLost: lostLines(),
      apiCalls: this.#doors.api.calls,
      redis: this.#broker.redis(),
      backends: this.#network.stats(),
    };
  }

  async #listen(server: NetServer, config: ServerConfig["http"], door: Door): Promise<Listener> {
    if (this.#thread !== undefined) return this.#thread.adopt(server, door);
    const maxConnections = mostConnections(this.#config);
    return await listen(server, config, LISTENERS[door], { maxConnections, logger: this.#logger });
  }
}
