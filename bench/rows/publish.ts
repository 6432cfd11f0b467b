/** What is common to the rows that publish. */
import { setTimeout as pause } from "node:timers/promises";
import type { Encoding } from "../../src/protocol/codec.ts";
import type { DialectSpec } from "../dialect.ts";
import { ALL_KINDS } from "../dialects/messageloop.ts";
import type { RemoteLoad } from "../generator/generator.ts";
import { Histogram } from "../generator/histogram.ts";
import type { LoadOptions, LoadSample } from "../generator/load.ts";
import type { Measurement, Row, Saturation, Stage } from "../row.ts";
import { cpuOf, nodesOf, type Target } from "../target.ts";

export interface Publishing {
  readonly load: Omit<LoadOptions, "ports" | "dialects" | "channel" | "apart">;
  /** Whether publishers have no subscription. */
  readonly apart?: boolean;
  /** Whether they are on the second node of the target, and so apart. */
  readonly across?: boolean;
  /** What clients of our own speak. Default what the target says. */
  readonly speaking?: readonly DialectSpec[];
  /** Publishes in flight at saturation. */
  readonly window: number;
  /** Publishes a second at the fixed rate: what leaves each target idle for a good part of the time. */
  readonly rate: number;
}

/** How long a load runs before it is measured, in seconds. */
const WARM_SECONDS = 0.2;
/** Saturation takes a shorter time: it is only quoted. */
const SATURATION_SHARE = 0.5;
/**
 * For how long the fixed rate is offered at a time, in seconds, and publishes in it at least. The speed of a machine
 * changes within tens of milliseconds, by half and more: what is compared has to be measured in the same ones.
 */
const SLICE_SECONDS = 0.025;
const SLICE_PUBLISHES = 5;
/**
 * Slices that are compared together last for so long, in seconds: what a program does now and then, such as collecting
 * young garbage, is in each of them.
 */
const PART_SECONDS = 0.1;
/** From so many subscribers on, those of one target at a time are all that a process may open. */
const MANY = 5_000;
/** What a target still does after a load is done within this time, in milliseconds. */
export const SETTLE_MS = 100;

/** @param on which targets can answer, default those that speak JSON or something else than our own */
export function publishRow(
  name: string,
  question: string,
  publishing: Publishing,
  on: Row["on"] = speaks("json"),
): Row {
  const measure = (stage: Stage): Promise<Measurement> => measurePublishing(stage, publishing);
  return { name, question, unit: "deliveries", on, measure };
}

export function isOurs({ dialect }: Target): boolean {
  return dialect.name === "messageloop";
}

/** Our own, which speaks both, and all others that do not speak the other encoding. */
export function speaks(encoding: Encoding): (target: Target) => boolean {
  return (target) => {
    const spoken = target.dialect.options?.["encoding"];
    return isOurs(target) || spoken === undefined || spoken === encoding;
  };
}

/** Our own in an encoding, and the bare servers, which have none. */
export function isBareOr(encoding: Encoding): (target: Target) => boolean {
  return (target) => (isOurs(target) ? speaks(encoding)(target) : target.dialect.name === "bare");
}

/** Costs are those of a delivery. */
async function measurePublishing(stage: Stage, row: Publishing): Promise<Measurement> {
  const { window, rate, load: shape } = row;
  const alone = shape.subscribers > MANY;
  const turn = alone ? async () => {} : stage.turn;
  const slices = alone ? 1 : slicesOf(stage.seconds, rate);
  const load = await openLoad(stage, row);
  try {
    // A channel's first publish may do more than the others.
    for (let warm = 0; warm < (shape.channels ?? 1); ) {
      warm += (await load.closed({ window, seconds: WARM_SECONDS })).operations;
    }
    await turn();
    const saturation = stage.saturate ? await saturate(stage, load, window) : undefined;
    const pace = new Pace(slicesOfPart(stage.seconds / slices));
    for (let slice = 0; slice < slices; slice++) {
      await turn();
      if (slice === 0) await pause(SETTLE_MS);
      const seconds = stage.seconds / slices;
      pace.add(await cpuDuring(stage, () => load.paced({ rate, seconds })));
    }
    // All have measured before the first one closes its connections, which is work for its target.
    await turn();
    return { ...pace.measurement(), ...(saturation === undefined ? {} : { saturation }) };
  } finally {
    await load.close();
  }
}

