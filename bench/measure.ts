/**
 * Measures the rows of a group in generations. A generation starts all targets afresh and takes each row on all of them
 * in turns, so that whatever the machine does meanwhile meets all of them; a pair is what two targets took in the same
 * row of the same generation.
 */
import { seededRandom } from "../test/support/random.ts";
import { Generator } from "./generator/generator.ts";
import { watchOthers } from "./machine.ts";
import type { Group, Measurement, Row, Stage } from "./row.ts";
import type { Running, Target } from "./target.ts";
import { inTurns, type Turn } from "./turns.ts";

export interface MeasureOptions {
  readonly targets: readonly Target[];
  readonly rows: readonly Row[];
  readonly generations: number;
  readonly seconds: number;
  readonly saturate: boolean;
  /** Hears of each measurement. */
  measured(row: Row, target: Target, measurement: Measurement | Error): void;
  /** Called before a row is measured on a target. */
  before?(row: Row, target: Target, running: Running): Promise<void>;
}

interface Started {
  readonly target: Target;
  readonly running: Running;
}

/** @returns for each generation how many cores other programs took meanwhile */
export async function measureGroup(
  group: Group,
  options: MeasureOptions,
): Promise<readonly number[]> {
  const others: number[] = [];
  for (let generation = 0; generation < options.generations; generation++) {
    const watched = watchOthers();
    await measureGeneration(group, options, generation);
    others.push(watched());
  }
  return others;
}

async function measureGeneration(
  group: Group,
  options: MeasureOptions,
  generation: number,
): Promise<void> {
  const { targets, rows, seconds, saturate } = options;
  const generator = Generator.start();
  const started: Started[] = [];
  let channels = 0;
  const stageOf = ({ target, running }: Started, turn: Turn): Stage => {
    channels += 1;
    return { target, running, generator, channel: `bench.${channels}`, seconds, saturate, turn };
  };
  try {
    for (const target of turned(targets, generation)) {
      const running = await startedOr(target);
      if (!(running instanceof Error)) started.push({ target, running });
      // An older commit may not know what the group is about: the others are measured all the same.
      else for (const row of rows) options.measured(row, target, running);
    }
    const failures = await inTurns(
      started.map((each) => (turn) => failureOf(group.warm(stageOf(each, turn)))),
    );
    const warm = started.filter((_, i) => failures[i] === undefined);
    for (const [i, { target }] of started.entries()) {
      const failure = failures[i];
      // A run of half an hour does not end for one target that fails.
      if (failure !== undefined) for (const row of rows) options.measured(row, target, failure);
    }
    const order = shuffled(rows, generation);
    for (const [place, row] of order.entries()) {
      const able = turned(warm, generation + place).filter(({ target }) => {
        return row.on?.(target) !== false;
      });
      for (const { target, running } of able) await options.before?.(row, target, running);
      const measurements = await inTurns(
        able.map((each) => (turn) => measured(row, stageOf(each, turn))),
      );
      for (const [i, { target }] of able.entries()) {
        options.measured(row, target, measurements[i] as Measurement | Error);
      }
    }
  } finally {
    await Promise.all([generator.stop(), ...started.map(({ running }) => running.stop())]);
  }
}

async function startedOr(target: Target): Promise<Running | Error> {
  try {
    return await target.start();
  } catch (error) {
    return asError(error);
  }
}

async function measured(row: Row, stage: Stage): Promise<Measurement | Error> {
  try {
    return await row.measure(stage);
  } catch (error) {
    return asError(error);
  }
}

async function failureOf(work: Promise<void>): Promise<Error | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return asError(error);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** The order of a generation. It follows from its number, so that two runs are alike. */
function shuffled<T>(items: readonly T[], seed: number): readonly T[] {
  const random = seededRandom(seed);
  return items
    .map((item) => ({ item, key: random.next() }))
    .sort((left, right) => left.key - right.key)
    .map(({ item }) => item);
}

function turned<T>(items: readonly T[], by: number): readonly T[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
