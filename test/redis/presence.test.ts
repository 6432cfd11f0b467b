/** Presence in Redis: members of two nodes, told once and in one order, whatever becomes of a node. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  ChannelPresence,
  FORGETFUL_STORE,
  type PresenceChange,
} from "../../src/channels/presence.ts";
import { eventually } from "../support/eventually.ts";
import { seed, seededRandom, steps } from "../support/random.ts";
import { type Node, type NodeOptions, newPrefix, openNode, session } from "./nodes.ts";
import { oneRedis, type Redis, redisCluster } from "./servers.ts";

/** Longer than a busy machine takes for what is done within it. */
const GRACE = 1_500;
/** One channel on each master of a cluster: the cases take turns. */
const CHANNELS = ["a", "c", "f"] as const;

/** Who is there by what a node was told. */
function known({ told }: Node): string[] {
  let names: string[] = [];
  for (const one of told) {
    if (one.kind === "lost") names = one.snapshot.members.map(({ userId }) => userId);
    if (one.kind !== "presence") continue;
    names = one.joined ? [...names, one.name] : names.filter((name) => name !== one.name);
  }
  return names;
}

describe.concurrent.each([
  { name: "one Redis", start: oneRedis },
  { name: "a cluster of three masters", start: redisCluster },
])("on $name", ({ start }) => {
  describe("in turn", { concurrent: false }, () => suite(start));
});

