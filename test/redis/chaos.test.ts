/** Two nodes under load while connections, nodes and Redis fail in turn, by a seed. */
import { afterEach, expect, test } from "vitest";
import { type RedisCommands, RedisFailure } from "../../src/brokers/redis/ports.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { seed, seededRandom, steps } from "../support/random.ts";
import { bodyOf, type Node, type NodeOptions, newPrefix, openNode, session } from "./nodes.ts";
import { type Acknowledged, type Listener, problems, repeated } from "./record.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const CHANNELS = ["a", "b", "small", "live"];
const RULES: NonNullable<NodeOptions["rules"]> = {
  "**": { historySize: 20_000, dedupSize: 20_000, presenceGraceMs: 500 },
  small: { historySize: 5, presenceGraceMs: 500 },
  live: {
    historySize: 0,
    positionTtlMs: 0,
    recovery: false,
    transient: true,
    presenceGraceMs: 500,
  },
};

/** A longer life may take longer. */
const TIMEOUT_MS = Math.max(120_000, 15_000 * steps(8));

const ended: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

/** A node that cannot say that it is there, or cannot read what is revoked, does not start. */
const NEEDED: readonly string[] = ["beat", "revoked"];

/** Now and then what was done is not answered. */
function forgetful(commands: RedisCommands): RedisCommands {
  const random = seededRandom(seed());
  return {
    command: (key, args) => commands.command(key, args),
    run: async (script, keys, args) => {
      const reply = await commands.run(script, keys, args);
      if (!NEEDED.includes(script.name) && random.chance(0.02))
        throw new RedisFailure("lost", "the answer was lost");
      return reply;
    },
  };
}

class Stage {
  readonly listeners: Listener[] = [];
  readonly acknowledged: Acknowledged[] = [];
  nodes: Node[] = [];
  readonly #views: View[] = [];
  #names = 0;
  #over = false;
  #writers: Promise<void>[] = [];
  readonly server: RedisServer;
  readonly #options: NodeOptions;

  constructor(server: RedisServer, durable: boolean) {
    this.server = server;
    const address = { urls: [server.url], cluster: false };
    this.#options = {
      address,
      prefix: newPrefix(),
      durable,
      rules: RULES,
      refreshMs: 500,
      beatMs: 500,
      wrap: forgetful,
    };
  }

  async join(): Promise<void> {
    const node = await openNode(this.#options);
    ended.push(() => node.close());
    this.#names += 1;
    const name = `node${this.#names}`;
    for (const channel of CHANNELS) {
      const { position } = await persistently(() => node.broker.subscribe(channel));
      const since = performance.now();
      this.listeners.push({ name, node, channel, registered: position, since });
      await persistently(() => node.broker.join(channel, session(name, name)));
      const { generation, members } = await persistently(() => node.broker.presence(channel, 99));
      const names = members.map(({ userId }) => userId);
      this.#views.push({ node, channel, names, generation });
    }
    this.nodes.push(node);
  }

  /** Publishes, each event until it is acknowledged, through whichever node there is. */
  write(count: number): void {
    this.#writers = Array.from({ length: count }, async (_, writer) => {
      for (let i = 0; !this.#over; i++) {
        const channel = CHANNELS[(writer + i) % CHANNELS.length] ?? "";
        const text = `${writer}-${i}`;
        const sent = performance.now();
        const { position } = await persistently(async () => {
          const node = this.nodes[(writer + i) % this.nodes.length];
          if (node === undefined) throw new Error("there is no node");
          return await node.broker.publish(channel, { key: text, body: bodyOf(text) });
        });
        this.acknowledged.push({ channel, text, position, sent });
        await sleep(1);
      }
    });
  }

  async end(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#writers);
    await eventually(() => this.nodes.every(({ broker }) => broker.ready));
    // Who has the last entry, or a gap over it, has been told of everything before.
    for (const channel of CHANNELS) {
      const { position } = await persistently(() =>
        (this.nodes[0] as Node).publish(channel, `end-${channel}`),
      );
      await eventually(
        () => this.nodes.map(({ broker }) => broker.position(channel)),
        (places) =>
          places.every((seen) => seen?.epoch === position.epoch && seen.offset >= position.offset),
      );
    }
  }

  /** Problems of those that listen to the end. */
  problems(): string[] {
    const living = this.listeners.filter(({ node }) => this.nodes.includes(node));
    return problems(living, this.acknowledged);
  }

  /** Waits until everybody who listens knows who is there, and so does Redis. */
  async members(): Promise<void> {
    const living = this.#views.filter(({ node }) => this.nodes.includes(node));
    for (const channel of CHANNELS) {
      const views = living.filter((view) => view.channel === channel);
      const expected = this.listeners
        .filter((one) => one.channel === channel && this.nodes.includes(one.node))
        .map(({ name }) => name)
        .sort();
      await eventually(
        () => ({ channel, expected, told: views.map(knownTo) }),
        ({ told }) => told.every((names) => names.join() === expected.join()),
      );
      const { members } = await (this.nodes[0] as Node).broker.presence(channel, 99);
      expect(members.map(({ userId }) => userId).sort()).toEqual(expected);
    }
  }

  /** What every node, those that are gone as well, was told of gaps. */
  gaps(): string[] {
    const nodes = new Set(this.listeners.map(({ node }) => node));
    return [...nodes].flatMap((node) => node.lines().filter((line) => line.startsWith("gap")));
  }
}

