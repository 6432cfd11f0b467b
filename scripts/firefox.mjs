/** Runs before the browser tests: finds a Firefox, or installs one. */
import { provide } from "./debian.mjs";

export function setup() {
  provide("MESSAGELOOP_FIREFOX", {
    names: ["firefox-esr", "firefox"],
    packageName: "firefox-esr",
    otherwise: "The browser tests need Firefox: install Debian's package firefox-esr.",
  });
}