/** In how many turns the fixed rate is offered. */
function slicesOf(seconds: number, rate: number): number {
  return Math.max(
    1,
    Math.floor(Math.min(seconds / SLICE_SECONDS, (seconds * rate) / SLICE_PUBLISHES)),
  );
}

/** How many slices are compared together. */
function slicesOfPart(seconds: number): number {
  return Math.max(1, Math.round(PART_SECONDS / seconds));
}

async function saturate(stage: Stage, load: RemoteLoad, window: number): Promise<Saturation> {
  const seconds = stage.seconds * SATURATION_SHARE;
  const { sample, cpu } = await cpuDuring(stage, () => load.closed({ window, seconds }));
  return {
    perSecond: sample.deliveries / sample.seconds,
    target: cpu / 1e9 / sample.seconds,
    generator: sample.cpu / 1e9 / sample.seconds,
  };
}

/** The slices at the fixed rate together. */
class Pace {
  readonly #latency = new Histogram();
  readonly #slicesOfPart: number;
  readonly #slices: { readonly cpu: number; readonly deliveries: number }[] = [];
  #cpu = 0;
  #operations = 0;
  #deliveries = 0;
  #reads = 0;
  #late = 0;

  constructor(slicesOfPart: number) {
    this.#slicesOfPart = slicesOfPart;
  }

  add({ sample, cpu }: { sample: LoadSample; cpu: number }): void {
    this.#latency.merge(new Histogram(sample.latency));
    this.#slices.push({ cpu, deliveries: sample.deliveries });
    this.#cpu += cpu;
    this.#operations += sample.operations;
    this.#deliveries += sample.deliveries;
    this.#reads += sample.reads;
    this.#late += sample.late;
  }

  /** What a delivery cost in each part; slices at the end that make no whole one are left out. */
  #parts(): readonly number[] {
    const parts: number[] = [];
    for (let end = this.#slicesOfPart; end <= this.#slices.length; end += this.#slicesOfPart) {
      let [cpu, deliveries] = [0, 0];
      for (const slice of this.#slices.slice(end - this.#slicesOfPart, end)) {
        cpu += slice.cpu;
        deliveries += slice.deliveries;
      }
      parts.push(cpu / deliveries);
    }
    return parts;
  }

  measurement(): Measurement {
    return {
      cost: this.#cpu / this.#deliveries,
      parts: this.#parts(),
      perPublish: this.#deliveries / this.#operations,
      latency: this.#latency.counts,
      late: this.#late / this.#operations,
      together: this.#deliveries / this.#reads,
    };
  }
}

export async function openLoad(
  { generator, running, target, channel }: Stage,
  { load, apart, across, speaking }: Pick<Publishing, "load" | "apart" | "across" | "speaking">,
): Promise<RemoteLoad> {
  const ports = [running.port];
  const publishers = across === true ? [nodesOf(running).second] : ports;
  return await generator.open({
    ...load,
    ports,
    channel,
    dialects: isOurs(target) && speaking !== undefined ? speaking : [target.dialect],
    ...(apart === true || across === true ? { apart: publishers } : {}),
  });
}

/** A sample, and the CPU time that the target took meanwhile, in nanoseconds. */
export async function cpuDuring(
  { running: { pids } }: Stage,
  take: () => Promise<LoadSample>,
): Promise<{ sample: LoadSample; cpu: number }> {
  const before = cpuOf(pids);
  const sample = await take();
  return { sample, cpu: cpuOf(pids) - before };
}

/** Makes a target that was just started as fast as it becomes: some publishes to clients of all kinds. */
export async function warmUp(stage: Stage): Promise<void> {
  const load = await openLoad(stage, {
    load: { subscribers: 100, channels: 4, publishers: 4 },
    speaking: ALL_KINDS,
  });
  await load.closed({ window: 32, seconds: Math.min(1, stage.seconds) });
  await load.close();
}

/** The same by clients that speak as the target says alone, because others would not be let in. */
export async function warmUpAlone(stage: Stage): Promise<void> {
  await warmUpEach(stage, { subscribers: 50, channels: 50, publishers: 50 });
}

/** The same by clients that call: what answers calls answers each as it ends. */
export async function warmUpCalls(stage: Stage): Promise<void> {
  await warmUpEach(stage, { subscribers: 50, channels: 50, publishers: 50, unordered: true });
}

async function warmUpEach(stage: Stage, load: Publishing["load"]): Promise<void> {
  const opened = await openLoad(stage, { load });
  await opened.closed({ window: 25, seconds: Math.min(1, stage.seconds) });
  await opened.close();
}
