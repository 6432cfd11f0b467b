/** Runs before the tests that start Redis: finds a server, or installs one. */
import { provide } from "./debian.mjs";

export function setup() {
  provide("MESSAGELOOP_REDIS_SERVER", {
    names: ["redis-server", "valkey-server"],
    packageName: "redis-server",
    otherwise: "The tests of many processes need Redis 7: install Debian's package redis-server.",
  });
}
