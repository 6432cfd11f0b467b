/**
 * Very many channel names that are each used once, all there at the same time, and then forgotten: memory comes
 * back, and no turn of the event loop is long, neither while they come nor while they go.
 */
import { pause, type Report } from "../report.ts";
import { inMiB } from "./churn.ts";
import { type Plant, SoakServer } from "./host.ts";
import { Peer, publishing } from "./peer.ts";
import type { TurnTimes } from "./turns.ts";

export interface NamesOptions {
  readonly names: number;
  /** How long a channel is kept: longer than it takes to use all of them, in seconds. */
  readonly ttlSeconds: number;
  /** How long after their time the last of them may be forgotten, in seconds. */
  readonly lateSeconds: number;
  readonly plant?: Plant;
}

const PEERS = 8;
/** Of each of them. What waits in all sockets is read in one turn, so this decides how long it is. */
const IN_FLIGHT = 16;
/** Beyond the memory from before: a share of it, and bytes. */
const SHARE = 0.1;
const BYTES = 20 * 1024 * 1024;
/** CPU of one turn in a thousand, in milliseconds. */
const TURN_MS = 50;
/** What a channel in memory takes at the very least. */
const LEAST_BYTES = 300;

export async function names(report: Report, options: NamesOptions): Promise<void> {
  const { ttlSeconds, lateSeconds, plant } = options;
  const ttl = `${ttlSeconds}s`;
  const channels = [{ pattern: "**", history_ttl: ttl, position_ttl: ttl, dedup_window: "30s" }];
  const server = await SoakServer.start({ channels, ...limits(options.names) }, plant);
  try {
    const peers = await Promise.all(
      Array.from({ length: PEERS }, () => Peer.connect(server.port, { capabilities: ["x"] })),
    );
    await use(peers, "before", Math.min(1_000, options.names));
    const before = await server.collect();
    const start = performance.now();
    const coming = await server.turnsOf(() => use(peers, "name", options.names));
    const seconds = (performance.now() - start) / 1_000;
    report.expect(
      seconds < ttlSeconds,
      `${options.names} names in ${seconds.toFixed(1)} s, at most ${ttl}`,
    );
    const refused = peers.flatMap((peer) => [...peer.refused]);
    report.expect(refused.length === 0, `refused: ${refused.join(", ") || "none"}`);
    // Without a collection: it would be the longest turn of all.
    const most = await server.memory();
    const end = performance.now() + (ttlSeconds + lateSeconds) * 1_000;
    const going = await server.turnsOf(async () => {
      while (performance.now() < end) {
        await Promise.all(peers.map((peer) => peer.ping()));
        await pause(5);
      }
    });
    const left = await server.collect();
    const limit = before.used * (1 + SHARE) + BYTES;
    report.expect(
      most.used - before.used > options.names * LEAST_BYTES,
      `all at once: ${inMiB(most.used)} MiB, ${Math.round((most.used - before.used) / options.names)} bytes for each name`,
    );
    report.expect(
      left.used <= limit,
      `memory ${inMiB(before.used)} MiB before, ${inMiB(left.used)} MiB after they are forgotten, at most ${inMiB(limit)} MiB; resident ${inMiB(before.rss)}, ${inMiB(most.rss)}, ${inMiB(left.rss)} MiB`,
    );
    judge(report, "while the names come", coming);
    judge(report, "while the names go", going);
    for (const peer of peers) peer.close();
  } finally {
    await server.stop();
  }
}

function judge(report: Report, when: string, turns: TurnTimes): void {
  const { count, p99, p999, longest, longestCollection } = turns;
  report.expect(
    p999 <= TURN_MS,
    `${when} turns take ${p999.toFixed(1)} ms of CPU at p99.9, at most ${TURN_MS}; p99 ${p99.toFixed(1)}, longest ${longest.toFixed(1)}, ${count} turns, longest collection ${longestCollection.toFixed(1)}`,
  );
}

/** Publishes once to each of so many channels. */
async function use(peers: readonly Peer[], prefix: string, count: number): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: PEERS * IN_FLIGHT }, async (_, i) => {
      const peer = peers[i % PEERS] as Peer;
      while (next < count) {
        next += 1;
        await peer.request(publishing(`${prefix}.${next}`));
      }
    }),
  );
}

/** Room for all of them, and no bound on how fast they come. */
function limits(names: number): object {
  return {
    limits: {
      channels: 2 * names + 10_000,
      new_channels_per_minute: 0,
      retained_bytes: 1_000 * names + 2 ** 28,
    },
  };
}
