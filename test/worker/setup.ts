/** Around each file of tests: files share a workerd, and none finds objects, settings or variables of one before it. */
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll } from "vitest";
import config from "../../src/worker/config.json";
import { configure } from "../../src/worker/settings.ts";
import { deployed } from "./deployed.ts";

const variables = env as unknown as Record<string, unknown>;
for (const name of Object.keys(variables)) if (!deployed.has(name)) delete variables[name];
Object.assign(variables, { messageloop: {} });
// Objects read their settings anew.
configure(config);

// What an object logs after the last word of a file is never acknowledged, and the tool waits for that.
afterAll(reset);
