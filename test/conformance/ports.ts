/**
 * Ports for servers that have to be told theirs. They lie below those that systems hand out by
 * themselves: until such a server listens, other tests' servers and clients could be given its port.
 */
import { createServer } from "node:net";

/** What each kind of server takes its ports from. They do not overlap. */
const RANGES = {
  /** A server of a cluster also listens ten thousand above: up to 29,999. */
  redis: { first: 10_000, count: 10_000, offsets: [0, 10_000] },
  wrangler: { first: 30_000, count: 2_000, offsets: [0] },
  bench: { first: 32_000, count: 700, offsets: [0] },
} as const;

export async function settledPort(kind: keyof typeof RANGES): Promise<number> {
  const { first, count, offsets } = RANGES[kind];
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    const free = await Promise.all(offsets.map((offset) => isFree(port + offset)));
    if (free.every(Boolean)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return await new Promise((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
