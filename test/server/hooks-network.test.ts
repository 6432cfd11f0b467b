/** Lifecycle hooks of a server by its configuration alone, to backends of every kind. */
import { createServer as createHttp, type Server } from "node:http";
import { createServer as createHttp2, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { expect, onTestFinished, test } from "vitest";
import { dial } from "../../src/client/v0/index.ts";
import { ProxyService } from "../../src/protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { createServer, parseConfig } from "../../src/server/index.ts";
import { eventually } from "../support/eventually.ts";

const ANY_PORT = { addr: "127.0.0.1:0" };
const KINDS = ["connected", "subscribed", "unsubscribed", "disconnected", "occupied", "vacated"];

async function portOf(server: Server | Http2Server): Promise<number> {
  const sockets = new Set<{ destroy(): void }>();
  server.on("connection", (socket: { destroy(): void }) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** `ProxyService` that takes notes. */
function routes(told: string[]): (router: ConnectRouter) => void {
  const note = (hook: string) => (request: { sessionId?: string; channel?: string }) => {
    told.push([hook, request.channel].filter((part) => part !== undefined).join(" "));
    return {};
  };
  return (router) => {
    router.service(ProxyService, {
      onConnected: note("connected"),
      onSubscribed: note("subscribed"),
      onUnsubscribed: note("unsubscribed"),
      onDisconnected: note("disconnected"),
      onOccupied: note("occupied"),
      onVacated: note("vacated"),
    });
  };
}

/** Backends by what they are called, each with how it is configured. */
const BACKENDS: Readonly<
  Record<string, (told: string[]) => Promise<Readonly<Record<string, unknown>>>>
> = {
  grpc: async (told) => {
    const port = await portOf(createHttp2(connectNodeAdapter({ routes: routes(told) })));
    return { endpoint: `127.0.0.1:${port}`, grpc: { insecure: true } };
  },
  connect: async (told) => {
    const port = await portOf(createHttp(connectNodeAdapter({ routes: routes(told) })));
    return { endpoint: `http://127.0.0.1:${port}`, connect: {} };
  },
  "cloudevents in batches": async (told) => {
    const server = createHttp((request, response) => {
      const take = async (): Promise<void> => {
        for (const { type, data } of JSON.parse(await text(request))) {
          const hook = type.slice("com.messageloop.on_".length);
          told.push(data.channel === undefined ? hook : `${hook} ${data.channel}`);
        }
        response.writeHead(202).end();
      };
      take().catch(() => response.destroy());
    });
    const endpoint = `http://127.0.0.1:${await portOf(server)}/events`;
    return { endpoint, http: { payload: "cloudevents", batch_events: true } };
  },
};

test.each(Object.keys(BACKENDS))("%s is told of a session and a channel", async (name) => {
  const told: string[] = [];
  const backend = await BACKENDS[name]?.(told);
  const server = createServer({
    config: parseConfig({
      server: { http: ANY_PORT },
      transport: { websocket: ANY_PORT, grpc: ANY_PORT },
      proxy: [{ name: "app", ...backend }],
      hooks: Object.fromEntries(KINDS.map((kind) => [kind, "app"])),
    }),
  });
  onTestFinished(() => server.stop());
  const { websocket } = await server.start();
  const client = await dial(`ws://127.0.0.1:${websocket}/ws`);
  await client.subscribe("news");
  await client.unsubscribe("news");
  await client.close();
  const stats = () => server.engine.stats().lifecycle;
  await eventually(stats, ({ delivered }) => delivered === 6, 20_000);
  const session = ["connected", "subscribed news", "unsubscribed news", "disconnected"];
  const channel = ["occupied news", "vacated news"];
  expect(told.filter((line) => session.includes(line))).toEqual(session);
  expect(told.filter((line) => channel.includes(line))).toEqual(channel);
  expect(stats()).toEqual({
    waiting: 0,
    delivered: 6,
    failures: 0,
    overflowed: 0,
    expired: 0,
  });
});

test("a server of v0.1.1's configuration tells its backend what v0.1.1 told", async () => {
  const bodies: unknown[] = [];
  const backend = createHttp((request, response) => {
    const take = async (): Promise<void> => {
      bodies.push(JSON.parse(await text(request)));
      response.writeHead(200, { "content-type": "application/json" }).end("{}");
    };
    take().catch(() => response.destroy());
  });
  const server = createServer({
    config: parseConfig({
      server: { http: ANY_PORT },
      transport: { websocket: ANY_PORT, grpc: ANY_PORT },
      proxy: [
        {
          endpoint: `http://127.0.0.1:${await portOf(backend)}/`,
          http: { payload: "v0.1.1" },
          routes: [{ channel: "*", method: "*" }],
        },
      ],
      hooks: { compatibility: "v0.1.1" },
    }),
    // Who somebody is, is said by the program; what has happened is told to the backend.
    backends: { authenticate: async () => ({ userId: "ada" }), authorizeSubscribe: async () => {} },
  });
  onTestFinished(() => server.stop());
  const { websocket } = await server.start();
  const client = await dial(`ws://127.0.0.1:${websocket}/ws`);
  await client.subscribe("news");
  await client.close();
  await eventually(() => bodies.length === 3);
  const [{ session_id: id }] = bodies as [{ session_id: string }];
  expect(bodies).toEqual([
    { session_id: id, username: "ada" },
    { channel: "news", session_id: id, username: "ada" },
    { session_id: id, username: "ada" },
  ]);
});
