/**
 * Threads end one after the other while clients publish and read: what was acknowledged has come, or a gap says that it has
 * not, and clients get in.
 */
import { setTimeout as pause } from "node:timers/promises";
import { type Client, createClient, createCloudEvent } from "../../src/index.ts";
import { open, startThreads, type ThreadsProcess } from "../../test/server/threads-process.ts";
import { eventually } from "../../test/support/eventually.ts";
import { percentile, type Report } from "../report.ts";
import { Reader } from "./reader.ts";

const THREADS = 4;
const CHANNELS = 20;
const READERS = 8;
const PUBLISHERS = 4;
/** Publishes of each publisher in a second. */
const RATE = 50;
/** Between the moment at which all threads are well and the next death, in milliseconds. */
const REST_MS = 1_000;
/** Between two tries to get in, in milliseconds. */
const KNOCK_MS = 50;
/** A client is refused for so long at most, in milliseconds. */
const MOST_REFUSED_MS = 2_000;
/** Within this time all that was acknowledged has come, in milliseconds. */
const ARRIVAL_MS = 15_000;
/** The check ends more threads than a server may lose. */
const ANY_DEATHS = 1_000_000;

export interface DeathsTerms {
  readonly deaths: number;
  /** A reader does not take all that comes. */
  readonly plant: boolean;
}

interface Acknowledged {
  readonly channel: string;
  readonly epoch: string;
  readonly offset: number;
}

export async function deaths(report: Report, { deaths, plant }: DeathsTerms): Promise<void> {
  const server = await startThreads(THREADS, {}, { mostDeaths: ANY_DEATHS });
  const channels = Array.from({ length: CHANNELS }, (_, i) => `check.${i}`);
  // What a client reports beside its promises is not judged.
  const client = (): Client => createClient(server.url, { onError: () => {} });
  const clients = Array.from({ length: READERS + PUBLISHERS }, client);
  const readers = clients.slice(0, READERS).map((one) => new Reader(one, channels, plant));
  await Promise.all(readers.map((reader) => reader.ready));
  const acknowledged: Acknowledged[] = [];
  const waits: number[] = [];
  const refusals = new Map<string, number>();
  const knocks: number[] = [];
  let over = false;
  const publishing = clients.slice(READERS).map(async (one, publisher) => {
    const open = new Set<Promise<void>>();
    for (let number = 0; !over; number++) {
      const channel = channels[number % CHANNELS] ?? "";
      const began = performance.now();
      const event = createCloudEvent({ source: `/${publisher}`, type: "check", data: `${number}` });
      const done = one.publish(channel, event).then(
        ({ epoch, offset }) => {
          waits.push(performance.now() - began);
          acknowledged.push({ channel, epoch, offset });
        },
        ({ code }: { code?: string }) => {
          refusals.set(code ?? "", (refusals.get(code ?? "") ?? 0) + 1);
        },
      );
      open.add(done);
      done.finally(() => open.delete(done)).catch(() => {});
      await pause(1_000 / RATE);
    }
    await Promise.all(open);
  });
  const knocking = (async () => {
    while (!over) {
      knocks.push(await untilIn(server));
      await pause(KNOCK_MS);
    }
  })();
  const replacements: number[] = [];
  for (let death = 0; death < deaths; death++) {
    await pause(REST_MS);
    const began = performance.now();
    await server.kill(Math.floor(Math.random() * THREADS));
    await eventually(server.ready);
    replacements.push(performance.now() - began);
    if ((death + 1) % 25 === 0) report.say(`${death + 1} threads have ended`);
  }
  await pause(REST_MS);
  over = true;
  await Promise.all([...publishing, knocking]);
  const logs = new Map(
    [...Map.groupBy(acknowledged, ({ channel }) => channel)].map(([channel, all]) => {
      return [channel, [...new Set(all.map(({ epoch }) => epoch))]] as const;
    }),
  );
  const lostBy = (reader: Reader): readonly Acknowledged[] =>
    acknowledged.filter((one) => !reader.knows(one, logs.get(one.channel) ?? []));
  const missing = (): number => readers.reduce((all, reader) => all + lostBy(reader).length, 0);
  await eventually(missing, (count) => count === 0, ARRIVAL_MS).catch(() => {});
  const gaps = readers.reduce((all, reader) => all + reader.gaps, 0);
  const unheard = readers.reduce(
    (all, reader) => all + acknowledged.filter((one) => !reader.has(one)).length,
    0,
  );
  const wrong = readers.flatMap((reader) => reader.problems);
  const longest = Math.max(...knocks);
  report.say(
    `${deaths} threads ended; replaced after ${ms(percentile(replacements, 0.5))}, at most ${ms(Math.max(...replacements))}`,
  );
  report.say(
    `publishes were acknowledged after ${ms(percentile(waits, 0.5))}, p99 ${ms(percentile(waits, 0.99))}, at most ${ms(Math.max(...waits))}; refused: ${JSON.stringify(Object.fromEntries(refusals))}`,
  );
  report.expect(
    missing() === 0,
    `${acknowledged.length} acknowledged publishes to ${READERS} readers: ${missing()} lost without a gap, ${unheard} with one of ${gaps} gaps`,
  );
  report.expect(
    wrong.length === 0,
    `twice or out of order: ${wrong.slice(0, 5).join("; ") || "none"}`,
  );
  report.expect(
    longest <= MOST_REFUSED_MS,
    `${knocks.length} clients knocked until they were in: at most ${ms(longest)} (${ms(MOST_REFUSED_MS)}), p99 ${ms(percentile(knocks, 0.99))}`,
  );
  await Promise.all(clients.map((one) => one.close()));
  server.terminate();
  const { code } = await server.ended;
  report.expect(code === 0, `the server ended with ${code}`);
}

/** How long a client knocks until it is in, in milliseconds. */
async function untilIn({ url }: ThreadsProcess): Promise<number> {
  const began = performance.now();
  for (;;) {
    try {
      const client = await open(url);
      client.socket.close();
      return performance.now() - began;
    } catch {
      await pause(KNOCK_MS);
    }
  }
}

function ms(value: number): string {
  return `${value.toFixed(0)} ms`;
}
