/** What is simulated: one channel for all subscribers, and many channels with a few each. */
import { REGIONS, type Region } from "../../src/worker/placement.ts";
import { cohortOf } from "./cohort.ts";
import { type Part, partOf, type SceneResult, verdictOf } from "./results.ts";
import { type Counted, Scene, type Simulated, type Verdict } from "./scene.ts";

const BIG = "stadium";
/** Where the one channel lives, and where the gateways restart and where they are lost. */
const HOME: Region = "enam";
const DEPLOYED: Region = "weur";
const LOST: Region = "apac";

/** How long each storm is published into, in milliseconds. */
const STORM_MS = 90_000;

export interface SimulationSize {
  /** Gateways of one channel, each of which is a row. */
  readonly sizes: readonly number[];
  /** Gateways of the storms. */
  readonly gateways: number;
  /** On each gateway. */
  readonly subscribers: number;
  readonly channels: number;
  /** Time between two messages of the storms, in milliseconds. */
  readonly everyMs: number;
}

export interface Size {
  readonly gateways: number;
  /** On each of them. */
  readonly subscribers: number;
}

/** One channel with subscribers on every gateway, who hear a message now and then, and several a second. */
export async function oneChannel(simulated: Simulated, size: Size): Promise<SceneResult> {
  const { gateways, subscribers } = size;
  const scene = new Scene(simulated);
  const { agenda } = scene.world;
  // It lives where it was called first.
  scene.world.channel(BIG, HOME);
  for (let i = 0; i < gateways; i++) {
    scene.comesAt(0, cohortOf(BIG, subscribers), scene.gatewayAt(i));
  }
  await agenda.pass(30_000);
  const parts: Part[] = [];
  for (const { name, count, everyMs } of [
    { name: "seldom", count: 18, everyMs: 3_000 },
    { name: "often", count: 60, everyMs: 250 },
  ]) {
    publish(scene, count, everyMs, gateways);
    parts.push(partOf(name, [await scene.during(agenda.time + count * everyMs + 30_000)]));
  }
  return resultOf("one channel", scene, simulated, { ...size, parts });
}

/** The same while all of its subscribers come, while all gateways of a region restart, and while a region is lost. */
export async function storms(
  simulated: Simulated,
  { everyMs, ...size }: Size & Pick<SimulationSize, "everyMs">,
): Promise<SceneResult> {
  const { gateways, subscribers } = size;
  const scene = new Scene(simulated);
  const { agenda } = scene.world;
  scene.world.channel(BIG, HOME);
  const parts: Part[] = [];
  const part = async (name: string, begin: () => void): Promise<void> => {
    publish(scene, STORM_MS / everyMs, everyMs, gateways);
    agenda.after(5_000, begin);
    parts.push(partOf(name, [await scene.during(agenda.time + 120_000)]));
  };
  for (let i = 0; i < gateways; i++) {
    const everybody = [cohortOf(BIG, subscribers)];
    scene.streamAt(scene.random.next() * 1_000, everybody, scene.gatewayAt(i));
  }
  parts.push(partOf("all come", [await scene.during(120_000)]));
  await part("nothing", () => {});
  await part("a region restarts", () => scene.deploy(DEPLOYED, false));
  await part("a region is lost for 30 s", () => scene.loseRegion(LOST, 30_000));
  return resultOf("storms", scene, simulated, { ...size, parts });
}

/** Subscribers of one room on each of its gateways: three in its own region, and one elsewhere. */
const ROOM = [3, 3, 3, 1];
const ROOM_SUBSCRIBERS = ROOM.reduce((sum, count) => sum + count, 0);
/** How long it takes until each room was published to once, in milliseconds. */
const ROUND_MS = 60_000;
/** Rooms of one world. */
const ROOMS = 10_000;

/**
 * Many channels with ten subscribers each, on as many gateways as those fill, a message a minute in each of them; then all
 * gateways and channels of a region restart, and then a region is lost.
 *
 * They are in worlds of 10,000 channels, since nothing but the pattern indexes would have to do with more of them.
 *
 * @param subscribers on each gateway
 */
