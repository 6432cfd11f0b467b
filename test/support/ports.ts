/**
 * Ports for servers that have to be told theirs. They lie below those that systems hand out by
 * themselves, and a port is told to one server alone: other tests' servers and clients could be given it
 * until that server listens, and again while it is being restarted.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/** What each kind of server takes its ports from. They do not overlap. */
const RANGES = {
  /** A server of a cluster also listens ten thousand above: up to 24,999. */
  redis: { first: 10_000, count: 5_000, offsets: [0, 10_000] },
  serve: { first: 15_000, count: 5_000, offsets: [0] },
  bench: { first: 25_000, count: 5_000, offsets: [0] },
  worker: { first: 30_000, count: 2_700, offsets: [0] },
} as const;

/** A port that no other call gets, of this process or of another one, until this process ends. */
export async function settledPort(kind: keyof typeof RANGES): Promise<number> {
  const { first, count, offsets } = RANGES[kind];
  for (;;) {
    const port = first + Math.floor(Math.random() * count);
    const mark = await reserved(port);
    if (mark === undefined) continue;
    const free = await Promise.all(offsets.map((offset) => isFree(port + offset)));
    if (free.every(Boolean)) return port;
    mark.close();
  }
}

/** The mark that a port is taken is the UDP port of the same number: it goes with the process that has it. */
async function reserved(port: number): Promise<Socket | undefined> {
  const mark = createSocket("udp4");
  try {
    mark.bind({ port, address: "127.0.0.1", exclusive: true });
    await once(mark, "listening");
    mark.unref();
    return mark;
  } catch {
    return undefined;
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return await new Promise((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
