/** Chromium and Firefox, for tests of pages that are the same in both. */
import { chromium } from "playwright-core";
import puppeteer from "puppeteer-core";

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

async function launchChromium(): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: programOf("MESSAGELOOP_CHROMIUM") });
  return {
    open: async (url, before = "") => {
      const page = await browser.newPage();
      await page.addInitScript(before);
      await page.goto(url);
      return page;
    },
    close: () => browser.close(),
  };
}

async function launchFirefox(): Promise<Browser> {
  const executablePath = programOf("MESSAGELOOP_FIREFOX");
  const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
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

function programOf(name: string): string {
  const path = process.env[name];
  if (path === undefined) throw new Error(`${name} names no browser`);
  return path;
}
