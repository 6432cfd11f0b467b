/**
 * The self-hosted server: one engine in one process, with a listener for WebSocket and Connect, one for
 * gRPC, and one for operators. It starts whole or not at all, and stops without losing what it has
 * acknowledged.
 */
import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { getRequestListener, type Http2Bindings, type HttpBindings } from "@hono/node-server";
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
import { apiRoutes } from "../http/api/routes.ts";
import { ApiService } from "../http/api/service.ts";
import { UnaryApi } from "../http/api/unary.ts";
import { createApp } from "../http/app.ts";
import type { ChannelDoor, ChannelDoors } from "../http/channel-doors.ts";
import { type AdmittedEvents, EventsDoor } from "../http/events/door.ts";
import { fetchBytes } from "../http/fetch-bytes.ts";
import { Keys } from "../http/keys/keys.ts";
import type { ProcessFacts } from "../http/metrics-process.ts";
import { createOperationsApp } from "../http/operations.ts";
import { Tickets } from "../http/tickets/tickets.ts";
import { DISCONNECTS } from "../protocol/codes.ts";
import { Health } from "../protocol/gen/grpc/health/v1/health_pb.js";
import { APIService } from "../protocol/gen/messageloop/server/v1/api_pb.js";
import { MessagingService } from "../protocol/gen/messageloop/v1/service_pb.js";
import { over } from "../proxy/configured.ts";
import { ApiCalls } from "./api/calls.ts";
import { cloudEventsDoor } from "./api/cloudevents.ts";
import { sha256 } from "./api/keys.ts";
import { NetworkBackends } from "./backends/backends.ts";
import { ServerHooks } from "./backends/hooks.ts";
import { CAPABILITIES } from "./capabilities.ts";
import { parseConfig, type ServerConfig } from "./config/config.ts";
import { HealthService } from "./grpc/health.ts";
import { ReflectionService } from "./grpc/reflection.ts";
import { flush, givenBroker, type HostedBroker, hostedBroker } from "./hosted-broker.ts";
import { lostLines } from "./log-output.ts";
import { LoopLag } from "./loop-lag.ts";
import { pageAt } from "./page.ts";
import { hmac, nextTurn, random, shortId, timers } from "./platform.ts";
import { uncaughtErrors } from "./process-errors.ts";
import { ServerClock } from "./server-clock.ts";
import { SilenceWatch } from "./silence-watch.ts";
import { StartError } from "./start-error.ts";
import { callsHandler } from "./transport/calls.ts";
import { TrustedProxies } from "./transport/client-address.ts";
import { Connections } from "./transport/connections.ts";
import { EventStreams } from "./transport/events/event-streams.ts";
import { http2Server, httpServer, type Listener, listen } from "./transport/listeners.ts";
import { Sockets } from "./transport/sockets.ts";
import { remember } from "./transport/streams/lines.ts";
import { messageLoopRoutes } from "./transport/streams/message-loop.ts";
import { openRoutes } from "./transport/streams/streaming.ts";
import {
  pathOf,
  refuse,
  serveWithoutUpgrade,
  shouldUpgrade,
  toOriginForm,
} from "./transport/upgrades.ts";
import { VERSION } from "./version.ts";

/** Clients of a server that stops come back within this time, spread evenly, in milliseconds. */
const RETURN_SPREAD_MS = 5_000;
/** How often a server that stops looks whether everybody has gone, in milliseconds. */
const DRAIN_LOOK_MS = 20;
/** How long a server that stops waits for clients that have been sent everything, in milliseconds. */
const FAREWELL_MS = 2_000;
/** How long the last bytes of HTTP/2 connections may take after their streams, in milliseconds. */
const LAST_BYTES_MS = 200;
/** The listener takes what is left of a request. */
const HTTP1_OPTIONS = { autoCleanupIncoming: false };
/** Connections that a listener has beside those that count, such as ones that are refused. */
const SPARE_CONNECTIONS = 1_000;

