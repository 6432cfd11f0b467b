/**
 * What docs/sse.md gives pages to read events by, in browsers and in Node, from the server's own origin and from another
 * one: it goes on through cuts, restarts of the server and expired tickets, without loss or repeat, on both hosts.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer as createMessageServer, type Server } from "../../src/server/server.ts";
import { API_KEY, KEYS, TICKET_KEYS } from "../conformance/keys.ts";
import { oneRedis } from "../redis/servers.ts";
import { eventually } from "../support/eventually.ts";
import { Link } from "../support/link.ts";
import { settledPort } from "../support/ports.ts";
import { startWorkerd } from "../support/workerd.ts";
import type { RunningServer } from "../support/wrangler.ts";
import { BROWSERS, type Browser, launch } from "./browsers.ts";
import {
  type Kind,
  nodeReader,
  type Place,
  pageReader,
  type Reader,
  type ReaderState,
  TICKET_MS,
} from "./event-readers.ts";

/** Its position by a pattern takes more bytes than a page may send in a header across origins without being asked. */
const CHANNEL = `chat.${"é".repeat(100)}`;
const PATTERN = "chat.*";
/** Everybody waits for the server to come back, which may be slow to. */
const PATIENCE_MS = 60_000;
const cleanups: (() => unknown)[] = [];
const browsers = new Map<string, Browser>();
const worlds = new Map<string, World>();

afterAll(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
  // Other files run in this process.
  vi.restoreAllMocks();
});

interface Host {
  /** Of clients. */
  readonly port: number;
  /** Origin of the server API. */
  api(): string;
  restart(): Promise<void>;
}

interface World {
  readonly host: Host;
  /** Origin of the application. */
  readonly app: string;
  /** How readers reach the host. */
  readonly link: Link;
}

/** @param pages origin whose pages may read */
type StartHost = (pages: string) => Promise<Host>;

const serveOnRedis: StartHost = async (pages) => {
  const redis = await oneRedis();
  cleanups.push(() => redis.stop());
  const port = await settledPort("serve");
  const listener = { addr: "127.0.0.1:0" };
  const config = parseConfig({
    server: { http: listener },
    transport: {
      websocket: { addr: `127.0.0.1:${port}`, allowed_origins: [pages] },
      grpc: listener,
    },
    broker: { type: "redis", redis: { url: redis.address.urls.join(",") } },
    api: { keys: KEYS, ticket_keys: TICKET_KEYS },
  });
  let server: Server;
  let http = 0;
  const start = async (): Promise<void> => {
    server = createMessageServer({ config });
    ({ http } = await server.start());
  };
  await start();
  cleanups.push(() => server.stop());
  const restart = async (): Promise<void> => {
    await server.stop();
    await start();
  };
  return { port, api: () => `http://127.0.0.1:${http}`, restart };
};

const worker: StartHost = async (pages) => {
  const storage = await mkdtemp(join(tmpdir(), "messageloop-event-source-"));
  cleanups.push(() => rm(storage, { recursive: true, force: true }));
  const port = await settledPort("worker");
  const vars = {
    messageloop: { transport: { websocket: { allowed_origins: [pages] } } },
    MESSAGELOOP_API_KEYS: JSON.stringify(KEYS),
    MESSAGELOOP_API_TICKET_KEYS: JSON.stringify(TICKET_KEYS),
  };
  let server: RunningServer;
  const start = async (): Promise<void> => {
    server = await startWorkerd({ vars, port, storage });
  };
  await start();
  cleanups.push(() => server.stop());
  // As a crash would.
  const restart = async (): Promise<void> => {
    await server.kill();
    await start();
  };
  return { port, api: () => server.url, restart };
};

