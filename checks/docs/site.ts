/** The site: it builds, its links lead somewhere, it asks nobody else, it can be searched, and axe finds nothing in it. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { extname, join } from "node:path";
import type { BrowserContextOptions, Page } from "playwright-core";
import { setup as findChromium } from "../../scripts/chromium.mjs";
import { SECTIONS } from "../../site/navigation.ts";
import { type Chromium, launchChromium } from "../../test/e2e/browsers.ts";
import { run } from "../../test/support/packed.ts";
import type { Report } from "../report.ts";
import { root } from "./blocks.ts";
import { calculator } from "./calculator.ts";
import { listed } from "./links.ts";

const SITE = join(root, "site");
const BUILT = join(SITE, "dist/site");
export const ORIGIN = "http://site.test";
const PHONE = { width: 390, height: 844 };
const DESKTOP = { width: 1_280, height: 900 };
const LOOKED_AT = [
  "/",
  "/quickstart",
  "/cost-calculator",
  "/comparison",
  "/limits",
  "/reference/sdk/",
];
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript",
  ".css": "text/css",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};

/** @param pictures a folder for screenshots, where there is one */
export async function site(report: Report, plant: boolean, pictures: string | undefined) {
  if (!isInstalled()) run("npm", SITE, "ci", "--ignore-scripts", "--no-audit", "--no-fund");
  run(process.execPath, SITE, "build.ts");
  const pages = globSync("**/*.html", { cwd: BUILT }).toSorted();
  report.expect(pages.length > 30, `the site has ${pages.length} pages`);
  everyPageIsListed(report, pages);
  builtLinks(report, pages, plant);
  findChromium();
  const chromium = await launchChromium();
  try {
    await search(report, chromium);
    await calculator(
      report,
      await open(chromium, "/cost-calculator", { viewport: DESKTOP }),
      plant,
    );
    await axe(report, chromium, plant, pictures);
  } finally {
    await chromium.close();
  }
}

/** Whether site/node_modules is what the lock file says. */
function isInstalled(): boolean {
  const installed = join(SITE, "node_modules/.package-lock.json");
  if (!existsSync(installed)) return false;
  const { packages } = JSON.parse(readFileSync(join(SITE, "package-lock.json"), "utf8"));
  const { packages: there } = JSON.parse(readFileSync(installed, "utf8"));
  return Object.entries(there as Record<string, { version: string }>).every(
    ([place, { version }]) => packages[place]?.version === version,
  );
}

/** Of the pages of docs/ none is left out of the sidebar. */
function everyPageIsListed(report: Report, pages: readonly string[]): void {
  const links = SECTIONS.flatMap(({ items }) => items.map(({ link }) => fileOf(link)));
  const left = pages.filter(
    (page) =>
      !links.includes(page) && !/^(?:index|404|bench|results)\.html$|^reference\/sdk\//.test(page),
  );
  report.expect(left.length === 0, `the sidebar lists every page${listed(left)}`);
}

function fileOf(link: string): string {
  const path = decodeURI(link.split("#")[0] ?? "").replace(/^\//, "");
  if (path === "" || path.endsWith("/")) return `${path}index.html`;
  return extname(path) === "" ? `${path}.html` : path;
}

function builtLinks(report: Report, pages: readonly string[], plant: boolean): void {
  const html = new Map(pages.map((page) => [page, readFileSync(join(BUILT, page), "utf8")]));
  const ids = new Map(
    [...html].map(([page, text]) => [
      page,
      new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)),
    ]),
  );
  let count = 0;
  const broken: string[] = [];
  for (const [page, whole] of html) {
    const text = whole + (plant && page === "index.html" ? '<a href="/quickstart#none">' : "");
    for (const [, raw = ""] of text.matchAll(/ (?:href|src)="([^"]*)"/g)) {
      const to = raw.replaceAll("&amp;", "&");
      if (/^(?:[a-z]+:|\/\/)/.test(to)) continue;
      count += 1;
      const [path = "", anchor] = to.split("#");
      const file = path === "" ? page : fileOf(new URL(path, `${ORIGIN}/${page}`).pathname);
      if (!existsSync(join(BUILT, file))) broken.push(`${page}: ${to}`);
      else if (anchor && !ids.get(file)?.has(decodeURIComponent(anchor))) {
        broken.push(`${page}: ${to} is no heading`);
      }
    }
  }
  report.expect(
    broken.length === 0 && count > 0,
    `${count} links of the built pages lead somewhere${listed([...new Set(broken)])}`,
  );
}

