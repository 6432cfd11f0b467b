/** Finds a Firefox, or installs one; MESSAGELOOP_FIREFOX names it then. */
export function setup(): void;
