/** Chromium and Firefox, for tests of pages that are the same in both. */
import { type BrowserContextOptions, chromium, type Page } from "playwright-core";
import puppeteer, { type Browser as UsedBrowser } from "puppeteer-core";

export interface BrowserPage {
  /** Resolves with what a script comes to. */
  evaluate(script: string): Promise<unknown>;
  close(): Promise<void>;
}

export interface Browser {
  /**
   * Opens a page of an address.
   *
   * @param before runs before the page's own scripts
   */
  open(url: string, before?: string): Promise<BrowserPage>;
  close(): Promise<void>;
}

export const BROWSERS = ["Chromium", "Firefox"] as const;

export async function launch(name: (typeof BROWSERS)[number]): Promise<Browser> {
  return name === "Chromium" ? await launchChromium() : await launchFirefox();
}

/** What drivers tell Chromium so that nothing is in their way, and what its users do not. */
const SWITCHES = [
  "--disable-back-forward-cache",
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-renderer-backgrounding",
];

/**
 * Starts a browser as people have it: a tab behind another is hidden and slowed down, and a page that was left may be kept.
 *
 * @param features of Chromium, to switch on
 */
export async function launchAsUsed(
  name: (typeof BROWSERS)[number],
  features: readonly string[] = [],
): Promise<UsedBrowser> {
  if (name === "Firefox") return await launchUsedFirefox();
  return await puppeteer.launch({
    executablePath: programOf("MESSAGELOOP_CHROMIUM"),
    headless: true,
    ignoreDefaultArgs: SWITCHES,
    // Root has no other way.
    args: ["--no-sandbox", ...features.map((feature) => `--enable-features=${feature}`)],
  });
}

export interface Chromium extends Browser {
  /** A page of a certain size, or with other wishes of its user. */
  newPage(look: BrowserContextOptions): Promise<Page>;
}

export async function launchChromium(): Promise<Chromium> {
  const browser = await chromium.launch({ executablePath: programOf("MESSAGELOOP_CHROMIUM") });
  return {
    open: async (url, before = "") => {
      const page = await browser.newPage();
      await page.addInitScript(before);
      await page.goto(url);
      return page;
    },
    newPage: (look) => browser.newPage(look),
    close: () => browser.close(),
  };
}

async function launchFirefox(): Promise<Browser> {
  const browser = await launchUsedFirefox();
  return {
    open: async (url, before = "") => {
      const page = await browser.newPage();
      await page.evaluateOnNewDocument(before);
      await page.goto(url);
      return page;
    },
    close: () => browser.close(),
  };
}

/** What Firefox starts beside its pages, which takes a third of its start and shows no page anything. */
const NOTHING_BESIDE = {
  "dom.ipc.processPrelaunch.enabled": false,
  "media.rdd-process.enabled": false,
  "media.utility-process.enabled": false,
  "layers.gpu-process.enabled": false,
  "network.process.enabled": false,
  "extensions.enabledScopes": 0,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "services.settings.server": "data:,#none",
};

async function launchUsedFirefox(): Promise<UsedBrowser> {
  const executablePath = programOf("MESSAGELOOP_FIREFOX");
  const how = { executablePath, extraPrefsFirefox: NOTHING_BESIDE, headless: true };
  return await puppeteer.launch({ browser: "firefox", ...how });
}

function programOf(name: string): string {
  const path = process.env[name];
  if (path === undefined) throw new Error(`${name} names no browser`);
  return path;
}
