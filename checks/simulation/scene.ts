/** A world in which things happen, what is counted meanwhile, and what the judge says of it. */
import type { Billed } from "../../bench/counts.ts";
import { Histogram } from "../../bench/generator/histogram.ts";
import { type ChannelRules, DEFAULT_CHANNEL_RULES } from "../../src/channels/rules.ts";
import { background } from "../../src/engine/background.ts";
import { delay } from "../../src/engine/ports/timers.ts";
import { gatewayName, REGIONS, type Region } from "../../src/worker/placement.ts";
import { type SeededRandom, seededRandom } from "../../test/support/random.ts";
import { type Cohort, cohortOf } from "./cohort.ts";
import type { CountedGateway } from "./gateway.ts";
import { nearest } from "./network.ts";
import type { TurnTimes } from "./turn-times.ts";
import { World, type WorldCounts } from "./world.ts";

/** Presence would be a row for each subscriber; the channels here do without. */
const RULES: ChannelRules = { ...DEFAULT_CHANNEL_RULES, presence: false };
/** Clients that a gateway takes at the same time, and how often: 500 a second, as `limits.upgrades_per_second` has it. */
const TOGETHER = 50;
const TOGETHER_MS = 100;
/** After a cut a client of the SDK comes back within about so long, in milliseconds. */
const BACK_MS = 1_000;
/** Pause before a client that was refused comes again, in milliseconds. */
const AGAIN_MS = 1_000;
/** How long a world needs until nothing moves any more, in milliseconds. */
const QUIET_MS = 60_000;
const MESSAGES_PER_REQUEST = 20;
/** Frames by which a client connects and subscribes. */
const HANDSHAKE = 2;

export interface Simulated {
  readonly seed: number;
  readonly times: TurnTimes;
  readonly relays: boolean;
  /** Whether a gateway says of the last message that it has taken it, and has not. */
  readonly plant: boolean;
}

/** What was counted of a part of a scene. */
export interface Counted {
  readonly messages: number;
  readonly deliveries: number;
  readonly replayed: number;
  /** Messages that a gap has named, for each subscriber. */
  readonly gaps: number;
  readonly refused: number;
  readonly calls: Readonly<Record<string, number>>;
  readonly billed: Billed;
  readonly latencies: Histogram;
  /** How long the channel's object worked, in milliseconds; of many channels the sum. */
  readonly channelMs: number;
  /** How long it took until all subscribers were back, in milliseconds; 0 where none had gone. */
  readonly backMs: number;
}

/**
 * @example
 * const scene = new Scene(simulated);
 * scene.comesAt(0, cohortOf("room", 2_000), scene.gatewayAt(0));
 * const counted = await scene.during(60_000);
 * const verdict = await scene.end();
 */
export class Scene {
  readonly world: World;
  readonly random: SeededRandom;
  /** Subscribers that have not come, or not come back. */
  #away = 0;
  /** When the last of them were there, and since when they had to come; in milliseconds since the beginning. */
  #lastBack = 0;
  #since = 0;

  constructor({ seed, times, relays }: Simulated) {
    this.random = seededRandom(seed);
    this.world = new World({ rules: RULES, times, relays });
  }

  get cohorts(): Cohort[] {
    return [...this.world.gateways].flatMap(({ object }) => [...object.cohorts]);
  }

  gateway(region: Region, shard: number): CountedGateway {
    return this.world.gateway(gatewayName(region, shard), region);
  }

  /** The gateway of a number, where regions are filled evenly. */
  gatewayAt(number: number): CountedGateway {
    const region = REGIONS[number % REGIONS.length] as Region;
    return this.gateway(region, Math.floor(number / REGIONS.length));
  }

  /** Has subscribers come to a gateway by a time, and again until they are there. */
  comesAt(time: number, cohort: Cohort, gateway: CountedGateway): void {
    const { agenda, logger } = this.world;
    this.#away += cohort.count;
    const come = async (): Promise<void> => {
      while (!(await gateway.object.join(cohort))) {
        await delay(agenda, AGAIN_MS * (1 + this.random.next()));
      }
      this.#away -= cohort.count;
      this.#lastBack = agenda.time;
    };
    agenda.at(time, () => background(come(), logger, "subscribers that come"));
  }

  /** The same, as fast as a gateway takes them. */
  streamAt(time: number, cohorts: readonly Cohort[], gateway: CountedGateway): void {
    let at = time;
    for (const { channel, count, place } of cohorts) {
      for (let left = count; left > 0; left -= TOGETHER) {
        const some = cohortOf(channel, Math.min(TOGETHER, left));
        some.place = place;
        this.comesAt(at, some, gateway);
        at += TOGETHER_MS * (some.count / TOGETHER);
      }
    }
  }

