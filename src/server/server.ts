/**
 * The self-hosted server: one engine in one process, with a listener for WebSocket and Connect, one for
 * gRPC, and one for operators. It starts whole or not at all, and stops without losing what it has
 * acknowledged.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { getRequestListener } from "@hono/node-server";
import { background } from "../engine/background.ts";
import { Engine } from "../engine/engine.ts";
import type { Backends } from "../engine/ports/backends.ts";
import type { Broker } from "../engine/ports/broker.ts";
import type { Logger } from "../engine/ports/platform.ts";
import { formatDuration } from "../engine/settings/duration.ts";
import { createApp } from "../http/app.ts";
import type { ProcessFacts } from "../http/metrics-process.ts";
import { createOperationsApp } from "../http/operations.ts";
import { DISCONNECTS } from "../protocol/codes.ts";
import { CAPABILITIES } from "./capabilities.ts";
import { parseConfig, type ServerConfig } from "./config/config.ts";
import { flush, givenBroker, type HostedBroker, hostedBroker, sweep } from "./hosted-broker.ts";
import { lostLines } from "./log-output.ts";
import { LoopLag } from "./loop-lag.ts";
import { pageAt } from "./page.ts";
import { nextTurn, random, shortId, timers } from "./platform.ts";
import { uncaughtErrors } from "./process-errors.ts";
import { ServerClock } from "./server-clock.ts";
import { TrustedProxies } from "./transport/client-address.ts";
import { Connections } from "./transport/connections.ts";
import { http2Server, httpServer, type Listener, listen } from "./transport/listeners.ts";
import { Sockets } from "./transport/sockets.ts";
import { peerContext, streamRoutes } from "./transport/streams.ts";
import {
  pathOf,
  refuse,
  serveWithoutUpgrade,
  shouldUpgrade,
  toOriginForm,
} from "./transport/upgrades.ts";
import { VERSION } from "./version.ts";

/** Longest and shortest time between two looks for silent sessions, in milliseconds. */
const SWEEP_MS = 60_000;
const MIN_SWEEP_MS = 250;
/** Clients of a server that stops come back within this time, spread evenly, in milliseconds. */
const RETURN_SPREAD_MS = 5_000;
/** How often a server that stops looks whether everybody has gone, in milliseconds. */
const DRAIN_LOOK_MS = 20;
/** How long a server that stops waits for clients that have been sent everything, in milliseconds. */
const FAREWELL_MS = 2_000;
/** How long the last bytes of HTTP/2 connections may take after their streams, in milliseconds. */
const LAST_BYTES_MS = 200;
/** Below this idle timeout a client may be closed that does all it can, in milliseconds. */
const SAFE_SILENCE_MS = 90_000;
/** Connections that a listener has beside those that count, such as ones that are refused. */
const SPARE_CONNECTIONS = 1_000;

export interface ServerOptions {
  /** Default: everything at its default. */
  readonly config?: ServerConfig;
  /** Default: the one that the configuration asks for, which is one in memory. */
  readonly broker?: Broker;
  /** The application's backends. Default none. */
  readonly backends?: Backends;
  /** Default: none. */
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

const SILENT: Logger = { warn: () => {} };

export function createServer(options: ServerOptions = {}): Server {
  return new NodeServer(options);
}

class NodeServer implements Server {
  readonly engine: Engine;
  readonly #config: ServerConfig;
  readonly #broker: HostedBroker;
  readonly #sockets: Sockets;
  readonly #connections: Connections;
  readonly #proxies: TrustedProxies;
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
  #sweep: NodeJS.Timeout | undefined;
  #expiring: NodeJS.Immediate | undefined;
  #ready = false;
  #stopping: Promise<void> | undefined;

