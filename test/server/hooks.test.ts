/** Lifecycle hooks of a server in a program: what was told has arrived when it has stopped. */
import { expect, onTestFinished, test } from "vitest";
import { dial } from "../../src/client/v0/index.ts";
import { type LifecycleEvent, SESSION_KINDS } from "../../src/engine/ports/lifecycle.ts";
import type { HookTargets } from "../../src/hooks/hooks.ts";
import { createServer, parseConfig } from "../../src/server/index.ts";
import { eventually, sleep } from "../support/eventually.ts";

const ANY_PORT = { addr: "127.0.0.1:0" };

function serverWith(send: HookTargets["backends"][number]["send"], drain = "10s") {
  const server = createServer({
    config: parseConfig({
      server: { http: ANY_PORT, drain_timeout: drain },
      transport: { websocket: ANY_PORT, grpc: ANY_PORT },
    }),
    hooks: {
      kinds: new Set(SESSION_KINDS),
      backends: [{ name: "program", most: 10, takes: () => true, send }],
    },
  });
  onTestFinished(() => server.stop());
  return server;
}

test("a program is told of a life, the end by the stop of the server included", async () => {
  const told: LifecycleEvent[] = [];
  const server = serverWith(async (_, events) => {
    await sleep(50);
    told.push(...events);
    return undefined;
  });
  const { websocket } = await server.start();
  const client = await dial(`ws://127.0.0.1:${websocket}/ws`);
  onTestFinished(() => client.close());
  await client.subscribe("news");
  await eventually(() => told.length === 2);
  await server.stop();
  expect(told.map(({ kind, channel, code }) => [kind, channel, code])).toEqual([
    ["connected", "", 0],
    ["subscribed", "news", 0],
    ["disconnected", "", 3512],
  ]);
  expect(server.engine.stats().lifecycle).toMatchObject({ waiting: 0, delivered: 3 });
});

test("a backend that takes nothing does not keep a server from stopping", async () => {
  const server = serverWith(async () => ({ text: "away", refused: false }), "200ms");
  const { websocket } = await server.start();
  const client = await dial(`ws://127.0.0.1:${websocket}/ws`);
  await client.close();
  await eventually(() => server.engine.stats().lifecycle.waiting === 2);
  await server.stop();
  expect(server.engine.stats().lifecycle).toMatchObject({ waiting: 2, delivered: 0 });
});
