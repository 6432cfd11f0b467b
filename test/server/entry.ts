/**
 * The self-hosted server with what only tests may have: a backend of the suite's, and counters on a
 * port of their own. Takes its options as JSON, and prints its ports as one line of JSON. With `workers` in its
 * configuration it has threads, each of which runs this program.
 */
import { once } from "node:events";
import { createServer as createHttp, type ServerResponse } from "node:http";
import { type AddressInfo, createServer as createNet } from "node:net";
import { isMainThread } from "node:worker_threads";
import { MemoryBroker } from "../../src/brokers/memory/broker.ts";
import { RedisBroker } from "../../src/brokers/redis/broker.ts";
import type { Engine } from "../../src/engine/engine.ts";
import type { Backends } from "../../src/engine/ports/backends.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createLogger } from "../../src/server/logger.ts";
import { createServer, type Server } from "../../src/server/server.ts";
import {
  type RunningThread,
  runThread,
  type ThreadOptions,
} from "../../src/server/threads/thread.ts";
import { Threads, type ThreadsOptions, threadsOf } from "../../src/server/threads/threads.ts";
import { ThreadBroker } from "../../src/threads/node.ts";
import { suiteBackend } from "../conformance/backend.ts";
import type { ServerStats } from "../conformance/host.ts";
import { sum } from "../conformance/stats.ts";
import { rememberHandlers } from "../support/broker-handlers.ts";
import { unawaited } from "../support/unawaited.ts";

for (const broker of [MemoryBroker, RedisBroker, ThreadBroker]) rememberHandlers(broker);

interface Options {
  readonly config: unknown;
  readonly backend: string;
  /** Of a server with threads. Default as they are without tests. */
  readonly limits?: Pick<ThreadsOptions, "hangMs" | "heapMb" | "mostDeaths">;
}

type Stats = ServerStats & { readonly connections: number };

/** Has something else be asked of a thread than what it is for. */
interface Asked {
  readonly id: number;
  readonly ask: "stats" | "loop" | "fill" | "throw";
  /** How long it is busy, in milliseconds. Default for ever. */
  readonly ms?: number;
}

if (!isMainThread) runThread(inThread);
else {
  const options = JSON.parse(process.argv[2] ?? "{}") as Options;
  const config = parseConfig(options.config);
  if (threadsOf(config) === 1) await single(options);
  else await several(options);
}

function backendsOf(backend: string, engine: () => Engine): Backends {
  return backend === "none" ? {} : suiteBackend(engine, backend === "closed");
}

async function single({ config, backend }: Options): Promise<void> {
  const server = createServer({
    config: parseConfig(config),
    backends: backendsOf(backend, () => server.engine),
  });
  const { broker } = server.engine;
  const wanted = counted(server.engine);
  const stats = async (): Promise<Stats> => ({
    ...server.engine.stats(),
    connections: server.connections,
    registrations: wanted.size,
    publishing: broker instanceof MemoryBroker ? broker.waiting : 0,
  });
  await serve(server, stats, (_, response) => {
    response.writeHead(404).end();
  });
}

async function several({ config, backend, limits }: Options): Promise<void> {
  const waiting = new Map<number, (stats: Stats) => void>();
  let last = 0;
  const parsed = parseConfig(config);
  const threads = new Threads({
    threads: threadsOf(parsed),
    program: new URL(import.meta.url),
    tables: config,
    config: parsed,
    logger: createLogger("warn", process.stderr),
    logLevel: undefined,
    failed: (reason) => {
      process.stderr.write(`${reason}\n`);
      process.exit(1);
    },
    heard: (_, value) => {
      const { id, stats } = value as { id: number; stats: Stats };
      waiting.get(id)?.(stats);
      waiting.delete(id);
    },
    extra: backend,
    ...limits,
  });
  const stats = async (): Promise<Stats> => {
    const all = threads.connections.map(
      (_, thread) =>
        new Promise<Stats>((resolve) => {
          last += 1;
          waiting.set(last, resolve);
          threads.say(thread, { id: last, ask: "stats" } satisfies Asked);
        }),
    );
    const answered = await Promise.all(all);
    const connections = answered.reduce((count, one) => count + one.connections, 0);
    return { ...sum(answered), connections };
  };
  const several: Pick<Server, "start" | "stop"> = {
    async start() {
      const ports = await threads.start();
      const own = await Promise.all(threads.connections.map((_, thread) => door(threads, thread)));
      return Object.assign(ports, { own });
    },
    stop: () => threads.stop(),
  };
  await serve(several, stats, (url, response) => {
    const thread = Number(url.searchParams.get("thread"));
    switch (url.pathname) {
      case "/kill":
        unawaited(threads.kill(thread).then(() => response.end()));
        return;
      case "/loop": {
        const ms = url.searchParams.get("ms");
        threads.say(thread, { id: 0, ask: "loop", ...(ms && { ms: Number(ms) }) });
        response.end();
        return;
      }
      case "/fill":
      case "/throw":
        threads.say(thread, { id: 0, ask: url.pathname.slice(1) });
        response.end();
        return;
      case "/ready":
        response.end(`${threads.well}`);
        return;
      case "/connections":
        response.end(JSON.stringify(threads.connections));
        return;
      default:
        response.writeHead(404).end();
    }
  });
}