  constructor({ config = parseConfig({}), broker, backends = {}, logger = SILENT }: ServerOptions) {
    this.#config = config;
    this.#logger = logger;
    this.#connections = new Connections(config.maxConnections);
    this.#proxies = new TrustedProxies(config.trustedProxies);
    const { settings } = config;
    this.#broker =
      broker === undefined ? hostedBroker(config, logger, this.#node) : givenBroker(broker);
    // An id that names another process than its own would send calls astray.
    this.#node = this.#broker.broker.cluster?.node ?? this.#node;
    this.engine = new Engine({
      broker: this.#broker.broker,
      clock: this.#clock,
      random,
      timers,
      nextTurn,
      logger,
      capabilities: CAPABILITIES,
      backends,
      settings,
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
  }

  get connections(): number {
    return this.#connections.size;
  }

  async start(): Promise<ServerPorts> {
    const { websocket, grpc, http } = this.#config;
    try {
      await this.#broker.open();
      const ports = {
        http: await this.#operations(http),
        grpc: await this.#streams(grpc),
        websocket: await this.#clients(websocket),
      };
      this.#ready = true;
      this.#lag.start();
      this.#clock.start();
      this.#warnOfShortSilence();
      this.#scheduleSweep(MIN_SWEEP_MS);
      return ports;
    } catch (error) {
      await Promise.all([this.#close(), this.#closeAdmin(), this.#broker.close()]);
      throw error;
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#ready = false;
    clearTimeout(this.#sweep);
    clearImmediate(this.#expiring);
    this.#clock.stop();
    this.#lag.stop();
    const closed = this.#close();
    const { drainTimeoutMs } = this.#config;
    const flushing = flush(this.#broker.broker, this.#logger, drainTimeoutMs);
    // What is handed over at once leaves no time for another publish before the farewell.
    if (flushing !== undefined) await flushing;
    for (const session of this.engine.sessions()) {
      session.close(DISCONNECTS.goingAway, Math.floor(Math.random() * RETURN_SPREAD_MS));
    }
    // A session ends before its last message has left, so connections are what counts.
    await this.#drained(() => this.#connections.size, drainTimeoutMs);
    await this.#drained(() => this.#grpc?.connections ?? 0, LAST_BYTES_MS);
    this.#sockets.terminate();
    for (const listener of this.#listeners) listener.destroy();
    await closed;
    await this.#broker.close();
    await this.#closeAdmin();
  }

  /** Resolves when nothing is left, or the time is over. */
  async #drained(left: () => number, ms: number): Promise<void> {
    const began = performance.now();
    while (left() > 0 && performance.now() - began < ms) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
      if (performance.now() - began > FAREWELL_MS) this.#sockets.terminateFlushed();
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
    const app = createApp({ path, handshake: config, fallback: pageAt(path) });
    const page = getRequestListener(app.fetch);
    const calls = connectNodeAdapter({
      routes: this.#routes(),
      contextValues: peerContext(this.#proxies),
      fallback: (request, response) => {
        const work = page(request as IncomingMessage, response as ServerResponse);
        background(Promise.resolve(work), this.#logger, "request");
      },
    });
    const server = await httpServer(config.tls, (request, response) => {
      toOriginForm(request);
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
    const handler = connectNodeAdapter({
      routes: this.#routes(),
      contextValues: peerContext(this.#proxies),
    });
    const server = await http2Server(config.tls, handler);
    const port = await this.#open(server, config, "the gRPC listener");
    this.#grpc = this.#listeners.at(-1);
    return port;
  }

  /** Health and metrics. */
  async #operations(config: ServerConfig["http"]): Promise<number> {
    const app = createOperationsApp({
      ready: () => this.#ready && (this.#broker.broker.ready ?? true),
      stats: () => this.engine.stats(),
      facts: () => this.#facts(),
    });
    const server = await httpServer(config.tls, getRequestListener(app.fetch));
    this.#admin = await this.#listen(server, config, "the admin listener");
    return this.#admin.port;
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
      redis: this.#broker.redis(),
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

  #routes() {
    return streamRoutes({
      engine: this.engine,
      connections: this.#connections,
      maxQueueBytes: this.#config.maxQueueBytes,
      clock: this.#clock,
      random,
      logger: this.#logger,
      sessionId: () => this.#sessionId(),
    });
  }

  #sessionId(): string {
    return `${this.#node}.${random.uuid()}`;
  }

  /** Looks after silent sessions when the first of them can be due. */
  #scheduleSweep(ms: number): void {
    this.#sweep = setTimeout(() => {
      // What waits in the sockets is read before anybody is called silent.
      this.#expiring = setImmediate(() => this.#look());
    }, ms).unref();
  }

  #look(): void {
    const { connect, idle } = this.engine.expire();
    sweep(this.#broker.broker, this.#logger);
    const now = this.engine.steadyNow();
    // A client that connects between two looks must not be noticed late.
    const { connectDeadlineMs, idleTimeoutMs } = this.#config.settings;
    const due = Math.min(
      (connect ?? idle ?? Number.POSITIVE_INFINITY) - now,
      (idle ?? Number.POSITIVE_INFINITY) - now,
      connectDeadlineMs,
      idleTimeoutMs,
      SWEEP_MS,
    );
    this.#scheduleSweep(Math.max(MIN_SWEEP_MS, due));
  }

  #warnOfShortSilence(): void {
    const { idleTimeoutMs } = this.#config.settings;
    if (idleTimeoutMs >= SAFE_SILENCE_MS) return;
    this.#logger.warn(
      "clients that are alive may be closed for silence: a browser pings once a minute in a hidden tab",
      {
        idle_timeout: formatDuration(idleTimeoutMs),
        at_least: formatDuration(SAFE_SILENCE_MS),
      },
    );
  }
}