export interface ServerOptions {
  /** Default: everything at its default. */
  readonly config?: ServerConfig;
  /** Default: the one that the configuration asks for, which is one in memory. */
  readonly broker?: Broker;
  /** The application's backends as functions; what they leave out is as the configuration says. Default none. */
  readonly backends?: Backends;
  /** Who is told of lifecycle events. Default: whom the configuration names, which is nobody. */
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
   * Accepts nothing more, delivers what is acknowledged, tells clients with 3512 to come back, and ends
   * when all have gone or the drain timeout is over. Any further call waits for the first.
   */
  stop(): Promise<void>;
}

type Routes = (router: ConnectRouter) => void;

function together(routes: readonly Routes[]): Routes {
  return (router) => {
    for (const add of routes) add(router);
  };
}

const SILENT: Logger = { warn: () => {} };

export function createServer(options: ServerOptions = {}): Server {
  return new NodeServer(options);
}

class NodeServer implements Server {
  readonly engine: Engine;
  readonly #config: ServerConfig;
  readonly #broker: HostedBroker;
  readonly #network: NetworkBackends;
  readonly #sockets: Sockets;
  readonly #eventsDoor: EventsDoor;
  readonly #eventStreams: EventStreams;
  readonly #connections: Connections;
  readonly #proxies: TrustedProxies;
  readonly #keys: Keys;
  readonly #tickets: Tickets;
  readonly #authentication: Authentication;
  /** Undefined where nobody is told of lifecycle events. */
  readonly #hooks: ServerHooks | undefined;
  readonly #api: ApiService;
  readonly #apiCalls: ApiCalls;
  readonly #health: HealthService;
  readonly #silence: SilenceWatch;
  readonly #logger: Logger;
  /** A session's id names the process that has it. */
  #node = shortId();
  #listeners: Listener[] = [];
  #websocket: Listener | undefined;
  #grpc: Listener | undefined;
  /** Health and metrics stay open until the last client has gone. */
  #admin: Listener | undefined;
  readonly #lag = new LoopLag();
  readonly #clock = new ServerClock();
  #ready = false;
  #stopping: Promise<void> | undefined;