/** A port whose connections are those of one thread. */
async function door(threads: Threads, thread: number): Promise<number> {
  const server = createNet({ pauseOnConnect: true, noDelay: true }, (socket) =>
    threads.give(thread, "websocket", socket),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** Fills the heap, and answers meanwhile. */
function fill(kept: unknown[]): void {
  for (let i = 0; i < 20; i++) kept.push(Array.from({ length: 10_000 }, Math.random));
  setImmediate(fill, kept);
}

function inThread(thread: RunningThread): ThreadOptions {
  const engine = (): Engine => thread.server.engine;
  return {
    backends: backendsOf(thread.data.extra as string, engine),
    heard: (value) => {
      const { ask, id, ms = Number.POSITIVE_INFINITY } = value as Asked;
      switch (ask) {
        case "loop":
          for (const end = performance.now() + ms; performance.now() < end; );
          return;
        case "fill":
          fill([]);
          return;
        case "throw":
          setImmediate(() => {
            throw new Error("an error that nobody catches");
          });
          return;
        case "stats":
          break;
      }
      const { registrations = 0, publishing = 0 } = thread.node?.broker.stats() ?? {};
      const { connections } = thread.server;
      thread.say({ id, stats: { ...engine().stats(), connections, registrations, publishing } });
    },
  };
}

/** Counts what the suite wants to see back at zero. */
function counted({ broker }: Engine): ReadonlySet<string> {
  const wanted = new Set<string>();
  const { subscribe, subscribePattern, unsubscribe, unsubscribePattern } = broker;
  broker.subscribe = async (channel) => {
    wanted.add(channel);
    return await subscribe.call(broker, channel);
  };
  broker.unsubscribe = (channel) => {
    wanted.delete(channel);
    unsubscribe.call(broker, channel);
  };
  broker.subscribePattern = async (pattern) => {
    wanted.add(pattern);
    return await subscribePattern.call(broker, pattern);
  };
  broker.unsubscribePattern = (pattern) => {
    wanted.delete(pattern);
    unsubscribePattern.call(broker, pattern);
  };
  return wanted;
}

/**
 * Runs a server until a signal stops it, and answers what tests ask of it.
 *
 * @param more answers other paths
 */
async function serve(
  server: Pick<Server, "start" | "stop">,
  stats: () => Promise<Stats>,
  more: (url: URL, response: ServerResponse) => void,
): Promise<void> {
  const control = createHttp(async (request, response) => {
    const url = new URL(request.url ?? "/", "http://control");
    if (url.pathname === "/memory") {
      // Only where the process was started with --expose-gc.
      globalThis.gc?.();
      // What a collection frees is given back beside it.
      setTimeout(() => {
        globalThis.gc?.();
        response.end(JSON.stringify(process.memoryUsage()));
      }, 50);
    } else if (url.pathname === "/") {
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify(await stats()));
    } else more(url, response);
  });
  control.listen(0, "127.0.0.1");
  await once(control, "listening");
  const ports = await server.start();
  process.once("SIGTERM", async () => {
    control.close();
    await server.stop();
    process.exit(0);
  });
  console.log(JSON.stringify({ ...ports, control: (control.address() as AddressInfo).port }));
}
