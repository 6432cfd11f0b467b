/** The doors of a server: what its listeners answer, and what of that has not ended. */
import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { getRequestListener, type Http2Bindings, type HttpBindings } from "@hono/node-server";
import type { Engine } from "../../engine/engine.ts";
import type { HistoryFilter } from "../../engine/ports/broker.ts";
import type { Identity } from "../../engine/ports/identity.ts";
import type { Clock, Logger } from "../../engine/ports/platform.ts";
import { isRevoked } from "../../engine/ports/revocations.ts";
import { apiRoutes } from "../../http/api/routes.ts";
import { ApiService } from "../../http/api/service.ts";
import type { StatusHost } from "../../http/api/status.ts";
import { UnaryApi } from "../../http/api/unary.ts";
import { createApp } from "../../http/app.ts";
import type { ChannelDoor, ChannelDoors } from "../../http/channel-doors.ts";
import { type AdmittedEvents, EventsDoor } from "../../http/events/door.ts";
import { HistoryDoor } from "../../http/history/door.ts";
import { Keys } from "../../http/keys/keys.ts";
import { createOperationsApp, type OperationsOptions } from "../../http/operations.ts";
import { Tickets } from "../../http/tickets/tickets.ts";
import { Health } from "../../protocol/gen/grpc/health/v1/health_pb.js";
import { APIService } from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import { MessagingService } from "../../protocol/gen/messageloop/v1/service_pb.js";
import { ApiCalls } from "../api/calls.ts";
import { cloudEventsDoor } from "../api/cloudevents.ts";
import { sha256 } from "../api/keys.ts";
import { CAPABILITIES } from "../capabilities.ts";
import type { ServerConfig } from "../config/config.ts";
import { HealthService } from "../grpc/health.ts";
import { ReflectionService } from "../grpc/reflection.ts";
import { consoleAt, pageAt } from "../page.ts";
import { hmac, random, timers } from "../platform.ts";
import { callsHandler } from "../transport/calls.ts";
import { TrustedProxies } from "../transport/client-address.ts";
import { Connections, type ThreadCounts } from "../transport/connections.ts";
import { EventStreams } from "../transport/events/event-streams.ts";
import { http2Server, httpServer, type listen } from "../transport/listeners.ts";
import { Sockets } from "../transport/sockets.ts";
import { remember } from "../transport/streams/lines.ts";
import { messageLoopRoutes } from "../transport/streams/message-loop.ts";
import { openRoutes } from "../transport/streams/streaming.ts";
import { patiently, type TailsOptions, tailsOf } from "../transport/tails.ts";
import {
  pathOf,
  refuse,
  serveWithoutUpgrade,
  shouldUpgrade,
  toOriginForm,
} from "../transport/upgrades.ts";

/** The listener takes what is left of a request. */
const HTTP1_OPTIONS = { autoCleanupIncoming: false };

/** What a listener listens with. */
type NodeServer = Parameters<typeof listen>[0];
type Routes = (router: ConnectRouter) => void;

function together(routes: readonly Routes[]): Routes {
  return (router) => {
    for (const add of routes) add(router);
  };
}

export interface DoorsOptions {
  readonly config: ServerConfig;
  readonly engine: Engine;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A fresh session id. */
  readonly sessionId: () => string;
  /** Whether the log or an authenticator is given the addresses of clients. */
  readonly locates: boolean;
  /** Whether the server takes new clients. */
  readonly open: () => boolean;
  /** Whether it can do so, as health says it. */
  readonly ready: () => boolean;
  /** The node that answers, and all nodes of the process. */
  readonly nodes: Required<Pick<StatusHost, "node" | "nodes">>;
  /** What the other threads have; undefined where it is the only one. */
  readonly threads?: ThreadCounts | undefined;
}

/**
 * What the listeners of a server answer: `clients` and `streams` are for clients, `operations` is for operators and other
 * servers. All share one count of connections, one set of keys and one server API.
 */
