/** Patterns on several nodes of one Redis: what is heard, and what is found that was not. W8. */
import { create } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { RedisFailure } from "../../src/brokers/redis/ports.ts";
import { TransientSchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { eventually, sleep } from "../support/eventually.ts";
import { type Node, type NodeOptions, newPrefix, openNode, session } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const ended: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

/** When a node looks by itself whether it has missed anything, unless a test says sooner. */
const LOOKS_MS = 60_000;

/** Sooner than by such a look. */
async function soon(condition: () => boolean): Promise<void> {
  await eventually(condition, Boolean, LOOKS_MS / 2);
}

interface Stage {
  readonly server: RedisServer;
  readonly prefix: string;
  readonly one: Node;
  readonly other: Node;
  node(options?: Partial<NodeOptions>): Promise<Node>;
}

async function stage(options: Partial<NodeOptions> = {}): Promise<Stage> {
  const server = await redisServer();
  ended.push(() => server.stop());
  const prefix = newPrefix();
  const address = { urls: [server.url], cluster: false };
  const node = async (own: Partial<NodeOptions> = {}): Promise<Node> => {
    const shared = { address, prefix, beatMs: 500, refreshMs: LOOKS_MS };
    const opened = await openNode({ ...shared, ...options, ...own });
    ended.push(() => opened.close());
    return opened;
  };
  return { server, prefix, node, one: await node(), other: await node() };
}

/** Channels and texts, in the order of their arrival. */
function heard({ told }: Node): string[] {
  return told.flatMap((one) => (one.kind === "entry" ? [`${one.channel} ${one.text}`] : []));
}

test("what is heard is what the pattern means and not what a glob of Redis matches", async () => {
  const { one, other } = await stage();
  for (const pattern of ["a.*", "[ab].**", "q?.*", "b\\.*", "x.**"]) {
    await one.broker.subscribePattern(pattern);
  }
  const meant = [
    "a.b",
    "a.{c}",
    "[ab]",
    "[ab].c.d",
    "q?.x",
    "b\\.y",
    "x",
    "x.a.b",
    "a.\u{1f600} *x",
  ];
  const others = ["a", "a.b.c", "b.c", "aa.b", "q1.x", "b.y", "xx.a", "A.b"];
  for (const channel of [...meant, ...others]) await other.publish(channel, "1");
  await other.publish("a.end", "1");
  await eventually(() => heard(one).includes("a.end 1"));
  expect(heard(one).sort()).toEqual([...meant, "a.end"].map((channel) => `${channel} 1`).sort());
});

test("a channel that several patterns and a session stand for is handed over once, in order", async () => {
  const { one, other } = await stage();
  for (const pattern of ["**", "a.*", "a.**", "*.b"]) await one.broker.subscribePattern(pattern);
  for (let i = 0; i < 20; i++) await other.publish("a.b", `${i}`);
  await one.broker.subscribe("a.b");
  for (let i = 20; i < 40; i++) await other.publish("a.b", `${i}`);
  one.broker.unsubscribe("a.b");
  one.broker.unsubscribePattern("a.*");
  for (let i = 40; i < 60; i++) await other.publish("a.b", `${i}`);
  await eventually(() => one.texts("a.b").includes("59"));
  expect(one.texts("a.b")).toEqual(Array.from({ length: 60 }, (_, i) => `${i}`));
  for (const pattern of ["**", "a.**", "*.b"]) one.broker.unsubscribePattern(pattern);
  await other.publish("a.b", "60");
  await other.publish("z", "1");
  await one.broker.subscribe("z");
  await other.publish("z", "2");
  await eventually(() => one.texts("z").includes("2"));
  expect(one.texts("a.b")).toHaveLength(60);
});

test("who wants a channel for itself does not take from patterns what is on its way", async () => {
  const { one, other } = await stage();
  await one.broker.subscribePattern("a.*");
  one.delay(300);
  await other.publish("a.b", "1");
  await other.publish("a.b", "2");
  // Redis says that the head is 2 before the node has heard of 1.
  expect((await one.broker.subscribe("a.b")).position.offset).toBe(2);
  await eventually(() => one.texts("a.b").length === 2);
  await other.publish("a.b", "3");
  await eventually(() => one.texts("a.b").length === 3);
  expect(one.lines("a.b")).toEqual(["1 1", "2 2", "3 3"]);
});

test("who lets go of a channel that a pattern brings goes on where the channel was", async () => {
  const { one, other } = await stage();
  await one.broker.subscribePattern("a.*");
  await one.broker.subscribe("a.b");
  one.deafen(true);
  await other.publish("a.b", "1");
  await eventually(() => one.missed() > 0);
  one.broker.unsubscribe("a.b");
  one.deafen(false);
  await other.publish("a.b", "2");
  await soon(() => one.texts("a.b").length === 2);
  expect(one.lines("a.b")).toEqual(["1 1", "2 2"]);
});

test("who joins while the node asks where the channel is is told to those who have a pattern", async () => {
  const opening = Promise.withResolvers<void>();
  const { one, other } = await stage({
    wrap: (commands) => ({
      command: (key, args) => commands.command(key, args),
      run: async (script, keys, args) => {
        if (script.name === "open") await opening.promise;
        return await commands.run(script, keys, args);
      },
    }),
  });
  await one.broker.subscribePattern("a.*");
  const subscribing = one.broker.subscribe("a.b");
  await other.broker.join("a.b", session("s", "ann"));
  await eventually(() => one.arrived() > 0);
  opening.resolve();
  await subscribing;
  await soon(() => one.lines("a.b").length === 1);
  expect(one.lines("a.b")).toEqual(["join ann"]);
});

test.each(["kept", "transient"])(
  "a pattern that is registered while the node asks where a %s channel is misses nothing of it",
  async (kind) => {
    const opening = Promise.withResolvers<void>();
    const transient = { historySize: 0, recovery: false, transient: true };
    const { one, other } = await stage({
      ...(kind === "transient" ? { rules: { "**": transient } } : {}),
      wrap: (commands) => ({
        command: (key, args) => commands.command(key, args),
        run: async (script, keys, args) => {
          if (script.name === "open") await opening.promise;
          return await commands.run(script, keys, args);
        },
      }),
    });
    const subscribing = one.broker.subscribe("a.b");
    await one.broker.subscribePattern("a.*");
    await other.publish("a.b", "1");
    // It comes before the answer that counts it.
    await eventually(() => one.arrived() > 0);
    opening.resolve();
    await subscribing;
    await other.publish("a.b", "2");
    await soon(() => one.texts("a.b").includes("2"));
    expect(one.lines("a.b")).toEqual(["1 1", "2 2"]);
  },
);

test("what a channel without a log may have lost is told once, and it goes on from there", async () => {
  const rules = { "**": { historySize: 0, recovery: false, transient: true } };
  const { one, other } = await stage({ rules, refreshMs: 300 });
  await one.broker.subscribePattern("a.*");
  one.deafen(true);
  await other.publish("a.b", "1");
  await eventually(() => one.missed() === 1);
  one.deafen(false);
  await eventually(() => one.lines("a.b").length > 0);
  await Promise.all([one.broker.subscribe("a.b"), sleep(700)]);
  await other.publish("a.b", "2");
  await soon(() => one.texts("a.b").length === 1);
  expect(one.lines("a.b")).toEqual(["gap unavailable undefined-1", "2 2"]);
});

test("a channel that is known by a join alone begins with its next message", async () => {
  const { one, other } = await stage();
  for (let i = 1; i <= 3; i++) await other.publish("a.b", `${i}`);
  await one.broker.subscribePattern("a.*");
  await other.broker.join("a.b", session("s", "ann"));
  await eventually(() => one.lines("a.b").length === 1);
  await other.publish("a.b", "4");
  await soon(() => one.texts("a.b").length === 1);
  expect(one.lines("a.b")).toEqual(["join ann", "4 4"]);
});

test("who wants a channel that is known by a join alone takes nothing from patterns", async () => {
  const { one, other } = await stage();
  await one.broker.subscribePattern("a.*");
  await other.broker.join("a.b", session("s", "ann"));
  await eventually(() => one.lines("a.b").length === 1);
  one.delay(300);
  await other.publish("a.b", "1");
  expect((await one.broker.subscribe("a.b")).position.offset).toBe(1);
  await soon(() => one.texts("a.b").length === 1);
  await other.publish("a.b", "2");
  await soon(() => one.texts("a.b").length === 2);
  expect(one.lines("a.b")).toEqual(["join ann", "1 1", "2 2"]);
});

test("a channel that was known by a join alone is heard though its log has begun anew", async () => {
  const { server, one, other } = await stage();
  await one.broker.subscribePattern("a.*");
  await other.broker.join("a.b", session("s", "ann"));
  await eventually(() => one.lines("a.b").length === 1);
  await server.command("FLUSHALL");
  await one.broker.subscribe("a.b");
  await other.publish("a.b", "1");
  await soon(() => one.texts("a.b").length === 1);
});

test("after a lost connection channels are caught up with, those that began meanwhile as well", async () => {
  const { server, one, other } = await stage();
  await one.broker.subscribePattern("a.**");
  await other.publish("a.known", "1");
  await other.publish("b.other", "1");
  await eventually(() => one.texts("a.known").length === 1);
  for (let round = 0; round < 3; round++) {
    one.deafen(true);
    await other.publish("a.known", `${round}`);
    await other.publish(`a.fresh${round}`, "1");
    await other.publish(`a.fresh${round}`, "2");
    await server.command("CLIENT", "KILL", "TYPE", "pubsub");
    one.deafen(false);
    // Sooner than what gets lost without a trace is looked for.
    await soon(() => one.texts(`a.fresh${round}`).length === 2);
    await other.publish(`a.fresh${round}`, "3");
    await eventually(() => one.texts(`a.fresh${round}`).length === 3);
  }
  expect(one.texts("a.known")).toEqual(["1", "0", "1", "2"]);
  expect(one.texts("a.fresh0")).toEqual(["1", "2", "3"]);
  expect(one.lines().filter((line) => line.startsWith("gap"))).toEqual([]);
  expect(one.told.filter(({ channel }) => !channel.startsWith("a."))).toEqual([]);
});

test.each(["nothing", "a join"])(
  "after a lost connection a channel of which %s is known begins with what was missed, not with what is heard first",
  async (known) => {
    const looking = Promise.withResolvers<void>();
    let held = false;
    const { server, one, other } = await stage({
      wrap: (commands) => ({
        command: (key, args) => commands.command(key, args),
        run: async (script, keys, args) => {
          if (held && script.name === "active") await looking.promise;
          return await commands.run(script, keys, args);
        },
      }),
    });
    await one.broker.subscribePattern("a.*");
    if (known === "a join") {
      await other.broker.join("a.fresh", session("s", "ann"));
      await eventually(() => one.lines("a.fresh").length === 1);
    }
    one.deafen(true);
    for (const text of ["1", "2"]) await other.publish("a.fresh", text);
    held = true;
    await server.command("CLIENT", "KILL", "TYPE", "pubsub");
    one.deafen(false);
    // It listens again, and has not looked for what it missed.
    const before = one.arrived();
    await eventually(async () => {
      await other.publish("a.probe", `${Math.random()}`);
      return one.arrived() > before;
    });
    const arrived = one.arrived();
    await other.publish("a.fresh", "3");
    await eventually(() => one.arrived() > arrived);
    looking.resolve();
    await soon(() => one.texts("a.fresh").length === 3);
    expect(one.texts("a.fresh")).toEqual(["1", "2", "3"]);
    await other.publish("a.later", "1");
    await eventually(() => one.texts("a.later").length === 1);
    expect(one.texts("a.probe").length).toBeGreaterThan(0);
    expect(one.lines().filter((line) => line.startsWith("gap"))).toEqual([]);
  },
);

test("what gets lost without a trace is found, and nothing from before the pattern", async () => {
  const { one, other } = await stage({ refreshMs: 300 });
  await other.publish("a.old", "before");
  // What came in the millisecond of the pattern's beginning may have been missed.
  await sleep(5);
  await one.broker.subscribePattern("a.*");
  one.deafen(true);
  await other.publish("a.old", "lost");
  await other.publish("a.fresh", "lost");
  await eventually(() => one.missed() === 2);
  one.deafen(false);
  await eventually(() => one.texts("a.fresh").length === 1 && one.texts("a.old").length === 1);
  expect(one.texts("a.old")).toEqual(["lost"]);
  await other.publish("a.fresh", "heard");
  await eventually(() => one.texts("a.fresh").length === 2);
  expect(one.lines("a.fresh")).toEqual(["1 lost", "2 heard"]);
});

test("where Redis has lost its data the pattern is told, and every channel goes on", async () => {
  const { server, one, other } = await stage({ refreshMs: 300 });
  await one.broker.subscribePattern("a.*");
  await other.publish("a.b", "1");
  await eventually(() => one.texts("a.b").length === 1);
  await server.command("FLUSHALL");
  await eventually(() => one.lines("a.*").length > 0);
  expect(one.lines("a.*")[0]).toContain("gap epoch_changed");
  await other.publish("a.b", "2");
  await other.publish("a.c", "1");
  await eventually(() => one.texts("a.b").length === 2 && one.texts("a.c").length === 1);
  expect(one.lines("a.b").filter((line) => line.startsWith("gap epoch_changed"))).toHaveLength(1);
});

test("what Redis has lost while nobody had a pattern concerns nobody who comes later", async () => {
  const { server, one, other } = await stage({ refreshMs: 100 });
  await one.broker.subscribePattern("a.*");
  one.broker.unsubscribePattern("a.*");
  await server.command("FLUSHALL");
  await one.broker.subscribePattern("a.*");
  one.deafen(true);
  await other.publish("a.b", "1");
  await eventually(() => one.missed() > 0);
  one.deafen(false);
  // What got lost is found by a look that would tell of the other as well.
  await eventually(() => one.texts("a.b").length === 1);
  expect(one.lines("a.*")).toEqual([]);
});

test("joins and leaves are heard once, also in a channel that was never published to", async () => {
  const { one, other } = await stage();
  await one.broker.subscribePattern("a.**");
  await other.broker.subscribe("a.b");
  await other.broker.join("a.b", session("s", "ann"));
  other.broker.leave("a.b", "s", true);
  await one.broker.subscribe("a.c");
  await one.broker.join("a.c", session("t", "bob"));
  await eventually(() => one.lines("a.b").length === 2 && one.lines("a.c").length === 1);
  expect(one.lines("a.b")).toEqual(["join ann", "leave ann"]);
  expect(one.lines("a.c")).toEqual(["join bob"]);
});

test("the list of active channels names what was published to since a place, over all nodes", async () => {
  const { server, one, other, node } = await stage();
  const { position } = await one.broker.subscribePattern("a.*");
  expect(await one.broker.activeChannels("a.*", position, 9)).toEqual({
    channels: [],
    gap: undefined,
  });
  await Promise.all([
    one.publish("a.x", "1"),
    other.publish("a.y", "1"),
    other.publish("b.z", "1"),
  ]);
  const found = await one.broker.activeChannels("a.*", position, 9);
  expect({ ...found, channels: found.channels.toSorted() }).toEqual({
    channels: ["a.x", "a.y"],
    gap: undefined,
  });
  expect(await one.broker.activeChannels("a.*", position, 1)).toMatchObject({ gap: "limit" });
  // What was published to before, and may have been since.
  const late = await node();
  const since = (await late.broker.subscribePattern("**")).position;
  await other.publish("a.y", "2");
  expect((await late.broker.activeChannels("*.y", since, 9)).channels).toEqual(["a.y"]);
  await server.command("FLUSHALL");
  await other.publish("a.y", "3");
  expect(await late.broker.activeChannels("**", since, 9)).toEqual({
    channels: ["a.y"],
    gap: "epoch_changed",
  });
  const again = (await late.broker.subscribePattern("**")).position;
  await other.publish("a.y", "4");
  expect(await late.broker.activeChannels("**", again, 9)).toEqual({
    channels: ["a.y"],
    gap: undefined,
  });
});

test("a channel is listed beside its first publish, and then no more", async () => {
  const counted: string[] = [];
  const { one } = await stage({
    // Nodes that do nothing by themselves meanwhile.
    beatMs: 60_000,
    wrap: (commands) => ({
      command: (key, args) => commands.command(key, args),
      run: (script, keys, args) => {
        counted.push(script.name);
        return commands.run(script, keys, args);
      },
    }),
  });
  counted.length = 0;
  for (let i = 0; i < 50; i++) await one.publish("a.b", `${i}`);
  expect(counted.filter((name) => name === "list")).toHaveLength(1);
  expect(counted.filter((name) => name === "publish")).toHaveLength(50);
  expect(counted).toHaveLength(51);
});

test("nothing is acknowledged before its channel is listed, and acknowledgements keep their order", async () => {
  const { one } = await stage({
    wrap: (commands) => ({
      command: (key, args) => commands.command(key, args),
      run: async (script, keys, args) => {
        if (script.name === "list") await sleep(100);
        return await commands.run(script, keys, args);
      },
    }),
  });
  const { position } = await one.broker.subscribePattern("a.*");
  const acknowledged: string[] = [];
  const publishing: Promise<unknown>[] = [];
  for (let i = 0; i < 10; i++) {
    publishing.push(one.publish("a.b", `${i}`).then(() => acknowledged.push(`${i}`)));
    if (i === 5) await sleep(20);
  }
  await publishing[9];
  expect(acknowledged).toEqual(Array.from({ length: 10 }, (_, i) => `${i}`));
  expect((await one.broker.activeChannels("a.*", position, 9)).channels).toEqual(["a.b"]);
});

test("where Redis refuses to list a channel its publish is not acknowledged, and the next one tries again", async () => {
  let refusing = true;
  const { one } = await stage({
    wrap: (commands) => ({
      command: (key, args) => commands.command(key, args),
      run: async (script, keys, args) => {
        if (script.name === "list" && refusing) throw new RedisFailure("refused", "OOM");
        return await commands.run(script, keys, args);
      },
    }),
  });
  for (let i = 0; i < 2; i++) {
    await expect(one.publish("a.b", "1", "key")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  }
  refusing = false;
  expect(await one.publish("a.b", "1", "key")).toMatchObject({ duplicate: true });
});

test("a restart of Redis without its data between two publishes lists the channel again", async () => {
  const { server, one } = await stage();
  await one.publish("a.b", "1");
  await one.publish("a.b", "2");
  await server.command("FLUSHALL");
  const { position } = await one.broker.subscribePattern("a.*");
  await one.publish("a.b", "3");
  expect((await one.broker.activeChannels("a.*", position, 9)).channels).toEqual(["a.b"]);
});

test("a message outside of the log is handed over once, however many names and globs it fits", async () => {
  const { one, other, prefix, server } = await stage();
  await one.broker.subscribe("a.b");
  for (const pattern of ["a.*", "**"]) await one.broker.subscribePattern(pattern);
  await other.broker.subscribePattern("a.**");
  const message = create(TransientSchema, {
    id: "t1",
    body: { event: new TextEncoder().encode("x") },
  });
  await other.broker.transmit("a.b", message);
  await other.broker.transmit("elsewhere", create(TransientSchema, { id: "t2" }));
  const loose = ({ told }: Node): string[] =>
    told.flatMap((at) => (at.kind === "transient" ? [`${at.channel} ${at.id} ${at.text}`] : []));
  await soon(() => loose(one).length === 2 && loose(other).length === 1);
  await one.publish("a.b", "m1");
  await soon(() => heard(one).length === 1 && heard(other).length === 1);
  expect(loose(one)).toEqual(["a.b t1 x", "elsewhere t2 "]);
  expect(loose(other)).toEqual(["a.b t1 x"]);
  // What begins like one and is none is somebody else's.
  await server.command("PUBLISH", `${prefix}pub:a.b`, "!garbage");
  await soon(() => one.broker.stray > 0);
  expect((await one.broker.history("a.b", { limit: -1 })).entries).toHaveLength(1);
});
