/** The arrows between the rooms of src/, and proof that the check sees what breaks them. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { circles, crowds, overlong, readSources, violations } from "./import-law.ts";

const sources = readSources(fileURLToPath(new URL("../../src", import.meta.url)));

test("src/ keeps the import law", () => {
  expect(sources.size).toBeGreaterThan(30);
  expect(violations(sources)).toEqual([]);
});

test("no folder of src/ has more files than can be seen at once", () => {
  expect(crowds(sources)).toEqual([]);
  const crowded = Array.from({ length: 17 }, (_, index) => [`engine/x${index}.ts`, ""] as const);
  expect(crowds(new Map(crowded))).toEqual(["17 files lie in engine"]);
  expect(crowds(new Map(crowded.slice(1)))).toEqual([]);
});

test("the session keeps to a length that can be read at once", () => {
  const session = "engine/session/session.ts";
  expect(sources.has(session)).toBe(true);
  expect(overlong(sources)).toEqual([]);
  const long = (lines: number) => new Map([[session, "x;\n".repeat(lines)]]);
  expect(overlong(long(501))).toEqual([`${session} has 501 lines, and may have 500`]);
  expect(overlong(long(500))).toEqual([]);
});

test("no file of src/ asks what class a broker is of", () => {
  const asks = (text: string) => /\binstanceof\s+\w*Broker\b/.test(text);
  expect(asks("if (broker instanceof MemoryBroker) broker.flush();")).toBe(true);
  expect([...sources].filter(([, text]) => asks(text)).map(([path]) => path)).toEqual([]);
});

test("no file of src/ imports itself, by whatever way round", () => {
  expect(circles(sources)).toEqual([]);
  const round = [
    ["engine/above.ts", 'import "./a.ts";'],
    ["engine/a.ts", 'import type { B } from "./session/b.ts";'],
    ["engine/session/b.ts", 'import { c } from "../c.ts";'],
    ["engine/c.ts", 'import { a } from "./a.ts";\nimport { below } from "./below.ts";'],
    ["engine/below.ts", ""],
  ] as const;
  expect(circles(new Map(round))).toEqual([
    "engine/a.ts lies in a circle of imports",
    "engine/session/b.ts lies in a circle of imports",
    "engine/c.ts lies in a circle of imports",
  ]);
  expect(circles(new Map(round.slice(0, 3)))).toEqual([]);
});

test.each([
  ["protocol/x.ts", 'import { ChannelLog } from "../channels/log.ts";'],
  ["protocol/x.ts", 'import { Hono } from "hono";'],
  ["protocol/x.ts", 'import * as v from "valibot";'],
  ["protocol/gen/x_pb.js", 'import fs from "node:fs";'],
  ["channels/x.ts", 'import type { Engine } from "../engine/engine.ts";'],
  ["channels/x.ts", 'export { Engine } from "../engine/engine.ts";'],
  ["channels/x.ts", 'export * from "../engine/engine.ts";'],
  ["engine/x.ts", 'import "../http/app.ts";'],
  ["engine/x.ts", 'import {\n  type A,\n  type B,\n} from "../worker/gateway/object.ts";'],
  ["engine/x.ts", 'const x = await import("../worker/gateway/object.ts");'],
  ["engine/x.ts", 'type X = import("../worker/gateway/object.ts").Gateway;'],
  ["engine/x.ts", "const x = await import(`../worker/gateway/object.ts`);"],
  ["engine/x.ts", "const x = await import(name);"],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the planted source holds a template.
  ["engine/x.ts", "const x = await import(`../${room}/index.ts`);"],
  ["engine/x.ts", 'const x = await import("../channels/" + file);'],
  ["engine/x.ts", 'const x = require("node:fs");'],
  ["engine/x.ts", '/// <reference types="node" />'],
  ["engine/x.ts", 'import /* quietly */ { x } from "cloudflare:workers";'],
  ["engine/x.ts", 'const a = "https://x"; import { x } from "cloudflare:workers";'],
  ["http/x.ts", 'import { DurableObject } from "cloudflare:workers";'],
  ["http/x.ts", 'import { start } from "./showcase/main.ts";'],
  ["http/x.ts", 'import { hello } from "honorary";'],
  ["http/showcase/x.ts", 'import { createApp } from "../app.ts";'],
  ["worker/x.ts", 'import { readFile } from "node:fs/promises";'],
  ["worker/x.ts", 'import { serve } from "../server/index.ts";'],
  ["worker/x.ts", 'import { dial } from "../client/client.ts";'],
  ["server/x.ts", 'import { Gateway } from "../worker/gateway/object.ts";'],
  ["server/x.ts", 'import { DurableObject } from "cloudflare:workers";'],
  ["client/x.ts", 'import { Session } from "../engine/session/session.ts";'],
  ["client/x.ts", 'import { WebSocket } from "ws";'],
  ["client/core/x.ts", 'import { create } from "@bufbuild/protobuf";'],
  ["client/core/x.ts", 'import { codecFor } from "../../protocol/codec.ts";'],
  ["client/core/x.ts", 'import { protobuf } from "../protobuf/codec.ts";'],
  ["client/testing/x.ts", 'import { ChannelLog } from "../../channels/log.ts";'],
  ["index.ts", 'export { createApp } from "./http/app.ts";'],
  ["ports.ts", 'export { MemoryBroker } from "./brokers/memory/broker.ts";'],
  ["engine/x.ts", 'import manifest from "../../package.json";'],
  ["cellar/x.ts", "export {};"],
  ["engine/x.ts", 'import * as v from "valibot";'],
  ["engine/ports/x.ts", 'import type { Engine } from "../engine.ts";'],
  ["engine/ports/x.ts", 'import type { Session } from "../session/session.ts";'],
  ["engine/settings/x.ts", 'import type { Broker } from "../ports/broker.ts";'],
  ["engine/subscription/x.ts", 'import { Session } from "../session/session.ts";'],
  ["engine/subscription/x.ts", 'import { Engine } from "../engine.ts";'],
  ["engine/session/x.ts", 'import type { Engine } from "../engine.ts";'],
  ["engine/session/x.ts", 'import { Node } from "../node.ts";'],
  ["engine/session/requests/x.ts", 'import type { Node } from "../../node.ts";'],
  ["brokers/memory/x.ts", 'import { RedisBroker } from "../redis/broker.ts";'],
  ["brokers/redis/x.ts", 'import { MemoryBroker } from "../memory/broker.ts";'],
  ["brokers/redis/channel/x.ts", 'import { Sweeper } from "../../memory/sweeper.ts";'],
  ["brokers/redis/channel/x.ts", 'import { Hub } from "../../../engine/subscription/hub.ts";'],
  ["brokers/redis/x.ts", 'import { createClient } from "redis";'],
  ["brokers/x.ts", "export {};"],
  ["proxy/x.ts", 'import type { Session } from "../engine/session/session.ts";'],
  ["worker/x.ts", 'import { MemoryBroker } from "../brokers/memory/broker.ts";'],
  ["worker/gateway/x.ts", 'import { SqlLogStore } from "../channel/log-store.ts";'],
  ["worker/gateway/x.ts", 'import { SqlPatternStore } from "../pattern-index/store.ts";'],
  ["worker/gateway/x.ts", 'import { ChannelLife } from "../../objects/channel/life.ts";'],
  ["worker/gateway/x.ts", 'import { push } from "../../objects/pattern-index/push.ts";'],
  ["worker/gateway/x.ts", 'import { createWorker } from "../worker.ts";'],
  ["worker/channel/x.ts", 'import { SessionRecords } from "../gateway/attachment.ts";'],
  ["worker/channel/x.ts", 'import { SqlPatternStore } from "../pattern-index/store.ts";'],
  ["worker/channel/x.ts", 'import { Cursor } from "../../objects/gateway/cursor.ts";'],
  ["worker/channel/x.ts", 'import { push } from "../../objects/pattern-index/push.ts";'],
  ["worker/pattern-index/x.ts", 'import { Doubts } from "../gateway/doubts.ts";'],
  ["worker/pattern-index/x.ts", 'import { SqlLogStore } from "../channel/log-store.ts";'],
  ["worker/pattern-index/x.ts", 'import { Cursor } from "../../objects/gateway/cursor.ts";'],
  ["worker/pattern-index/x.ts", 'import { ChannelLife } from "../../objects/channel/life.ts";'],
  ["worker/sql/x.ts", 'import { SqlLogStore } from "../channel/log-store.ts";'],
  ["worker/sql/x.ts", 'import { DurableObject } from "cloudflare:workers";'],
  ["worker/x.ts", 'import { ObjectBroker } from "../objects/gateway/broker.ts";'],
  ["objects/x.ts", 'import type { LinkHost } from "./gateway/channel-link.ts";'],
  ["objects/x.ts", 'import { readAnswer } from "./calls/answers.ts";'],
  ["objects/x.ts", 'import { clock } from "../worker/platform.ts";'],
  ["objects/x.ts", 'import { DurableObject } from "cloudflare:workers";'],
  ["objects/ports/x.ts", 'import { Trouble } from "../trouble.ts";'],
  ["objects/ports/x.ts", 'import type { SqlLike } from "../../worker/sql/sql.ts";'],
  ["objects/calls/x.ts", 'import type { Cursor } from "../gateway/cursor.ts";'],
  ["objects/calls/x.ts", 'import type { ChannelLife } from "../channel/life.ts";'],
  ["objects/calls/x.ts", 'import { push } from "../pattern-index/push.ts";'],
  ["objects/gateway/x.ts", 'import { encodeRows } from "../channel/recent-entries.ts";'],
  ["objects/gateway/x.ts", 'import type { PatternIndex } from "../pattern-index/life.ts";'],
  ["objects/gateway/x.ts", 'import { SqlLogStore } from "../../worker/channel/log-store.ts";'],
  ["objects/gateway/x.ts", 'import { Engine } from "../../engine/engine.ts";'],
  ["objects/gateway/x.ts", 'import { Sockets } from "../../server/transport/sockets.ts";'],
  ["objects/channel/x.ts", 'import type { Cursor } from "../gateway/cursor.ts";'],
  ["objects/channel/x.ts", 'import { push } from "../pattern-index/push.ts";'],
  ["objects/channel/x.ts", 'import type { SqlLike } from "../../worker/sql/sql.ts";'],
  ["objects/channel/x.ts", 'import { DurableObject } from "cloudflare:workers";'],
  ["objects/channel/x.ts", 'import { setImmediate } from "node:timers";'],
  ["objects/pattern-index/x.ts", 'import type { ChannelLease } from "../channel/lease.ts";'],
  ["objects/pattern-index/x.ts", 'import type { Turn } from "../gateway/turn.ts";'],
  [
    "objects/pattern-index/x.ts",
    'import { SqlPatternStore } from "../../worker/pattern-index/store.ts";',
  ],
  ["brokers/memory/x.ts", 'import { ChannelLife } from "../../objects/channel/life.ts";'],
  ["server/transport/x.ts", 'import { ChannelLife } from "../../objects/channel/life.ts";'],
  ["client/x.ts", 'import { indexOf } from "../objects/calls/lease-terms.ts";'],
  ["server/x.ts", 'import { createClient } from "redis";'],
  ["server/x.ts", 'import { dial } from "../client/client.ts";'],
  ["server/config/x.ts", 'import { Sockets } from "../transport/sockets.ts";'],
  ["server/config/x.ts", 'import { createServer } from "../server.ts";'],
  ["server/transport/x.ts", 'import { openRedis } from "../redis/client.ts";'],
  ["server/transport/x.ts", 'import { createServer } from "../server.ts";'],
  ["server/redis/x.ts", 'import { listen } from "../transport/listeners.ts";'],
  ["server/redis/x.ts", 'import type { RedisConfig } from "../../config/redis.ts";'],
  ["config/x.ts", 'import { readFileSync } from "node:fs";'],
  ["config/x.ts", 'import { parseConfig } from "../server/config/config.ts";'],
  ["worker/gateway/x.ts", 'import { configSchema } from "../../config/schema.ts";'],
  ["server/commands/x.ts", 'import { listen } from "../transport/listeners.ts";'],
])("a planted violation in %s is found: %s", (path, text) => {
  expect(violations(new Map([[path, text]]))).toHaveLength(1);
});