  /** All gateways of a region end, and so do its channels where that is said. Those who were there come back. */
  deploy(region: Region, withChannels: boolean): void {
    const { agenda } = this.world;
    this.#since = agenda.time;
    for (const gateway of this.#gatewaysIn(region)) {
      this.streamAt(agenda.time + this.random.next() * BACK_MS, gateway.restart(), gateway);
    }
    if (!withChannels) return;
    for (const place of this.world.channelsIn(region)) place.reset();
  }

  /** Nothing reaches a region for a while. Those who were there go to gateways of other regions that have been empty. */
  loseRegion(region: Region, ms: number): void {
    const { agenda, lost } = this.world;
    const others = nearest(region);
    const gateways = this.#gatewaysIn(region);
    const shards = Math.max(...gateways.map(({ name }) => Number(name.split("-")[1]))) + 1;
    lost.add(region);
    this.#since = agenda.time;
    for (const [i, gateway] of gateways.entries()) {
      const other = others[i % others.length] as Region;
      const to = this.gateway(other, shards + Math.floor(i / others.length));
      this.streamAt(agenda.time + this.random.next() * BACK_MS, gateway.restart(), to);
    }
    agenda.after(ms, () => {
      lost.delete(region);
      // The alarm that a gateway has for its registrations is overdue.
      for (const gateway of gateways) gateway.object.sweep();
    });
  }

  /** Counts what happens until a time, in milliseconds since the beginning. */
  async during(until: number): Promise<Counted> {
    const { agenda, judge } = this.world;
    const before = this.#sums();
    const began = agenda.time;
    judge.latencies = new Histogram();
    await agenda.pass(until);
    const after = this.#sums();
    return {
      messages: after.counts.messages - before.counts.messages,
      deliveries: after.deliveries - before.deliveries,
      replayed: after.replayed - before.replayed,
      gaps: after.gaps - before.gaps,
      refused: after.refused - before.refused,
      calls: differences(before.counts.calls, after.counts.calls),
      billed: billedBetween(before.counts, after.counts),
      latencies: judge.latencies,
      channelMs: after.channelMs - before.channelMs,
      backMs: this.#lastBack > began ? this.#lastBack - this.#since : 0,
    };
  }

  /** Lets everything come to rest, and has the judge look. */
  async end(): Promise<Verdict> {
    const { agenda, judge, warnings } = this.world;
    await agenda.pass(agenda.time + QUIET_MS);
    judge.ends(this.cohorts);
    const { acknowledged, broken, problems } = judge;
    const away = this.#away;
    return {
      acknowledged,
      broken: broken + (away > 0 ? 1 : 0),
      problems: away > 0 ? [...problems, `${away} subscribers have not come back`] : problems,
      warnings: Object.fromEntries(warnings),
    };
  }

  #gatewaysIn(region: Region): CountedGateway[] {
    return [...this.world.gateways].filter(({ machine }) => machine.region === region);
  }

  #sums() {
    const { counts, judge } = this.world;
    const { deliveries, gaps, refused, replayed } = judge;
    let channelMs = 0;
    for (const region of REGIONS) {
      for (const { machine } of this.world.channelsIn(region)) channelMs += machine.busyMs;
    }
    const missed = [...gaps.values()].reduce((sum, count) => sum + count, 0);
    return { counts, deliveries, gaps: missed, refused, replayed, channelMs };
  }
}

export interface Verdict {
  readonly acknowledged: number;
  /** Promises that were broken. */
  readonly broken: number;
  /** The first of them. */
  readonly problems: readonly string[];
  /** What the objects have logged, and how often. */
  readonly warnings: Readonly<Record<string, number>>;
}

function billedBetween(before: WorldCounts, after: WorldCounts): Billed {
  const sum = (of: (counts: WorldCounts) => number): number => of(after) - of(before);
  const calls = sum((counts) => Object.values(counts.calls).reduce((all, each) => all + each, 0));
  const comers = sum((counts) => counts.comers);
  const messages = sum((counts) => counts.messages) + HANDSHAKE * comers;
  return {
    workerRequests: comers,
    objectRequests: comers + calls + sum(({ alarms }) => alarms) + messages / MESSAGES_PER_REQUEST,
    calls,
    messages,
    // The stores are in memory.
    rowsRead: 0,
    rowsWritten: sum(({ rowsWritten }) => rowsWritten),
    awakeSeconds: sum(({ awakeMs }) => awakeMs) / 1_000,
  };
}

function differences(
  before: Readonly<Record<string, number>>,
  after: Readonly<Record<string, number>>,
): Record<string, number> {
  const all = Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]);
  return Object.fromEntries(all.filter(([, count]) => count !== 0));
}