export async function manyChannels(
  simulated: Simulated,
  { channels, subscribers }: { readonly channels: number; readonly subscribers: number },
): Promise<SceneResult> {
  const counted: Counted[][] = [];
  const verdicts: Verdict[] = [];
  let gateways = 0;
  for (let first = 0; first < channels; first += ROOMS) {
    const some = Math.min(ROOMS, channels - first);
    const filled = Math.max(Math.round((some * ROOM_SUBSCRIBERS) / subscribers), REGIONS.length);
    const world = await rooms({ ...simulated, seed: simulated.seed + first }, some, filled);
    counted.push(world.counted);
    verdicts.push(world.verdict);
    gateways += filled;
  }
  const parts = ["all come", ...ROUNDS].map((name, i) =>
    partOf(
      name,
      counted.flatMap((world) => world[i] ?? []),
    ),
  );
  return {
    name: "many channels",
    relays: simulated.relays,
    gateways,
    subscribers: channels * ROOM_SUBSCRIBERS,
    channels,
    parts,
    verdict: verdictOf(verdicts),
  };
}

const ROUNDS = ["a region restarts", "a region is lost for 30 s", "nothing"] as const;

async function rooms(
  simulated: Simulated,
  channels: number,
  gateways: number,
): Promise<{ readonly counted: Counted[]; readonly verdict: Verdict }> {
  const scene = new Scene(simulated);
  const { random, world } = scene;
  const { agenda, lost } = world;
  const shards = Math.floor(gateways / REGIONS.length);
  const publishers: (() => void)[] = [];
  for (let i = 0; i < channels; i++) {
    const name = `room-${i}`;
    const home = REGIONS[i % REGIONS.length] as Region;
    const elsewhere = REGIONS.filter((region) => region !== home);
    world.channel(name, home);
    const first = random.int(shards);
    for (const [k, count] of ROOM.entries()) {
      const away = k === ROOM.length - 1;
      const region = away ? random.pick(elsewhere) : home;
      const shard = away ? random.int(shards) : (first + k) % shards;
      const at = (i / channels) * ROUND_MS;
      scene.comesAt(at, cohortOf(name, count), scene.gateway(region, shard));
    }
    publishers.push(() => {
      if (!lost.has(home)) scene.gateway(home, first).object.publish(name);
    });
  }
  const counted = [await scene.during(2 * ROUND_MS)];
  const begins: Readonly<Record<(typeof ROUNDS)[number], () => void>> = {
    "a region restarts": () => scene.deploy(DEPLOYED, true),
    "a region is lost for 30 s": () => scene.loseRegion(LOST, ROUND_MS / 2),
    // Where a channel was reset with a delivery under way its subscribers hear of it with the next message.
    nothing: () => {},
  };
  for (const round of ROUNDS) {
    for (const [i, publish] of publishers.entries()) {
      agenda.after((i / channels) * ROUND_MS, publish);
    }
    agenda.after(ROUND_MS / 4, begins[round]);
    counted.push(await scene.during(agenda.time + ROUND_MS));
  }
  return { counted, verdict: await endOf(scene, simulated, "room-0") };
}

/** Has the one channel published to from now on, by clients of one region after the other. */
function publish(scene: Scene, count: number, everyMs: number, gateways: number): void {
  const { agenda, lost } = scene.world;
  const publishers = Math.min(gateways, REGIONS.length);
  for (let i = 0; i < count; i++) {
    agenda.after(i * everyMs, () => {
      const { machine, object } = scene.gatewayAt(i % publishers);
      if (!lost.has(machine.region)) object.publish(BIG);
    });
  }
}

async function resultOf(
  name: string,
  scene: Scene,
  simulated: Simulated,
  { gateways, parts, subscribers }: Size & Pick<SceneResult, "parts">,
): Promise<SceneResult> {
  const verdict = await endOf(scene, simulated, BIG);
  const all = gateways * subscribers;
  const { relays } = simulated;
  return { name, relays, gateways, subscribers: all, channels: 1, parts, verdict };
}

/** @param channel in which a fault is planted where one is to be */
async function endOf(scene: Scene, { plant }: Simulated, channel: string): Promise<Verdict> {
  if (plant) {
    // The last message: the next one would show the hole, and the gateway would read it.
    const hearers = [...scene.world.gateways].filter(({ object }) => object.hears(channel));
    scene.world.deaf.add(hearers.at(-1)?.name ?? "");
    hearers[0]?.object.publish(channel);
  }
  return await scene.end();
}
