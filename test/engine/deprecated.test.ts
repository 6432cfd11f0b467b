/** Names from before they were changed, for programs that still use them. */
import { expect, test } from "vitest";
import { Engine } from "../../src/engine/engine.ts";
import { CAPABILITIES, connect, scene, send, subscribe } from "./scene.ts";

test("backends are taken and given as proxy", async () => {
  const { clock, engine, timers } = scene();
  const proxy = { rpc: async () => undefined };
  const before = new Engine({
    broker: engine.broker,
    clock,
    random: { uuid: () => "id" },
    timers,
    logger: { warn: () => {} },
    capabilities: CAPABILITIES,
    proxy,
  });
  expect(before.backends).toBe(proxy);
  expect(before.proxy).toBe(proxy);
  expect(scene({ backends: proxy }).engine.proxy).toBe(proxy);
});

test("the hub says whether it has a channel", async () => {
  const { engine, session } = scene();
  await connect(session);
  expect(engine.hub.has("room")).toBe(false);
  await send(session, subscribe("room"));
  expect(engine.hub.has("room")).toBe(true);
});