  constructor({
    config = parseConfig({}),
    broker,
    backends = {},
    hooks,
    logger: unbounded = SILENT,
  }: ServerOptions) {
    const logger = boundedLogger(unbounded, this.#clock);
    this.#config = config;
    this.#logger = logger;
    this.#connections = new Connections(config.maxConnections);
    this.#proxies = new TrustedProxies(config.trustedProxies);
    this.#health = new HealthService(
      () => this.#isReady,
      this.#services.map(({ typeName }) => typeName),
    );
    const { keys, ticketKeys } = config.api;
    this.#keys = new Keys({ entries: keys, sha256, clock: this.#clock, logger });
    this.#tickets = new Tickets({ keys: ticketKeys, hmac, clock: this.#clock });
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
        ? hostedBroker(config, logger, this.#node, targets && this.#lifecycleOf(targets))
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
      lifecycle: this.#hooks?.lifecycle,
      settings,
    });
    if (settings.maxUserConnections > 0 && this.#broker.broker.directory === undefined) {
      logger.warn("limits.connections_per_user does nothing: the broker has no directory");
    }
    this.#silence = new SilenceWatch(this.engine, logger);
    this.#api = new ApiService({ keys: this.#keys, tickets: this.#tickets, logger });
    this.#apiCalls = new ApiCalls({
      api: new UnaryApi(this.#api),
      engine: this.engine,
      proxies: this.#proxies,
      logger,
    });
    this.#sockets = new Sockets({
      engine: this.engine,
      connections: this.#connections,
      maxQueueBytes: config.maxQueueBytes,
      handshake: config.websocket,
      proxies: this.#proxies,
      logger,
      sessionId: () => this.#sessionId(),
    });
    this.#eventsDoor = new EventsDoor({
      keys: this.#keys,
      tickets: this.#tickets,
      authorizer: this.engine.authorizer,
      rules: config.websocket,
      subscribes: !settings.disabledMessages.includes("subscribe"),
      logger,
      random: Math.random,
    });
    this.#eventStreams = new EventStreams({
      engine: this.engine,
      connections: this.#connections,
      maxQueueBytes: config.maxQueueBytes,
      stream: config.stream,
      logger,
      sessionId: () => this.#sessionId(),
      ready: () => this.#ready,
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
    return this.#connections.size;
  }

  async start(): Promise<ServerPorts> {
    const { websocket, grpc, http, proxy } = this.#config;
    for (const warning of proxy.warnings) this.#logger.warn(warning);
    try {
      await this.#prepareAuthentication();
      await this.#broker.open();
      const ports = {
        http: await this.#operations(http),
        grpc: await this.#streams(grpc),
        websocket: await this.#clients(websocket),
      };
      this.#ready = true;
      this.#lag.start();
      this.#clock.start();
      this.#silence.start();
      return ports;
    } catch (error) {
      await Promise.all([this.#close(), this.#closeAdmin(), this.#broker.close()]);
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
    this.#health.end();
    const closed = this.#close();
    const { drainTimeoutMs } = this.#config;
    const flushing = flush(this.#broker.broker, this.#logger, drainTimeoutMs);
    // What is handed over at once leaves no time for another publish before the farewell.
    if (flushing !== undefined) await flushing;
    for (const session of this.engine.sessions()) {
      session.close(DISCONNECTS.goingAway, Math.floor(Math.random() * RETURN_SPREAD_MS));
    }
    // A session ends before its last message has left, so connections are what counts.
    await this.#drained(() => this.#connections.size + this.#apiCalls.size, drainTimeoutMs);
    await this.#drained(() => this.#grpc?.connections ?? 0, LAST_BYTES_MS);
    this.#sockets.terminate();
    this.#eventStreams.destroy();
    for (const listener of this.#listeners) listener.destroy();
    await closed;
    await this.#hooks?.end(drainTimeoutMs);
    await Promise.all([this.#network.close(), this.#broker.close()]);
    await this.#closeAdmin();
  }

  /** Resolves when nothing is left, or the time is over. */
  async #drained(left: () => number, ms: number): Promise<void> {
    const began = performance.now();
    while (left() > 0 && performance.now() - began < ms) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
      if (performance.now() - began > FAREWELL_MS) {
        this.#sockets.terminateFlushed();
        this.#eventStreams.destroyFlushed();
      }
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

  /** WebSocket, Connect over HTTP/1.1, and the page. */
  async #clients(config: ServerConfig["websocket"]): Promise<number> {
    const { path } = config;
    const api = this.#config.api.public;
    const app = createApp({
      path,
      handshake: config,
      api,
      channels: this.#channels(),
      fallback: pageAt(path),
    });
    const page = getRequestListener(app.fetch, HTTP1_OPTIONS);
    const calls = this.#calls(this.#routes(), page);
    const server = await httpServer(config.tls, (request, response) => {
      toOriginForm(request);
      remember(request, response);
      if (api && this.#apiCalls.take(request, response)) return;
      calls(request, response);
    });
    server.on("upgrade", (request, socket, head) => {
      if (!shouldUpgrade(request)) {
        serveWithoutUpgrade(server, request, socket, head);
        return;
      }
      toOriginForm(request);
      // Not as a URL: what stands in a request line need not be one.
      if (pathOf(request) === path) this.#sockets.upgrade(request, socket, head);
      else refuse(socket, 404, "Not Found");
    });
    const port = await this.#open(server, config, "the WebSocket listener");
    this.#websocket = this.#listeners.at(-1);
    return port;
  }

  /** gRPC, gRPC-Web and Connect over HTTP/2. */
  async #streams(config: ServerConfig["grpc"]): Promise<number> {
    const app = getRequestListener(createApp({ channels: this.#channels() }).fetch);
    const { reflection } = this.#config.api;
    const routes = [
      this.#routes(),
      this.#health.routes,
      ...(reflection ? [new ReflectionService([...this.#services, Health]).routes] : []),
    ];
    const server = await http2Server(config.tls, this.#calls(together(routes), app));
    const port = await this.#open(server, config, "the gRPC listener");
    this.#grpc = this.#listeners.at(-1);
    return port;
  }

  /** What listeners for clients have below `/channels/`. */
  #channels(): ChannelDoors {
    return {
      ...(this.#config.api.public ? { publish: this.#cloudEvents() } : {}),
      events: async (request, path, env) => {
        const { incoming, outgoing } = env as HttpBindings | Http2Bindings;
        const peer = this.#proxies.peerOf(incoming);
        const open = (events: AdmittedEvents) => this.#eventStreams.open(events, outgoing);
        return await this.#eventsDoor.answer(request, path, peer, open);
      },
    };
  }

  #cloudEvents(): ChannelDoor {
    return cloudEventsDoor({
      engine: this.engine,
      keys: this.#keys,
      calls: this.#apiCalls,
      proxies: this.#proxies,
    });
  }

  /** Health, metrics, and what is for other servers: the API and CloudEvents. */
  async #operations(config: ServerConfig["http"]): Promise<number> {
    const app = createOperationsApp({
      ready: () => this.#isReady,
      stats: () => this.engine.stats(),
      facts: () => this.#facts(),
      channels: { publish: this.#cloudEvents() },
    });
    const calls = this.#calls(this.#apiRoutes(), getRequestListener(app.fetch, HTTP1_OPTIONS));
    const server = await httpServer(config.tls, (request, response) => {
      remember(request, response);
      if (!this.#apiCalls.take(request, response)) calls(request, response);
    });
    this.#admin = await this.#listen(server, config, "the admin listener");
    return this.#admin.port;
  }

  get #isReady(): boolean {
    return this.#ready && (this.#broker.broker.ready ?? true);
  }

  /** What the ports for clients have. */
  get #services(): readonly DescService[] {
    return [MessagingService, ...(this.#config.api.public ? [APIService] : [])];
  }

  #facts(): ProcessFacts {
    const { rss, heapTotal, external } = process.memoryUsage();
    return {
      version: VERSION,
      host: CAPABILITIES.name,
      uptimeSeconds: process.uptime(),
      connections: this.#connections.size,
      sockets: {
        websocket: this.#websocket?.connections ?? 0,
        grpc: this.#grpc?.connections ?? 0,
        http: this.#admin?.connections ?? 0,
      },
      lag: this.#lag.stats(),
      memory: { resident: rss, heap: heapTotal, external },
      uncaught: uncaughtErrors,
      logLinesLost: lostLines(),
      apiCalls: this.#api.calls,
      redis: this.#broker.redis(),
      backends: this.#network.stats(),
    };
  }

  async #open(
    server: Parameters<typeof listen>[0],
    config: ServerConfig["http"],
    what: string,
  ): Promise<number> {
    const listener = await this.#listen(server, config, what);
    this.#listeners.push(listener);
    return listener.port;
  }

  #listen(
    server: Parameters<typeof listen>[0],
    config: ServerConfig["http"],
    what: string,
  ): Promise<Listener> {
    const maxConnections = 2 * this.#connections.limit + SPARE_CONNECTIONS;
    return listen(server, config, what, { maxConnections, logger: this.#logger });
  }

  /** What a listener answers: calls of these routes, and the rest by another handler. */
  #calls(routes: Routes, rest: ReturnType<typeof getRequestListener>) {
    return callsHandler({ routes, proxies: this.#proxies, logger: this.#logger, rest });
  }

  /** The server API. */
  #apiRoutes(): Routes {
    const interceptors = [this.#apiCalls.patience];
    return apiRoutes({ service: this.#api, engine: () => this.engine, interceptors });
  }

  /** The sessions that are calls, and the server API where clients' ports have it. */
  #routes(): Routes {
    const { api, maxQueueBytes, stream, websocket } = this.#config;
    const options = {
      engine: this.engine,
      connections: this.#connections,
      maxQueueBytes,
      clock: this.#clock,
      random,
      logger: this.#logger,
      sessionId: () => this.#sessionId(),
    };
    const routes = [
      messageLoopRoutes(options),
      openRoutes({ ...options, ...stream, origins: websocket }),
      ...(api.public ? [this.#apiRoutes()] : []),
    ];
    return together(routes);
  }

  #sessionId(): string {
    return `${this.#node}.${random.uuid()}`;
  }
}