/** Opens a page of what is built. What it asks of anyone else fails, and is in `strangers`. */
export async function open(chromium: Chromium, path: string, look: BrowserContextOptions) {
  const page = await chromium.newPage(look);
  const strangers: string[] = [];
  await page.route("**/*", async (route) => {
    const url = new URL(route.request().url());
    const file = join(BUILT, fileOf(url.pathname));
    if (url.origin !== ORIGIN || !existsSync(file)) {
      strangers.push(url.href);
      return await route.abort();
    }
    const contentType = TYPES[extname(file)] ?? "application/octet-stream";
    await route.fulfill({ body: await readFile(file), contentType });
  });
  await page.goto(`${ORIGIN}${path}`, { waitUntil: "networkidle" });
  // Its program has taken the page over, and named what only that knows.
  await page.waitForFunction("document.querySelector('#app')?.__vue_app__ !== undefined");
  return { page, strangers };
}

async function search(report: Report, chromium: Chromium): Promise<void> {
  const [index] = globSync("assets/chunks/@localSearchIndex*.js", { cwd: BUILT });
  report.expect(index !== undefined, `there is an index for the search: ${index}`);
  const { page, strangers } = await open(chromium, "/", { viewport: DESKTOP });
  await page.keyboard.press("Control+k");
  await page.locator(".VPLocalSearchBox input").fill("3510");
  const first = page.locator(".VPLocalSearchBox .result").first();
  await first.waitFor({ timeout: 10_000 });
  const found = (await first.innerText()).replace(/\s+/g, " ");
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => url.pathname !== "/");
  report.expect(
    strangers.length === 0,
    `the search for 3510 finds "${found}" and opens it, and nobody else is asked${listed(strangers)}`,
  );
  await page.close();
}

async function axe(
  report: Report,
  chromium: Chromium,
  plant: boolean,
  pictures: string | undefined,
) {
  const script = await readFile(
    createRequire(import.meta.url).resolve("axe-core/axe.min.js"),
    "utf8",
  );
  if (pictures !== undefined) await mkdir(pictures, { recursive: true });
  const paths = LOOKED_AT;
  const found: string[] = [];
  for (const path of paths) {
    for (const [size, viewport] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
      for (const colorScheme of ["light", "dark"] as const) {
        const { page, strangers } = await open(chromium, path, { viewport, colorScheme });
        if (plant)
          await page.evaluate("document.querySelector('h1').innerHTML += '<img src=\"data:,\">'");
        const where = `${path}, ${size}, ${colorScheme}`;
        found.push(...(await violations(page, script)).map((one) => `${where}: ${one}`));
        const wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
        if (Number(wider) > 0) found.push(`${where}: ${wider} px wider than the screen`);
        found.push(...strangers.map((url) => `${where}: asks ${url}`));
        if (pictures !== undefined) {
          const name = `${path.replace(/\W/g, "-")}-${size}-${colorScheme}.png`;
          await page.screenshot({ path: join(pictures, name) });
        }
        await page.close();
      }
    }
  }
  report.expect(
    found.length === 0,
    `axe finds nothing in ${paths.length} pages, on desktop and phone, light and dark, and none is wider than its screen${listed(found)}`,
  );
}

async function violations(page: Page, script: string): Promise<string[]> {
  await page.evaluate(script);
  return (await page.evaluate(
    `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
      violations.map(({ id, nodes }) => id + " at " + nodes.slice(0, 3).map(({ target }) => target.join(" ")).join(", ")))`,
  )) as string[];
}