test.each([
  ["channels/x.ts", 'import { LIMITS } from "../protocol/limits.ts";'],
  ["protocol/x.ts", 'import { create } from "@bufbuild/protobuf";'],
  ["protocol/x.ts", 'import { anyPack } from "@bufbuild/protobuf/wkt";'],
  ["protocol/x.ts", '// import { x } from "ws";\n/* import "redis"; */'],
  ["engine/settings/x.ts", 'import * as v from "valibot";'],
  ["engine/subscription/x.ts", 'import type { Turns } from "../turns.ts";'],
  ["brokers/redis/channel/x.ts", 'import { background } from "../../../engine/background.ts";'],
  ["brokers/redis/channel/x.ts", 'import type { RedisKeys } from "../keys.ts";'],
  ["worker/x.ts", 'import { DurableObject } from "cloudflare:workers";'],
  ["worker/gateway/x.ts", 'import { clock } from "../platform.ts";'],
  ["worker/gateway/x.ts", 'import { Cursor } from "../../objects/gateway/cursor.ts";'],
  ["worker/channel/x.ts", 'import { ChannelLife } from "../../objects/channel/life.ts";'],
  ["worker/pattern-index/x.ts", 'import { push } from "../../objects/pattern-index/push.ts";'],
  ["server/x.ts", 'import { ChannelLife } from "../objects/channel/life.ts";'],
  ["objects/gateway/x.ts", 'import { readAnswer } from "../calls/answers.ts";'],
  ["worker/x.ts", 'import { createApp } from "../http/app.ts";'],
  ["server/transport/x.ts", 'import { WebSocketServer } from "ws";\nimport fs from "node:fs";'],
  ["client/x.ts", "const meta = import.meta.url;"],
  ["http/showcase/x.ts", 'import { dial } from "../../client/client.ts";'],
])("what the law allows in %s is not reported: %s", (path, text) => {
  expect(violations(new Map([[path, text]]))).toEqual([]);
});
