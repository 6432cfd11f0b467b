/** Runs before the browser tests: finds a Chromium, or installs one. */
import { provide } from "./debian.mjs";

export function setup() {
  provide("MESSAGELOOP_CHROMIUM", {
    names: ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"],
    packageName: "chromium",
    otherwise: "The browser tests need Chromium: install Debian's package chromium.",
  });
}
