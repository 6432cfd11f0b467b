/** Finds a Chromium, or installs one; MESSAGELOOP_CHROMIUM names it then. */
export function setup(): void;
