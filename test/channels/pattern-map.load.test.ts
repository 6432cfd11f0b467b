/** What a look-up among a million patterns costs beside one among a thousand, and what they hold. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { PatternMap } from "../../src/channels/pattern-map.ts";
import { type SeededRandom, seededRandom } from "../support/random.ts";

const MANY = 1_000_000;
const FEW = 1_000;
const BUSY = 256;
/** Look-ups that are timed at once. */
const LOOKUPS = 65_536;
const ROUNDS = 9;
/** Bytes of a heap for one of the patterns below; its value is a small number. */
const MAX_BYTES = 512;

/** One pattern for each number, and a channel by that number and a word of its own. */
const KINDS = [
  {
    pattern: (i: number) => `user.${i}.**`,
    channel: (i: number, word: string) => `user.${i}.inbox.${word}`,
  },
  {
    pattern: (i: number) => `org.${i % 1_000}.room.${i}.*`,
    channel: (i: number, word: string) => `org.${i % 1_000}.room.${i}.${word}`,
  },
  {
    pattern: (i: number) => `org.${i}.*.events`,
    channel: (i: number, word: string) => `org.${i}.${word}.events`,
  },
  {
    // A name without a wildcard, beside those that nobody asked for.
    pattern: (i: number) => `device.${i}.state`,
    channel: (i: number, word: string) => `device.${i}.${word}`,
  },
];
const WIDE = ["audit.**", "org.*.room.**", "*.*.state"];

test(`a look-up among ${MANY} patterns costs little more than one among ${FEW}`, () => {
  const random = seededRandom(5);
  const before = settledHeap();
  const many = { map: mapOf(MANY), count: MANY };
  const bytes = (settledHeap() - before) / MANY;
  const few = { map: mapOf(FEW), count: FEW };
  console.log(`${Math.round(bytes)} bytes for each of ${MANY} patterns`);
  expect(bytes).toBeLessThan(MAX_BYTES);

  const busy = compare(few, many, ({ count }) => {
    const channels = Array.from({ length: BUSY }, () => someChannel(random, count));
    return () => Array.from({ length: LOOKUPS }, () => random.pick(channels));
  });
  console.log(`${BUSY} busy channels: ${said(busy)}`);
  const anew = compare(few, many, ({ count }) => {
    return () => Array.from({ length: LOOKUPS }, () => someChannel(random, count));
  });
  console.log(`random channels: ${said(anew)}`);

  expect(busy.ratio).toBeLessThan(3);
  expect(busy.perSecond).toBeGreaterThan(1_000_000);
  expect(anew.ratio).toBeLessThan(12);
  expect(anew.perSecond).toBeGreaterThan(250_000);
});

interface Subject {
  readonly map: PatternMap<number>;
  readonly count: number;
}

interface Comparison {
  /** Time among many by time among few. */
  readonly ratio: number;
  /** Look-ups among many in the best round: a neighbour only ever makes one longer. */
  readonly perSecond: number;
}

/** Compares medians of rounds in turn, so that what else the machine does meets both. */
function compare(
  few: Subject,
  many: Subject,
  channelsFor: (subject: Subject) => () => string[],
): Comparison {
  const subjects = [few, many].map(({ map, count }) => ({
    map,
    channels: channelsFor({ map, count }),
    times: [] as number[],
  }));
  for (let round = 0; round <= ROUNDS; round++) {
    for (const { map, channels, times } of subjects) {
      const ms = time(map, channels());
      // The first round warms up.
      if (round > 0) times.push(ms);
    }
  }
  const [short = 0, long = 0] = subjects.map(({ times }) => median(times));
  const [, best = 0] = subjects.map(({ times }) => Math.min(...times));
  return { ratio: long / short, perSecond: (LOOKUPS / best) * 1_000 };
}

/** Milliseconds of this thread that the look-ups take: a neighbour has some of those of the clock. */
function time(map: PatternMap<number>, channels: readonly string[]): number {
  // A server reads every name anew from a frame: it is another string, and has no hash yet.
  const read = channels.map((channel) => Buffer.from(channel).toString());
  let hits = 0;
  const began = process.threadCpuUsage();
  for (const channel of read) hits += map.match(channel).length;
  const { user, system } = process.threadCpuUsage(began);
  const ms = (user + system) / 1_000;
  // Most channels are meant by a pattern, and some by none.
  expect(hits).toBeGreaterThan(LOOKUPS / 2);
  expect(hits).toBeLessThan(LOOKUPS * 2);
  return ms;
}

function mapOf(count: number): PatternMap<number> {
  const map = new PatternMap<number>();
  for (const pattern of WIDE) map.set(pattern, -1);
  for (let i = 0; map.size < count; i++) map.set(kindOf(i).pattern(i), i);
  return map;
}

/** A channel that nearly no other call makes. */
function someChannel(random: SeededRandom, count: number): string {
  const i = random.int(count);
  return kindOf(i).channel(i, `w${random.int(2 ** 32)}`);
}

function kindOf(i: number): (typeof KINDS)[number] {
  return KINDS[i % KINDS.length] as (typeof KINDS)[number];
}

function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
}

function said({ ratio, perSecond }: Comparison): string {
  return `${Math.round(perSecond)}/s among ${MANY} patterns, ${ratio.toFixed(2)} times as long as among ${FEW}`;
}

/** Bytes of the heap that are in use after a collection. */
function settledHeap(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
}
