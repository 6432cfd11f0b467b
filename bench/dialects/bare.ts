/** The dialect of the bare servers: `setup` is answered and does nothing, `join CHANNEL` is answered and subscribes. */
import type { Dialect } from "../dialect.ts";

export function bareDialect(): Dialect {
  return {
    path: "/ws",
    binary: false,
    setup: (_client, channel) => ["setup", channel === undefined ? "setup" : `join ${channel}`],
    publish: (channel, sequence, mark, padding) => `${channel} ${sequence} ${mark}${padding}`,
  };
}