async function call(api: string, name: string, body: object): Promise<Record<string, unknown>> {
  const answer = await fetch(`${api}/messageloop.server.v1.APIService/${name}`, {
    method: "POST",
    headers: { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as Record<string, unknown>;
}

async function publish(api: string, text: string): Promise<void> {
  const payload = { id: text, source: "/app", type: "t", text_data: text };
  const publications = [{ destination: { channels: [CHANNEL] }, payload }];
  await call(api, "Publish", { publications });
}

/** The application: a page, and tickets for who reads it. */
async function startApp(apiOf: () => string): Promise<string> {
  const app = createServer((request, response) => {
    // Pages of the server's own origin ask as well.
    response.setHeader("Access-Control-Allow-Origin", "*");
    const kind = request.url?.split("?")[1] as Kind | undefined;
    if (kind === undefined) {
      response.end("a page");
      return;
    }
    const asked = { user_id: "ada", channels: [PATTERN], ttl_ms: TICKET_MS[kind] };
    call(apiOf(), "CreateTicket", asked).then(
      ({ ticket }) => response.end(ticket),
      () => response.writeHead(502).end(),
    );
  });
  await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => app.close());
  return `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
}

async function startReaders(server: string, app: string): Promise<Reader[]> {
  const [one, many] = [CHANNEL, PATTERN].map((name) => ({ server, app, name })) as [Place, Place];
  const readers = await Promise.all([
    ...[...browsers].flatMap(([name, browser]) => [
      pageReader(name, browser, server, one),
      pageReader(`${name}, another origin`, browser, app, many),
    ]),
    nodeReader("Node's EventSource", one),
    nodeReader("npm's EventSource", many),
  ]);
  cleanups.push(() => Promise.all(readers.map((reader) => reader.close())));
  return readers;
}

/** Resolves when all that every reader has got holds. */
async function all(
  readers: readonly Reader[],
  holds: (state: ReaderState, name: string) => boolean,
): Promise<Map<string, ReaderState>> {
  const look = async () =>
    await Promise.all(readers.map(async (reader) => [reader.name, await reader.state()] as const));
  const states = await eventually(
    look,
    (seen) => seen.every(([name, state]) => holds(state, name)),
    PATIENCE_MS,
  );
  return new Map(states);
}

async function heard(readers: readonly Reader[], count: number) {
  const states = await all(readers, ({ lasting, brief }) =>
    [lasting, brief].every(({ printed }) => printed.length >= count),
  );
  const texts = Array.from({ length: count }, (_, i) => `${i + 1}`);
  for (const [name, { lasting, brief }] of states) {
    expect(lasting.printed, name).toEqual(texts);
    expect(brief.printed, name).toEqual(texts);
  }
  return states;
}

const begun = ({ sources }: ReaderState[Kind]) => (sources.at(-1)?.begun ?? 0) > 0;

const HOSTS: readonly (readonly [name: string, start: StartHost])[] = [
  ["serve on Redis", serveOnRedis],
  ["the Worker", worker],
];

async function startWorld(start: StartHost): Promise<World> {
  let host: Host | undefined;
  const app = await startApp(() => host?.api() ?? "");
  host = await start(app);
  const link = await Link.to(host.port);
  cleanups.push(() => link.down());
  return { host, app, link };
}

beforeAll(async () => {
  await Promise.all([
    ...BROWSERS.map(async (name) => {
      const browser = await launch(name);
      cleanups.push(() => browser.close());
      browsers.set(name, browser);
    }),
    ...HOSTS.map(async ([name, start]) => worlds.set(name, await startWorld(start))),
  ]);
  // The server in this process has nobody wait for longer than a second before it comes back.
  vi.spyOn(Math, "random").mockReturnValue(0);
});

test.concurrent.each(HOSTS)(
  "%s: everybody goes on, by itself or by a new EventSource",
  async (where) => {
    const world = worlds.get(where);
    if (world === undefined) throw new Error(`${where} has not been started`);
    const { host, app, link } = world;
    const { api } = host;
    // An earlier try may have left it down.
    await link.up();
    const readers = await startReaders(link.origin, app);
    const reading = ({ lasting, brief }: ReaderState): boolean => begun(lasting) && begun(brief);
    await all(readers, reading);
    await publish(api(), "1");
    await publish(api(), "2");
    await heard(readers, 2);

    // A page that was left and is gone back to reads what came meanwhile.
    for (const reader of readers) await reader.leave();
    await publish(api(), "3");
    for (const reader of readers) await reader.comeBack();
    const before = await heard(readers, 3);

    link.cut();
    await publish(api(), "4");
    const cut = await heard(readers, 4);
    for (const [name, { lasting, brief }] of cut) {
      // Its ticket is good.
      expect(lasting.sources.length, name).toBe(before.get(name)?.lasting.sources.length);
      expect(lasting.sources.at(-1), name).toMatchObject({ readyState: 1, begun: 2, errors: 1 });
      // Its ticket has expired, which made it stop.
      const [last, given] = brief.sources.toReversed();
      expect(given?.readyState, name).toBe(2);
      expect(last?.url, name).toMatch(/[?&]last_event_id=/);
      expect(last?.url, name).not.toContain(new URL(given?.url ?? "").searchParams.get("ticket"));
    }

    // Nobody is let in before everybody was refused.
    await link.down();
    await Promise.all([
      host.restart(),
      all(readers, ({ lasting }, name) => {
        const { sources } = cut.get(name)?.lasting ?? lasting;
        return (lasting.sources[sources.length - 1]?.errors ?? 0) >= 3;
      }),
    ]);
    await publish(api(), "5");
    await link.up();
    await heard(readers, 5);
    await publish(api(), "6");
    const end = await heard(readers, 6);
    for (const [name, { lasting }] of end) {
      const at = (cut.get(name)?.lasting.sources.length ?? 0) - 1;
      const final = name === "Firefox, another origin";
      expect(lasting.sources[at]?.readyState, name).toBe(final ? 2 : 1);
      expect(lasting.sources.at(-1)?.readyState, name).toBe(1);
    }
  },
);
