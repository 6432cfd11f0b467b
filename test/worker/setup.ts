/**
 * Before each file of tests: files share a workerd, and none finds objects, settings or variables that one before it has
 * left.
 */
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import config from "../../src/worker/config.json";
import { configure } from "../../src/worker/settings.ts";
import { deployed } from "./deployed.ts";

const variables = env as unknown as Record<string, unknown>;
for (const name of Object.keys(variables)) if (!deployed.has(name)) delete variables[name];
Object.assign(variables, { messageloop: {} });
// Objects read their settings anew.
configure(config);
await reset();