function suite(start: () => Promise<Redis>): void {
  let redis: Redis;
  let channel: string;
  let cases = 0;
  const open: Node[] = [];

  beforeAll(async () => {
    redis = await start();
  });

  afterAll(async () => {
    await redis.stop();
  });

  beforeEach(() => {
    channel = CHANNELS[cases % CHANNELS.length] ?? "a";
    cases += 1;
  });

  afterEach(async () => {
    await Promise.all(open.splice(0).map((node) => node.close()));
  });

  async function nodes(count: number, options: Partial<NodeOptions> = {}): Promise<Node[]> {
    const shared: NodeOptions = {
      address: redis.address,
      prefix: newPrefix(),
      rules: { "**": { presenceGraceMs: GRACE } },
      ...options,
    };
    const opened = await Promise.all(Array.from({ length: count }, () => openNode(shared)));
    open.push(...opened);
    for (const node of opened) await node.broker.subscribe(channel);
    return opened;
  }

  async function two(options: Partial<NodeOptions> = {}): Promise<[Node, Node]> {
    return (await nodes(2, options)) as [Node, Node];
  }

  /** A message that comes after what was told before shows that nothing else was told. */
  async function settled(...all: readonly Node[]): Promise<void> {
    const mark = (node: Node): number => node.texts(channel).indexOf("mark");
    await all[0]?.publish(channel, "mark");
    await eventually(() => all.every((node) => mark(node) >= 0));
    for (const { told } of all) {
      told.splice(
        told.findIndex((one) => one.kind === "entry"),
        1,
      );
    }
  }

  test("a join and a leave are told to every node, once, in one order", async () => {
    const [one, other] = await two();
    await one.broker.join(channel, session("s", "u"));
    await one.broker.join(channel, session("s", "u"));
    await other.broker.join(channel, session("t", "v"));
    one.broker.leave(channel, "s", true);
    one.broker.leave(channel, "s", true);
    await eventually(() => one.told.length === 3 && other.told.length === 3);
    await settled(one, other);
    expect(one.lines()).toEqual(["join u", "join v", "leave u"]);
    expect(other.told).toEqual(one.told);
    const generations = one.told.map((told) => (told.kind === "presence" ? told.generation : 0));
    expect(generations).toEqual(generations.toSorted((left, right) => left - right));
    expect(new Set(generations).size).toBe(3);
    const { generation, members, total } = await one.broker.presence(channel, 9);
    expect([generation, total]).toEqual([generations[2], 1]);
    expect(members).toMatchObject([{ userId: "v", clientId: "", sessionId: "" }]);
    expect((await other.broker.subscribe(channel)).generation).toBe(generation);
  });

  test("a member has sessions on several nodes, and leaves with the last", async () => {
    const [one, other] = await two();
    await one.broker.join(channel, session("s", "u", "c"));
    await other.broker.join(channel, session("t", "u", "c"));
    await other.broker.join(channel, session("x", "u", "d"));
    one.broker.leave(channel, "s", true);
    await settled(one, other);
    expect(one.lines()).toEqual(["join u", "join u"]);
    expect((await one.broker.presence(channel, 9)).total).toBe(2);
    other.broker.leave(channel, "t", true);
    await eventually(() => one.told.length === 3);
    expect(one.lines()).toEqual(["join u", "join u", "leave u"]);
  });

  test("members are listed by their joins, as many as are asked for", async () => {
    const [one, other] = await two();
    const nobody = await other.broker.presence(channel, 9);
    expect(nobody).toMatchObject({ members: [], total: 0, generation: 0 });
    await one.broker.join(channel, session("1", "\u00e4\n", "c"));
    await other.broker.join(channel, session("2"));
    await one.broker.join(channel, session("3", "\u00e4\n", "c"));
    await one.broker.join(channel, session("4", "u", "d"));
    const before = Date.now();
    const { members, total } = await other.broker.presence(channel, 2);
    expect(total).toBe(3);
    expect(members).toMatchObject([
      { userId: "\u00e4\n", clientId: "c", sessionId: "" },
      { userId: "", clientId: "", sessionId: "2" },
    ]);
    for (const { time } of members) expect(Math.abs(time - before)).toBeLessThan(5_000);
    expect((await other.broker.presence(channel, 0)).members).toEqual([]);
  });

  test("a change that was not heard is made good by the list before the next one", async () => {
    // M7
    const [one, other] = await two();
    other.deafen(true);
    await one.broker.join(channel, session("s", "u"));
    await eventually(() => one.told.length === 1);
    other.deafen(false);
    await one.broker.join(channel, session("t", "v"));
    await eventually(() => other.told.length === 1);
    expect(other.lines()).toEqual(["presence lost 2"]);
    one.broker.leave(channel, "s", true);
    await eventually(() => other.told.length === 2);
    await settled(one, other);
    expect(other.lines()).toEqual(["presence lost 2", "leave u"]);
  });

  test("who joins while the node notes that nobody of it is there is told of", async () => {
    const noting = Promise.withResolvers<void>();
    let notes = 0;
    const [one, other] = await two({
      wrap: (commands) => ({
        run: (script, keys, args) => commands.run(script, keys, args),
        command: async (key, args) => {
          if (args[0] === "SREM") {
            notes += 1;
            await noting.promise;
          }
          return await commands.command(key, args);
        },
      }),
    });
    await one.broker.join(channel, session("s", "ann"));
    one.broker.leave(channel, "s", true);
    await eventually(() => notes === 1);
    const joining = one.broker.join(channel, session("t", "bob"));
    noting.resolve();
    await joining;
    const { members } = await other.broker.presence(channel, 9);
    expect(members.map(({ userId }) => userId)).toEqual(["bob"]);
    await eventually(() => known(other).join() === "bob");
  });

  test("who drops is gone when the grace is over, and not before", async () => {
    const [one, other] = await two();
    await one.broker.join(channel, session("s", "u"));
    const began = Date.now();
    one.broker.leave(channel, "s", false);
    await settled(one, other);
    expect(other.lines()).toEqual(["join u"]);
    expect((await other.broker.presence(channel, 9)).total).toBe(1);
    await eventually(() => other.told.length === 2);
    expect(Date.now() - began).toBeGreaterThanOrEqual(GRACE);
    expect(other.lines()).toEqual(["join u", "leave u"]);
    expect((await one.broker.presence(channel, 9)).total).toBe(0);
  });

  test("who comes back within the grace, through whichever node, has neither left nor joined", async () => {
    const [one, other] = await two();
    await one.broker.join(channel, session("old", "u"));
    one.broker.leave(channel, "old", false);
    await other.broker.join(channel, session("new", "u"));
    const began = Date.now();
    await eventually(() => Date.now() - began > 2 * GRACE);
    await settled(one, other);
    expect(one.lines()).toEqual(["join u"]);
    other.broker.leave(channel, "new", true);
    await eventually(() => one.told.length === 2);
    expect(one.lines()).toEqual(["join u", "leave u"]);
  });

  test("the same session may come back on another node", async () => {
    const [one, other] = await two();
    await one.broker.join(channel, session("s", "u"));
    one.broker.leave(channel, "s", false);
    await other.broker.join(channel, session("s", "u"));
    const began = Date.now();
    await eventually(() => Date.now() - began > 2 * GRACE);
    await settled(one, other);
    expect(one.lines()).toEqual(["join u"]);
    other.broker.leave(channel, "s", true);
    await eventually(() => one.told.length === 2);
  });

  test("without a grace who drops is gone at once", async () => {
    const [one] = await two({ rules: { [channel]: { presenceGraceMs: 0 } } });
    await one.broker.join(channel, session("s"));
    one.broker.leave(channel, "s", false);
    await eventually(() => one.told.length === 2);
    expect(one.lines()).toEqual(["join s", "leave s"]);
  });

  test("a leave of who never joined is nothing", async () => {
    const [one] = await two();
    one.broker.leave(channel, "s", false);
    one.broker.leave("b", "s", true);
    await settled(one);
    expect(one.lines()).toEqual([]);
    await eventually(() => one.broker.size === 1);
  });

  test("many changes of one turn are told in their order", async () => {
    const [one, other] = await two();
    const names = Array.from({ length: 1_200 }, (_, i) => `u${i}`);
    await Promise.all(names.map((name) => one.broker.join(channel, session(name, name))));
    for (const name of names) one.broker.leave(channel, name, true);
    await eventually(() => other.told.length === 2 * names.length);
    expect(other.lines()).toEqual([
      ...names.map((name) => `join ${name}`),
      ...names.map((name) => `leave ${name}`),
    ]);
  });

  test("members of a node that is gone leave once, when their grace is over", async () => {
    // M8
    const [one, other, third] = (await nodes(3, { beatMs: 500 })) as [Node, Node, Node];
    await one.broker.join(channel, session("s", "u"));
    await one.broker.join(channel, session("t", "both"));
    await other.broker.join(channel, session("x", "both"));
    await one.broker.join("elsewhere", session("s", "u"));
    one.crash();
    await eventually(() => other.told.length === 3 && third.told.length === 3);
    await eventually(async () => (await other.broker.presence("elsewhere", 9)).total === 0);
    const began = Date.now();
    await eventually(() => Date.now() - began > GRACE + 500);
    await settled(other, third);
    expect(other.lines()).toEqual(["join u", "join both", "leave u"]);
    expect(third.told).toEqual(other.told);
    expect((await other.broker.presence(channel, 9)).total).toBe(1);
  });

  test("a grace that a node has begun ends though the node is gone", async () => {
    const [one, other] = await two({
      beatMs: 200,
      rules: { [channel]: { presenceGraceMs: 2_000 } },
    });
    await one.broker.join(channel, session("s", "u"));
    one.broker.leave(channel, "s", false);
    await settled(one, other);
    one.crash();
    await eventually(() => other.told.length === 2);
    expect(other.lines()).toEqual(["join u", "leave u"]);
  });

  test("a node that was taken for lost has its members back", async () => {
    const prefix = newPrefix();
    const [one, other] = await two({
      beatMs: 200,
      prefix,
      rules: { [channel]: { presenceGraceMs: 3_000 } },
    });
    await one.broker.join(channel, session("s", "u"));
    await other.broker.join(channel, session("t", "v"));
    const alive = `${prefix}{nodes}:alive`;
    const names = (await redis.command("ZRANGE", alive, "0", "-1")) as string[];
    for (const name of names) await redis.command("ZREM", alive, name);
    for (const name of names) await redis.command("ZADD", `${prefix}{nodes}:lost`, "0", name);
    await eventually(async () => {
      const now = (await redis.command("ZRANGE", alive, "0", "-1")) as string[];
      return now.length === 2 && now.every((name) => !names.includes(name));
    });
    await eventually(
      () => redis.command("ZCARD", `${prefix}{nodes}:lost`),
      (lost) => lost === 0,
    );
    const began = Date.now();
    await eventually(() => Date.now() - began > 3_500);
    await settled(one, other);
    expect(one.lines()).toEqual(["join u", "join v"]);
    expect((await one.broker.presence(channel, 9)).total).toBe(2);
  });

  test("members are there again when Redis has forgotten everything", async () => {
    const [one, other] = await two({ beatMs: 200, refreshMs: 300 });
    await one.broker.join(channel, session("s", "u"));
    await other.broker.join(channel, session("t", "v"));
    await settled(one, other);
    await redis.command("FLUSHALL");
    await eventually(async () => (await one.broker.presence(channel, 9)).total === 2);
    one.broker.leave(channel, "s", true);
    // Told by an event, or by the list that follows where events were lost.
    await eventually(() => known(one).join() === "v" && known(other).join() === "v");
  });

  test("members of a node whose name Redis has forgotten leave as well", async () => {
    const prefix = newPrefix();
    const [one, other] = await two({ beatMs: 200, refreshMs: 300, prefix });
    await one.broker.join(channel, session("s", "u"));
    await settled(one, other);
    one.crash();
    // As after a snapshot of the wrong moment: its members are there, and it is nowhere.
    await redis.command("DEL", `${prefix}{nodes}:alive`, `${prefix}{nodes}:lost`);
    const lists = (await redis.command("KEYS", `${prefix}{nodes}:of:*`)) as string[];
    await redis.command("DEL", ...lists);
    await eventually(() => known(other).length === 0);
    expect((await other.broker.presence(channel, 9)).total).toBe(0);
    const left = (await redis.command("HKEYS", `${prefix}{${channel}}:meta`)) as string[];
    expect(left.filter((field) => field.startsWith("node:"))).toEqual([]);
  });

  test("who has left leaves again where Redis has gone back", async () => {
    const prefix = newPrefix();
    const [one, other] = await two({ refreshMs: 300, prefix });
    await one.broker.subscribe("b");
    await one.broker.join(channel, session("s", "u"));
    await one.broker.join(channel, session("t", "v"));
    await one.broker.join("b", session("t", "v"));
    await settled(one, other);
    const bring = await Promise.all([channel, "b"].map((name) => saved(`${prefix}{${name}}`)));
    for (const name of [channel, "b"]) one.broker.leave(name, "t", true);
    await eventually(async () => (await one.broker.presence("b", 9)).total === 0);
    for (const back of bring) await back();
    expect((await other.broker.presence("b", 9)).total).toBe(1);
    // A new life of the log is how a node sees that it has happened.
    await redis.command("HSET", `${prefix}{${channel}}:meta`, "run", "another");
    await eventually(async () => (await other.broker.presence("b", 9)).total === 0);
    await eventually(async () => (await other.broker.presence(channel, 9)).total === 1);
    await eventually(() => known(other).join() === "u");
  });

  /** Answers what brings the keys back as they are now. */
  async function saved(keys: string): Promise<() => Promise<void>> {
    const script = "return redis.call('COPY', KEYS[1], KEYS[2], 'REPLACE')";
    const copy = async (from: string, to: string) => {
      await redis.command("EVAL", script, "2", from, to);
    };
    const parts = ["meta", "members", "sessions"].map((part) => `${keys}:${part}`);
    for (const part of parts) await copy(part, `${part}:saved`);
    return async () => {
      for (const part of parts) await copy(`${part}:saved`, part);
    };
  }

  test("a node that ends hands its members over", async () => {
    const [one, other] = await two({ beatMs: 200 });
    await one.broker.join(channel, session("s", "u"));
    await one.close();
    await eventually(() => other.told.length === 2);
    expect(other.lines()).toEqual(["join u", "leave u"]);
  });

  test("whatever comes and goes, Redis agrees with the rules of one process", async () => {
    const [one, other] = await two({ rules: { "**": { presenceGraceMs: 600_000 } } });
    const random = seededRandom(seed());
    const clock = { now: () => 0 };
    const model = new ChannelPresence(FORGETFUL_STORE, clock, 600_000);
    const expected: string[] = [];
    const note = (change: PresenceChange | undefined): void => {
      const name = change?.member.userId || change?.member.sessionId;
      if (change !== undefined) expected.push(`${change.joined ? "join" : "leave"} ${name}`);
    };
    const fence = (name: string) => session(`fence-${name}`, `fence-${name}`);
    for (let step = 0; step < steps(400); step++) {
      const [node, name] = random.pick([
        [one, "one"],
        [other, "other"],
      ] as const);
      const id = random.int(12);
      const user = id < 3 ? "" : `u${id % 3}`;
      const member = session(`s${id}`, user, user === "" ? "" : "c");
      if (random.chance(0.5)) {
        await node.broker.join(channel, member);
        note(model.join(name, member));
      } else {
        const clean = random.chance(0.5);
        node.broker.leave(channel, member.sessionId, clean);
        note(model.leave(member.sessionId, clean));
        // What comes behind it in the same line shows that Redis has heard of it.
        await node.broker.join(channel, fence(name));
        note(model.join(name, fence(name)));
      }
      const { members, total } = await one.broker.presence(channel, 99);
      const names = (all: readonly { userId: string; sessionId: string }[]) =>
        all.map(({ userId, sessionId }) => userId || sessionId);
      const snapshot = model.snapshot(99);
      const told = `MESSAGELOOP_TEST_SEED=${seed()}, step ${step}`;
      expect([names(members), total], told).toEqual([names(snapshot.members), snapshot.total]);
    }
    await eventually(() => other.told.length === expected.length);
    expect(other.lines()).toEqual(expected);
    expect(one.told).toEqual(other.told);
  });

  test("all servers had channels of these cases", async () => {
    for (const server of redis.servers) {
      const channels = (await server.command("KEYS", "*}:meta")) as string[];
      expect(channels.length).toBeGreaterThan(0);
    }
  });
}