export class Doors {
  readonly connections: Connections;
  readonly api: ApiService;
  readonly health: HealthService;
  readonly #options: DoorsOptions;
  readonly #proxies: TrustedProxies;
  readonly #keys: Keys;
  readonly #apiCalls: ApiCalls;
  readonly #sockets: Sockets;
  readonly #eventsDoor: EventsDoor;
  readonly #adminEventsDoor: EventsDoor;
  readonly #eventStreams: EventStreams;
  readonly #historyDoor: HistoryDoor;
  readonly #adminHistoryDoor: HistoryDoor;
  readonly #tails: TailsOptions;

  constructor(options: DoorsOptions) {
    const { clock, config, engine, logger, open, sessionId } = options;
    const { maxQueueBytes } = config;
    this.#options = options;
    this.connections = new Connections({
      limit: config.maxConnections,
      sessions: () => engine.sessionCount,
      threads: options.threads,
    });
    this.#proxies = new TrustedProxies(config.trustedProxies);
    this.health = new HealthService(
      options.ready,
      this.#services.map(({ typeName }) => typeName),
    );
    this.#keys = new Keys({ entries: config.api.keys, sha256, clock, logger });
    const tickets = new Tickets({ keys: config.api.ticketKeys, hmac, clock });
    const settingsInForce = () => config.inForce;
    const host = { name: CAPABILITIES.name, now: clock.now, ...options.nodes, settingsInForce };
    this.api = new ApiService({ keys: this.#keys, tickets, logger, host });
    const api = new UnaryApi(this.api);
    this.#apiCalls = new ApiCalls({ api, engine, proxies: this.#proxies, logger });
    const common = { engine, connections: this.connections, maxQueueBytes, logger, sessionId };
    this.#sockets = new Sockets({
      ...common,
      handshake: config.websocket,
      compression: config.websocket.compression,
      proxies: this.#proxies,
      locates: options.locates,
    });
    const readers = { keys: this.#keys, tickets, authorizer: engine.authorizer };
    const events = {
      ...readers,
      subscribes: !config.settings.disabledMessages.includes("subscribe"),
      logger,
      random: Math.random,
    };
    this.#eventsDoor = new EventsDoor({ ...events, rules: config.websocket });
    // The names and origins that are set are those of the ports for clients.
    this.#adminEventsDoor = new EventsDoor({ ...events, rules: {} });
    this.#eventStreams = new EventStreams({ ...common, stream: config.stream, ready: open });
    const { disabledMessages: disabled, rules: channels } = config.settings;
    const history = { ...readers, channels, disabled, clock, timers, logger };
    this.#historyDoor = new HistoryDoor({ ...history, rules: config.websocket });
    this.#adminHistoryDoor = new HistoryDoor({ ...history, rules: {} });
    this.#tails = { ...common, ready: open };
  }

  /** Connections and calls that have not ended. */
  get size(): number {
    return this.connections.size + this.#apiCalls.size;
  }

  /** Ends what is left, without a handshake. */
  cut(): void {
    this.#sockets.terminate();
    this.#eventStreams.destroy();
  }

  /** Ends those whose last byte has left the process. */
  cutFlushed(): void {
    this.#sockets.terminateFlushed();
    this.#eventStreams.destroyFlushed();
  }

  /** WebSocket, Connect over HTTP/1.1, and the page. */
  async clients(): Promise<NodeServer> {
    const { api, websocket } = this.#options.config;
    const { path } = websocket;
    const app = createApp({
      path,
      handshake: websocket,
      api: api.public,
      channels: this.#channels(),
      fallback: pageAt(path),
    });
    const page = getRequestListener(app.fetch, HTTP1_OPTIONS);
    const calls = this.#calls(this.#routes(), page);
    const server = await httpServer(websocket.tls, (request, response) => {
      toOriginForm(request);
      remember(request, response);
      if (api.public && this.#apiCalls.take(request, response)) return;
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
    return server;
  }

  /** gRPC, gRPC-Web and Connect over HTTP/2. */
  async streams(): Promise<NodeServer> {
    const { api, grpc } = this.#options.config;
    const app = getRequestListener(createApp({ channels: this.#channels() }).fetch);
    const routes = [
      this.#routes(),
      this.health.routes,
      ...(api.reflection ? [new ReflectionService([...this.#services, Health]).routes] : []),
    ];
    return await http2Server(grpc.tls, this.#calls(together(routes), app));
  }

  /** Health, metrics, and what is for other servers: the API and CloudEvents. */
  async operations(metrics: OperationsOptions["metrics"]): Promise<NodeServer> {
    const { config, ready } = this.#options;
    const app = createOperationsApp({
      ready,
      metrics,
      channels: {
        publish: this.#cloudEvents(),
        events: this.#events(this.#adminEventsDoor),
        history: this.#history(this.#adminHistoryDoor),
      },
      fallback: consoleAt(),
    });
    const calls = this.#calls(this.#apiRoutes(), getRequestListener(app.fetch, HTTP1_OPTIONS));
    return await httpServer(config.http.tls, (request, response) => {
      remember(request, response);
      if (!this.#apiCalls.take(request, response)) calls(request, response);
    });
  }

  /** What the ports for clients have. */
  get #services(): readonly DescService[] {
    return [MessagingService, ...(this.#options.config.api.public ? [APIService] : [])];
  }

  /** What listeners for clients have below `/channels/`. */
  #channels(): ChannelDoors {
    return {
      ...(this.#options.config.api.public ? { publish: this.#cloudEvents() } : {}),
      events: this.#events(this.#eventsDoor),
      history: this.#history(this.#historyDoor),
    };
  }

  #history(door: HistoryDoor): ChannelDoor {
    const { engine } = this.#options;
    return async (request, path, env) => {
      const { incoming, outgoing } = env as HttpBindings | Http2Bindings;
      const peer = this.#proxies.peerOf(incoming);
      const host = {
        history: (channel: string, filter: HistoryFilter) => engine.broker.history(channel, filter),
        open: tailsOf(this.#tails, outgoing),
        revoked: (ticket: Identity) => isRevoked(engine.broker.revocations, ticket),
      };
      return await patiently(outgoing, () => door.answer(request, path, peer, host));
    };
  }

  #events(door: EventsDoor): ChannelDoor {
    return async (request, path, env) => {
      const { incoming, outgoing } = env as HttpBindings | Http2Bindings;
      const peer = this.#proxies.peerOf(incoming);
      const open = (events: AdmittedEvents) => this.#eventStreams.open(events, outgoing);
      return await door.answer(request, path, peer, open);
    };
  }

  #cloudEvents(): ChannelDoor {
    return cloudEventsDoor({
      engine: this.#options.engine,
      keys: this.#keys,
      calls: this.#apiCalls,
      proxies: this.#proxies,
    });
  }

  /** What a listener answers: calls of these routes, and the rest by another handler. */
  #calls(routes: Routes, rest: ReturnType<typeof getRequestListener>) {
    return callsHandler({ routes, proxies: this.#proxies, logger: this.#options.logger, rest });
  }

  /** The server API. */
  #apiRoutes(): Routes {
    const interceptors = [this.#apiCalls.patience];
    return apiRoutes({ service: this.api, engine: () => this.#options.engine, interceptors });
  }

  /** The sessions that are calls, and the server API where clients' ports have it. */
  #routes(): Routes {
    const { clock, config, engine, logger, sessionId } = this.#options;
    const { api, maxQueueBytes, stream, websocket } = config;
    const { connections } = this;
    const options = { engine, connections, maxQueueBytes, clock, random, logger, sessionId };
    const routes = [
      messageLoopRoutes(options),
      openRoutes({ ...options, ...stream, origins: websocket }),
      ...(api.public ? [this.#apiRoutes()] : []),
    ];
    return together(routes);
  }
}
