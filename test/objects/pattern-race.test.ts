/** What is published after a pattern was granted reaches its gateway, whatever happens at the same time. */
import { afterEach, expect, test, vi } from "vitest";
import { background } from "../../src/engine/background.ts";
import { delay } from "../support/platform.ts";
import { type SeededRandom, seed, seededRandom } from "../support/random.ts";
import { VirtualTime } from "../support/virtual-time.ts";
import { type ModelGateway, type ModelOptions, PatternModel } from "./pattern-model.ts";

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

/** Runs a scene in its own time, which passes as fast as it can. */
async function model(
  options: Partial<ModelOptions>,
  run: (scene: PatternModel, random: SeededRandom) => Promise<void>,
  round = 0,
): Promise<void> {
  const time = new VirtualTime();
  const random = seededRandom(seed() + round);
  const all = { leaseMs: 300, marginMs: 30, failing: 0, slow: 10, ...options };
  await time.until(run(new PatternModel(random, all), random));
}

/** Messages and who must have them: the patterns that had been granted before the publish began. */
class Duties {
  readonly #model: PatternModel;
  readonly #duties: Duty[] = [];

  constructor(scene: PatternModel) {
    this.#model = scene;
  }

  async publish(name: string): Promise<void> {
    const owed = [...this.#model.gateways.values()].map((gateway) => ({
      gateway,
      of: gateway.owed(name),
    }));
    const offset = await this.#model.channel(name).publish();
    for (const { gateway, of } of owed) {
      if (of.length > 0) this.#duties.push({ gateway, message: `${name}:${offset}`, of });
    }
  }

  get size(): number {
    return this.#duties.length;
  }

  /** What was not given, in the end. A pattern that was left since then owes nothing. */
  missed(): string[] {
    return this.#duties
      .filter(({ gateway, message }) => !gateway.given.has(message))
      .filter(({ gateway, of }) =>
        of.some(([pattern, left]) => (gateway.left.get(pattern) ?? 0) === left),
      )
      .map(({ gateway, message, of }) => `${gateway.name} ${message} ${of.join(" ")}`);
  }
}

interface Duty {
  readonly gateway: ModelGateway;
  readonly message: string;
  readonly of: readonly (readonly [string, number])[];
}

const CHANNELS = 200;
const GATEWAYS = 12;
const ROUNDS = 4;

for (const failing of [0, 0.1]) {
  test(`200 channels begin while patterns come${failing > 0 ? ", calls fail and objects are reset" : ""}`, async () => {
    for (let round = 0; round < ROUNDS; round++) {
      await model(
        { failing },
        async (scene, random) => {
          const duties = new Duties(scene);
          const end = Date.now() + 2_500;
          const channels = Array.from({ length: CHANNELS }, (_, i) => `a.${i % 20}.${i}`);
          const publishing = channels.map(async (name) => {
            await delay(random.int(1_000));
            while (Date.now() < end) {
              await duties.publish(name);
              await delay(random.int(100));
              if (failing > 0 && random.chance(0.02)) scene.resetChannel(name);
            }
          });
          const listening = Array.from({ length: GATEWAYS }, async (_, i) => {
            const gateway = scene.gateway(`g${i}`);
            // Few, so that what was just left is soon taken again.
            const patterns = [`a.${i}.*`, `*.${i}.*`, `a.${i + 1}.**`];
            while (Date.now() < end - 300) {
              const pattern = random.chance(0.02) ? "**" : random.pick(patterns);
              await gateway.subscribe(pattern);
              await delay(random.int(150));
              if (random.chance(0.95)) apart(gateway.unsubscribe(pattern));
              await delay(random.int(5));
            }
          });
          const resetting = async (): Promise<void> => {
            while (failing > 0 && Date.now() < end) {
              await delay(40);
              scene.resetIndex();
            }
          };
          await Promise.all([...publishing, ...listening, resetting()]);
          await delay(500);
          expect(duties.size).toBeGreaterThan(200);
          expect(duties.missed()).toEqual([]);
        },
        round,
      );
    }
  });
}

test("a pattern for 2,000 channels is granted within a lease and its margin, and misses nothing on the way", async () => {
  const [leaseMs, marginMs] = [60_000, 5_000];
  await model({ leaseMs, marginMs }, async (scene, random) => {
    const duties = new Duties(scene);
    const channels = Array.from({ length: 2_000 }, (_, i) => `a.${i}`);
    await Promise.all(channels.map((name) => duties.publish(name)));
    // They publish on what they know, and hear nothing of the index.
    for (let i = 0; i < 20; i++) scene.deaf.add(`a.${i * 100}`);
    const gateway = scene.gateway("g1");
    const began = Date.now();
    let granted = false;
    const subscribing = gateway.subscribe("a.*").then(() => {
      granted = true;
    });
    while (!granted) {
      for (let i = 0; i < 10; i++) apart(duties.publish(random.pick(channels)));
      for (const name of scene.deaf) apart(duties.publish(name));
      await delay(500);
    }
    await subscribing;
    expect(Date.now() - began).toBeGreaterThan(leaseMs);
    expect(Date.now() - began).toBeLessThan(leaseMs + marginMs + 1_100);
    await Promise.all(channels.map((name) => duties.publish(name)));
    await delay(500);
    expect(duties.size).toBeGreaterThanOrEqual(2_000);
    expect(duties.missed()).toEqual([]);
  });
});

/** What nobody waits for: what it missed is among the duties. */
function apart(work: Promise<unknown>): void {
  background(work, console, "a model's call");
}
