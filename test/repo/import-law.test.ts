/** The arrows between the rooms of src/, and proof that the check sees what breaks them. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readSources, violations } from "./import-law.ts";

const sources = readSources(fileURLToPath(new URL("../../src", import.meta.url)));

test("src/ keeps the import law", () => {
  expect(sources.size).toBeGreaterThan(30);
  expect(violations(sources)).toEqual([]);
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
  ["engine/x.ts", 'import {\n  type A,\n  type B,\n} from "../worker/gateway.ts";'],
  ["engine/x.ts", 'const x = await import("../worker/gateway.ts");'],
  ["engine/x.ts", 'type X = import("../worker/gateway.ts").Gateway;'],
  ["engine/x.ts", "const x = await import(`../worker/gateway.ts`);"],
  ["engine/x.ts", "const x = await import(name);"],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the planted source holds a template.
  ["engine/x.ts", "const x = await import(`../${room}/index.ts`);"],
  ["engine/x.ts", 'const x = await import("../channels/" + file);'],
  ["engine/x.ts", 'const x = require("node:fs");'],
  ["engine/x.ts", '/// <reference types="node" />'],
  ["engine/x.ts", 'import /* quietly */ { x } from "cloudflare:workers";'],
  ["engine/x.ts", 'const a = "https://x"; import { x } from "cloudflare:workers";'],
  ["http/x.ts", 'import { DurableObject } from "cloudflare:workers";'],
  ["http/x.ts", 'import { start } from "./console/main.ts";'],
  ["http/x.ts", 'import { hello } from "honorary";'],
  ["http/console/x.ts", 'import { createApp } from "../app.ts";'],
  ["worker/x.ts", 'import { readFile } from "node:fs/promises";'],
  ["worker/x.ts", 'import { serve } from "../server/index.ts";'],
  ["worker/x.ts", 'import { dial } from "../client/client.ts";'],
  ["server/x.ts", 'import { Gateway } from "../worker/gateway.ts";'],
  ["server/x.ts", 'import { DurableObject } from "cloudflare:workers";'],
  ["client/x.ts", 'import { Session } from "../engine/session.ts";'],
  ["client/x.ts", 'import { WebSocket } from "ws";'],
  ["testing/x.ts", 'import { ChannelLog } from "../channels/log.ts";'],
  ["index.ts", 'export { createApp } from "./http/app.ts";'],
  ["engine/x.ts", 'import manifest from "../../package.json";'],
  ["cellar/x.ts", "export {};"],
])("a planted violation in %s is found: %s", (path, text) => {
  expect(violations(new Map([[path, text]]))).toHaveLength(1);
});

test.each([
  ["channels/x.ts", 'import { LIMITS } from "../protocol/limits.ts";'],
  ["protocol/x.ts", 'import { create } from "@bufbuild/protobuf";'],
  ["protocol/x.ts", 'import { anyPack } from "@bufbuild/protobuf/wkt";'],
  ["protocol/x.ts", '// import { x } from "ws";\n/* import "redis"; */'],
  ["engine/x.ts", 'import * as v from "valibot";'],
  ["worker/x.ts", 'import { DurableObject } from "cloudflare:workers";'],
  ["worker/x.ts", 'import { createApp } from "../http/app.ts";'],
  ["server/x.ts", 'import { WebSocketServer } from "ws";\nimport fs from "node:fs";'],
  ["client/x.ts", "const meta = import.meta.url;"],
  ["http/console/x.ts", 'import { dial } from "../../client/client.ts";'],
])("what the law allows in %s is not reported: %s", (path, text) => {
  expect(violations(new Map([[path, text]]))).toEqual([]);
});