/** What a node knew of the members of a channel when it came. */
interface View {
  readonly node: Node;
  readonly channel: string;
  readonly names: readonly string[];
  readonly generation: number;
}

/** Who is there by all that a node was told. */
function knownTo({ node, channel, names, generation }: View): string[] {
  let known = [...names];
  for (const one of node.told) {
    if (one.channel !== channel) continue;
    if (one.kind === "lost") known = one.snapshot.members.map(({ userId }) => userId);
    if (one.kind !== "presence" || one.generation <= generation) continue;
    known = known.filter((name) => name !== one.name);
    if (one.joined) known.push(one.name);
  }
  return known.sort();
}

type Fault = (stage: Stage) => Promise<unknown>;

const GENTLE: Readonly<Record<string, Fault>> = {
  deaf: ({ server }) => server.command("CLIENT", "KILL", "TYPE", "pubsub"),
  cut: ({ server }) => server.command("CLIENT", "KILL", "TYPE", "normal"),
  scripts: ({ server }) => server.command("SCRIPT", "FLUSH"),
  pause: ({ server }) => server.command("DEBUG", "SLEEP", "0.7"),
  trace: async ({ nodes }) => {
    nodes[0]?.deafen(true);
    await sleep(50);
    nodes[0]?.deafen(false);
  },
  crash: async (stage) => {
    const [gone, ...rest] = stage.nodes;
    stage.nodes = rest;
    gone?.crash();
    await stage.join();
  },
};

const restart: Fault = async ({ server }) => {
  await server.kill();
  await sleep(100);
  await server.start();
};

const CARELESS: Readonly<Record<string, Fault>> = {
  ...GENTLE,
  restart,
  flush: ({ server }) => server.command("FLUSHALL"),
  snapshot: async (stage) => {
    await stage.server.command("SAVE");
    await sleep(100);
    await restart(stage);
  },
};

async function run(stage: Stage, faults: Readonly<Record<string, Fault>>): Promise<string> {
  ended.push(() => stage.server.stop());
  await stage.join();
  await stage.join();
  stage.write(12);
  const random = seededRandom(seed());
  const done: string[] = [];
  // Each of them once, then as chance will have it.
  const names = Object.keys(faults);
  const order = [...names, ...Array.from({ length: steps(8) }, () => random.pick(names))];
  for (const name of order) {
    await sleep(50 + random.int(300));
    done.push(name);
    await faults[name]?.(stage);
  }
  await sleep(300);
  await stage.end();
  await stage.members();
  return `MESSAGELOOP_TEST_SEED=${seed()}: ${done.join(" ")}`;
}

test(
  "with a Redis that keeps its word nothing is lost, repeated or out of order",
  async () => {
    const server = await redisServer({ appendonly: "yes", appendfsync: "always" });
    const stage = new Stage(server, true);
    const story = await run(stage, { ...GENTLE, restart });
    expect(stage.problems(), story).toEqual([]);
    for (const node of stage.nodes) {
      for (const channel of CHANNELS) expect(repeated(node, channel), story).toEqual([]);
    }
    const changed = stage.gaps().filter((line) => line.includes("epoch_changed"));
    expect(changed, story).toEqual([]);
    expect(stage.acknowledged.length).toBeGreaterThan(500);
  },
  TIMEOUT_MS,
);

test(
  "whatever a Redis loses, who listens is told of it",
  async () => {
    const server = await redisServer();
    const stage = new Stage(server, false);
    const story = await run(stage, CARELESS);
    expect(stage.problems(), story).toEqual([]);
    expect(stage.gaps().some((line) => line.includes("epoch_changed"))).toBe(true);
  },
  TIMEOUT_MS,
);

async function persistently<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      expect(error).toMatchObject({ code: "UNAVAILABLE" });
      await sleep(20);
    }
  }
}
