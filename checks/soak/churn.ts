/** Clients that come, subscribe, publish and go, over and over: what they leave behind in the server. */
import type { Report } from "../report.ts";
import { pause } from "../report.ts";
import { type Memory, type Plant, SoakServer } from "./host.ts";
import { connecting, event, Peer, publishing } from "./peer.ts";

export interface ChurnOptions {
  /** Cycles before memory is measured for the first time, and in all. */
  readonly first: number;
  readonly total: number;
  readonly plant?: Plant;
}

/** How much memory may grow from the first measurement to the last. */
const GROWTH = 0.05;
/** Clients that are there at the same time. */
const TOGETHER = 100;
/** Everything that clients leave for a while is gone after this time, in milliseconds. */
const FORGOTTEN_MS = 120_000;
/** Looks at memory that find no less than before, one after the other: longer than from one sweep to the next. */
const STEADY = 6;
const LOOK_MS = 500;
/** A short one of everything that has a time: it is over when memory is measured. */
const SETTINGS = {
  channels: [
    {
      pattern: "**",
      history_ttl: "1s",
      position_ttl: "1s",
      presence_grace: "1s",
      dedup_window: "30s",
    },
  ],
};

export async function churn(report: Report, options: ChurnOptions): Promise<void> {
  const { first, total, plant } = options;
  const server = await SoakServer.start(SETTINGS, plant);
  try {
    const failures: string[] = [];
    await cycles(server.port, 0, first, failures);
    const before = await settled(server);
    report.say(
      `after ${first} cycles ${inMiB(before.used)} MiB, resident ${inMiB(before.rss)} MiB`,
    );
    await cycles(server.port, first, total, failures);
    const after = await settled(server);
    report.say(`after ${total} cycles ${inMiB(after.used)} MiB, resident ${inMiB(after.rss)} MiB`);
    const growth = after.used / before.used - 1;
    const percent = (growth * 100).toFixed(1);
    report.expect(
      growth <= GROWTH,
      `memory of cycle ${first} to ${total} grows by ${percent} %, at most 5 %`,
    );
    const { sessions, subscriptions, channels, patterns } = after;
    const left = sessions + subscriptions + channels + patterns;
    report.expect(left === 0, `${left} sessions, subscriptions, channels and patterns are left`);
    report.expect(failures.length === 0, `${failures.length} cycles failed ${failures[0] ?? ""}`);
  } finally {
    await server.stop();
  }
}

async function cycles(port: number, from: number, to: number, failures: string[]): Promise<void> {
  let next = from;
  await Promise.all(
    Array.from({ length: TOGETHER }, async () => {
      while (next < to) {
        const number = next;
        next += 1;
        await cycle(port, number).catch((error) => failures.push(`${number}: ${error}`));
      }
    }),
  );
}

/** One client of ten kinds, all of which come often. */
async function cycle(port: number, number: number): Promise<void> {
  const kind = number % 10;
  const peer = await Peer.open(port);
  try {
    // It goes without a word.
    if (kind === 0) return;
    // It sends what is none.
    if (kind === 1) {
      peer.sendRaw("{");
      await peer.request({ envelope: { case: "publish", value: {} } }).catch(() => {});
      return;
    }
    const own = `churn.${number}`;
    const patterns = kind === 2 ? [`${own}.*`, `*.${number}.**`] : [];
    const capabilities = kind % 2 === 0 ? ["presence", "recovery", "history", "patterns"] : [];
    const channels = [own, "room", ...patterns];
    await peer.request(connecting({ clientId: `c${number}`, capabilities, channels }));
    await peer.request(publishing(own));
    if (kind === 4) {
      await peer.request({
        envelope: { case: "historyRequest", value: { channel: own, limit: 5 } },
      });
    }
    // Answers of others are nothing to wait for.
    if (kind === 5) {
      const value = { requestId: `s${number}`, payload: event() };
      peer.send({ envelope: { case: "surveyRequest", value } });
    }
  } finally {
    if (kind % 3 === 0) peer.terminate();
    else peer.close();
  }
}

/** Memory after everything that is kept for a while has gone. */
async function settled(server: SoakServer): Promise<Memory> {
  const deadline = performance.now() + FORGOTTEN_MS;
  let least = await server.collect();
  let steady = 0;
  // Sweeps come when they will: what counts is what is left when nothing becomes less any more.
  while (performance.now() < deadline && steady < STEADY) {
    await pause(LOOK_MS);
    const memory = await server.collect();
    const open = memory.sessions + memory.subscriptions;
    steady = open === 0 && memory.used > least.used * 0.995 ? steady + 1 : 0;
    if (memory.used < least.used) least = memory;
  }
  return least;
}

export function inMiB(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1);
}
