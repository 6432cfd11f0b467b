/** Around each file of tests: files share a workerd, and none finds objects, settings or variables of one before it. */
import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, vi } from "vitest";
import config from "../../src/worker/config.json";
import { REGIONS } from "../../src/worker/placement.ts";
import { configure } from "../../src/worker/settings.ts";
import { placement } from "../../src/worker/upgrade.ts";
import { spareObjects } from "./cheap-objects.ts";
import { deployed } from "./deployed.ts";

spareObjects();

const variables = env as unknown as Record<string, unknown>;
for (const name of Object.keys(variables)) if (!deployed.has(name)) delete variables[name];
Object.assign(variables, { messageloop: {} });
// Objects read their settings anew.
configure(config);
// A region that a file has filled has one gateway again, as it has after some quiet hours.
vi.setSystemTime(Date.now() + 7_200_000);
for (const region of REGIONS) placement.pick(region);
vi.useRealTimers();

// What an object logs after the last word of a file is never acknowledged, and the tool waits for that.
afterAll(reset);
