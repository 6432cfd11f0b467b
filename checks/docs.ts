/**
 * `npm run check:docs`: the documents and their site. Every block of code does what it says or is listed with what it needs,
 * every link leads somewhere, and the site builds, is searched, and is there for everybody.
 */
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { setup as findChromium } from "../scripts/chromium.mjs";
import { setup as findRedis } from "../scripts/redis.mjs";
import { data } from "./docs/data.ts";
import { install } from "./docs/installed.ts";
import { links } from "./docs/links.ts";
import { programs } from "./docs/programs.ts";
import { marks, scenes } from "./docs/scenes.ts";
import { site } from "./docs/site.ts";
import { Report } from "./report.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    plant: { type: "boolean", default: false },
    page: { type: "string", default: "" },
    pictures: { type: "string" },
  },
});
const report = new Report("docs");
const folder = await realpath(await mkdtemp(join(tmpdir(), "messageloop-docs-")));
let installed: Promise<void> | undefined;

const PARTS: Readonly<Record<string, () => void | Promise<void>>> = {
  links: () => links(report, values.plant),
  data: () => data(report, values.plant),
  programs: async () => {
    await packages();
    await programs(report, folder, values.plant);
  },
  commands: async () => {
    marks(report);
    findChromium();
    findRedis();
    await packages();
    await scenes(report, folder, values.page);
  },
  site: () => site(report, values.plant, values.pictures),
};

async function packages(): Promise<void> {
  installed ??= install(folder);
  await installed;
}

try {
  for (const name of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
    await report.part(name, async () => {
      const part = PARTS[name];
      if (part === undefined) throw new Error(`there are ${Object.keys(PARTS).join(", ")}`);
      await part();
    });
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
report.end();
