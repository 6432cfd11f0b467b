/** What becomes of delivery when connections, scripts, data or Redis itself are lost. */
import { afterEach, expect, test } from "vitest";
import { type RedisCommands, RedisFailure } from "../../src/brokers/redis/ports.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { ownTime } from "../support/own-time.ts";
import { bodyOf, type Node, type NodeOptions, newPrefix, openNode } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const open: Node[] = [];
const servers: RedisServer[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((node) => node.close()));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

async function stage(
  options: Partial<NodeOptions> = {},
  config: Readonly<Record<string, string>> = {},
): Promise<{ server: RedisServer; one: Node; other: Node }> {
  const server = await redisServer(config);
  servers.push(server);
  const address = { urls: [server.url], cluster: false };
  const shared = { address, prefix: newPrefix(), ...options };
  const [one, other] = await Promise.all([openNode(shared), openNode(shared)]);
  open.push(one, other);
  await one.broker.subscribe("a");
  await other.broker.subscribe("a");
  return { server, one, other };
}

/** For nodes that do nothing by themselves while what they send is counted. */
const QUIET = { beatMs: 60_000, refreshMs: 60_000 };

const range = (from: number, until: number): string[] =>
  Array.from({ length: until - from + 1 }, (_, i) => `${from + i}`);

test("nothing is lost and nothing comes twice when the connection that listens is lost", async () => {
  const { server, one, other } = await stage();
  for (let round = 0; round < 10; round++) {
    for (let i = 1; i <= 20; i++) {
      await one.publish("a", `${round * 20 + i}`);
      if (i === 10) await server.command("CLIENT", "KILL", "TYPE", "pubsub");
    }
  }
  await eventually(() => one.texts("a").length >= 200 && other.texts("a").length >= 200);
  expect(one.texts("a")).toEqual(range(1, 200));
  expect(other.texts("a")).toEqual(range(1, 200));
  await eventually(() => one.broker.ready && other.broker.ready);
  expect(one.told.some(({ kind }) => kind === "gap")).toBe(false);
});

test("a node is not ready before all its channels have caught up", async () => {
  const held: (() => void)[] = [];
  let holding = false;
  const wrap = (commands: RedisCommands): RedisCommands => ({
    command: (key, args) => commands.command(key, args),
    run: async (script, keys, args) => {
      if (holding && script.name === "catch-up") {
        await new Promise<void>((resolve) => held.push(resolve));
      }
      return await commands.run(script, keys, args);
    },
  });
  const { server, one, other } = await stage({ wrap });
  const channels = Array.from({ length: 1_100 }, (_, i) => `c${i}`);
  await Promise.all(channels.map((channel) => other.broker.subscribe(channel)));
  holding = true;
  await server.command("CLIENT", "KILL", "TYPE", "pubsub");
  // Batches of 512, one after the other.
  await eventually(() => held.length >= 512);
  await Promise.all(channels.map((channel) => one.publish(channel, channel)));
  expect(other.states).toEqual([true, false]);
  holding = false;
  for (const release of held) release();
  await eventually(() => other.states.length === 3);
  expect(other.states).toEqual([true, false, true]);
  // The turn that hands over comes behind the one that brought it.
  await new Promise((resolve) => setImmediate(resolve));
  for (const channel of channels) expect(other.texts(channel)).toEqual([channel]);
});

test("what is published while a subscribe loses its connection is not missed", async () => {
  let release: (() => void) | undefined;
  let holding = false;
  const wrap = (commands: RedisCommands): RedisCommands => ({
    command: (key, args) => commands.command(key, args),
    run: async (script, keys, args) => {
      const reply = await commands.run(script, keys, args);
      if (holding && script.name === "open") {
        holding = false;
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      }
      return reply;
    },
  });
  const { server, one, other } = await stage({ wrap });
  holding = true;
  const subscribing = one.broker.subscribe("b");
  await eventually(() => release !== undefined);
  one.deafen(true);
  await server.command("CLIENT", "KILL", "TYPE", "pubsub");
  await other.publish("b", "1");
  await eventually(() => one.states.join() === "true,false,true");
  one.deafen(false);
  release?.();
  const { position } = await subscribing;
  expect(position.offset).toBe(1);
  await other.publish("b", "2");
  await eventually(() => one.texts("b").includes("2"));
  expect(one.lines("b")).toEqual(["2 2"]);
});

test("what is heard before a subscribe is answered is behind its position", async () => {
  let release: (() => void) | undefined;
  const wrap = (commands: RedisCommands): RedisCommands => ({
    command: (key, args) => commands.command(key, args),
    run: async (script, keys, args) => {
      const reply = await commands.run(script, keys, args);
      if (script.name === "open" && keys[0]?.includes("{b}")) {
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      }
      return reply;
    },
  });
  const { one, other } = await stage({ wrap });
  const subscribing = one.broker.subscribe("b");
  await eventually(() => release !== undefined);
  await other.publish("b", "1");
  // What comes later on the same connection has been heard.
  await other.publish("a", "mark");
  await eventually(() => one.texts("a").length === 1);
  release?.();
  expect((await subscribing).position.offset).toBe(0);
  await eventually(() => one.texts("b").length === 1);
  expect(one.lines("b")).toEqual(["1 1"]);
});

test("what is heard while a subscribe is tried again comes once, and the answer names the head", async () => {
  let tries = 0;
  let heard = (): number => 0;
  const wrap = (commands: RedisCommands): RedisCommands => ({
    command: (key, args) => commands.command(key, args),
    run: async (script, keys, args) => {
      const reply = await commands.run(script, keys, args);
      if (script.name === "open" && keys[0]?.includes("{b}")) {
        tries += 1;
        if (tries === 1) {
          // By the time of the second try the node has heard what the first one did not say.
          await eventually(() => heard() >= 3);
          throw new RedisFailure("lost", "the answer was lost");
        }
      }
      return reply;
    },
  });
  const { one, other } = await stage({ wrap });
  const before = one.arrived();
  heard = () => one.arrived() - before;
  const subscribing = one.broker.subscribe("b");
  await eventually(() => tries === 1);
  for (const text of range(1, 3)) await other.publish("b", text);
  const { position } = await subscribing;
  expect(position.offset).toBe(3);
  await other.publish("b", "4");
  await eventually(() => one.texts("b").includes("4"));
  // The hub keeps from a session what is not behind its own position; nothing comes twice.
  expect(one.texts("b")).toEqual(range(1, 4));
});

test("a hole is read before what is behind it, in several answers where it is large", async () => {
  const { one, other } = await stage({ rules: { a: { historySize: 5_000 } } });
  await one.publish("a", "1");
  await eventually(() => other.told.length === 1);
  other.deafen(true);
  await Promise.all(range(2, 2_000).map((text) => one.publish("a", text)));
  await eventually(() => one.texts("a").length === 2_000);
  other.deafen(false);
  await one.publish("a", "2001");
  await eventually(() => other.texts("a").length === 2_001);
  expect(other.texts("a")).toEqual(range(1, 2_001));
});

test("what history does not hold any more is a gap before what is behind it, once", async () => {
  const { one, other } = await stage({ rules: { a: { historySize: 10 } } });
  await one.publish("a", "1");
  await eventually(() => other.told.length === 1);
  other.deafen(true);
  await Promise.all(range(2, 3_000).map((text) => one.publish("a", text)));
  await eventually(() => one.texts("a").length === 3_000);
  other.deafen(false);
  await one.publish("a", "3001");
  await eventually(() => other.texts("a").at(-1) === "3001");
  dense(other);
  const gaps = other.told.filter(({ kind }) => kind === "gap");
  expect(gaps).toMatchObject([{ gap: { reason: "head_trimmed", after: { offset: 1 } } }]);
  expect(other.texts("a").length).toBeGreaterThanOrEqual(11);
});

test("a hole in a channel without history is a gap before what is behind it", async () => {
  // C10
  const { one, other } = await stage({ rules: { a: { historySize: 0, transient: true } } });
  await one.publish("a", "1");
  await eventually(() => other.told.length === 1);
  other.deafen(true);
  await one.publish("a", "2");
  await one.publish("a", "3");
  await eventually(() => one.told.length === 3);
  other.deafen(false);
  await Promise.all(["4", "5"].map((text) => one.publish("a", text)));
  await one.publish("a", "6");
  await eventually(() => other.texts("a").at(-1) === "6");
  expect(other.lines()).toEqual(["1 1", "gap head_trimmed 1-3", "4 4", "5 5", "6 6"]);
});

test("what is on its way is waited for before a channel without history has a gap", async () => {
  const { one, other } = await stage({ rules: { a: { historySize: 0, transient: true } } });
  await one.publish("a", "1");
  await eventually(() => other.told.length === 1);
  other.deafen(true);
  await one.publish("a", "2");
  await eventually(() => one.told.length === 2);
  // The message that shows the hole is heard when the next one is in the log, and not heard.
  other.delay(200);
  other.deafen(false);
  await one.publish("a", "3");
  await sleep(100);
  await one.publish("a", "4");
  await eventually(() => other.texts("a").at(-1) === "4");
  expect(other.lines()).toEqual(["1 1", "gap head_trimmed 1-2", "3 3", "4 4"]);
});

test("what was lost without a trace is found though nothing follows it", async () => {
  const { one, other } = await stage({ refreshMs: 300 });
  other.deafen(true);
  await one.publish("a", "1");
  await one.broker.join("a", { sessionId: "s", userId: "u", clientId: "" });
  await eventually(() => one.told.length === 2);
  other.deafen(false);
  await eventually(() => other.told.length === 2);
  expect(other.lines()).toEqual(["1 1", "presence lost 1"]);
});

test("a script that Redis has forgotten is sent again", async () => {
  const { server, one, other } = await stage();
  for (let i = 1; i <= 100; i++) {
    const publishing = one.publish("a", `${i}`);
    if (i % 10 === 0) await server.command("SCRIPT", "FLUSH");
    await publishing;
  }
  await eventually(() => other.texts("a").length === 100);
  expect(other.texts("a")).toEqual(range(1, 100));
});

test("order holds over scripts that Redis has forgotten", async () => {
  const { server, one, other } = await stage();
  const flushes: Promise<unknown>[] = [];
  const all = range(1, 3_000).map((text, i) => {
    if (i % 300 === 0) flushes.push(server.command("SCRIPT", "FLUSH"));
    return one.publish("a", text);
  });
  await Promise.all([...all, ...flushes]);
  await eventually(() => other.texts("a").length === 3_000);
  expect(other.texts("a")).toEqual(range(1, 3_000));
});

test("when everything is flushed a new epoch begins, and a gap says so", async () => {
  const { server, one, other } = await stage({ refreshMs: 300 });
  const { position } = await one.publish("a", "before");
  await eventually(() => other.told.length === 1);
  await server.command("FLUSHALL");
  const later = await one.publish("a", "behind");
  expect(later.position.epoch).not.toBe(position.epoch);
  expect(later.position.offset).toBe(1);
  for (const node of [one, other]) {
    await eventually(() => node.texts("a").length === 2);
    expect(node.told.filter(({ kind }) => kind !== "lost")).toMatchObject([
      { kind: "entry", offset: 1, epoch: position.epoch },
      {
        kind: "gap",
        gap: {
          reason: "epoch_changed",
          after: position,
          until: { epoch: later.position.epoch, offset: 0 },
        },
      },
      { kind: "entry", offset: 1, epoch: later.position.epoch },
    ]);
  }
});

test("a quiet channel learns that everything was flushed", async () => {
  const { server, one, other } = await stage({ refreshMs: 300 });
  await one.publish("a", "before");
  await eventually(() => one.told.length === 1 && other.told.length === 1);
  await server.command("FLUSHALL");
  for (const node of [one, other]) {
    await eventually(() => node.lines().includes("gap epoch_changed 1-0"));
  }
  expect(one.broker.position("a")).toEqual(other.broker.position("a"));
});

const ALWAYS = { appendonly: "yes", appendfsync: "always" };

test("a durable Redis that is killed comes back with the same epoch and nothing is lost", async () => {
  const { server, one, other } = await stage({ durable: true }, ALWAYS);
  const { position } = await one.publish("a", "0");
  const acknowledged = await killedUnderLoad(server, one);
  await eventually(async () => (await one.publish("a", "end")).position.offset > 0);
  for (const node of [one, other]) await eventually(() => node.texts("a").includes("end"));
  expect(other.told.every((told) => told.kind !== "gap")).toBe(true);
  expect(other.told).toEqual(one.told);
  dense(other);
  const texts = other.texts("a");
  expect(acknowledged.filter((text) => !texts.includes(text))).toEqual([]);
  expect(one.broker.position("a")?.epoch).toBe(position.epoch);
});

test("without that word a Redis that is killed begins a new epoch, which is told", async () => {
  const { server, one, other } = await stage({}, ALWAYS);
  const { position } = await one.publish("a", "0");
  const acknowledged = await killedUnderLoad(server, one);
  await one.publish("a", "end");
  for (const node of [one, other]) {
    await eventually(() => node.texts("a").includes("end"));
    expect(node.told.filter(({ kind }) => kind === "gap")).toMatchObject([
      { gap: { reason: "epoch_changed", after: { epoch: position.epoch } } },
    ]);
    dense(node);
    // Redis had it all, so that it is delivered in spite of the gap.
    const texts = node.texts("a");
    expect(acknowledged.filter((text) => !texts.includes(text))).toEqual([]);
  }
});

test("a Redis that comes back with an old snapshot begins a new epoch, which is told", async () => {
  const { server, one, other } = await stage();
  await one.publish("a", "kept");
  await server.command("SAVE");
  const { position } = await one.publish("a", "forgotten", "k");
  await eventually(() => other.texts("a").length === 2 && one.texts("a").length === 2);
  await server.kill();
  await server.start();
  const again = await eventualPublish(one, "fresh");
  expect(again.position.epoch).not.toBe(position.epoch);
  for (const node of [one, other]) {
    await eventually(() => node.texts("a").includes("fresh"));
    expect(node.texts("a")).toEqual(["kept", "forgotten", "fresh"]);
    expect(node.told.find(({ kind }) => kind === "gap")).toMatchObject({
      gap: { reason: "epoch_changed", after: position },
    });
  }
});

test("what a node has not heard before Redis was killed comes before the gap", async () => {
  const { server, one, other } = await stage({}, ALWAYS);
  await one.publish("a", "1");
  await eventually(() => other.told.length === 1);
  other.deafen(true);
  await one.publish("a", "2");
  await one.publish("a", "3");
  await eventually(() => one.told.length === 3);
  await server.kill();
  other.deafen(false);
  await server.start();
  await eventualPublish(one, "4");
  await eventually(() => other.texts("a").includes("4"));
  expect(other.lines().filter((line) => !line.startsWith("presence"))).toEqual([
    "1 1",
    "2 2",
    "3 3",
    "gap epoch_changed 3-0",
    "1 4",
  ]);
});

test("a Redis that breaks its operator's word is found out by what a node has seen", async () => {
  const { server, one, other } = await stage({ durable: true });
  await one.publish("a", "kept");
  await server.command("SAVE");
  const { position } = await one.publish("a", "forgotten");
  await eventually(() => one.texts("a").length === 2 && other.texts("a").length === 2);
  await server.kill();
  await server.start();
  for (const node of [one, other]) {
    await eventually(() => node.told.some(({ kind }) => kind === "gap"));
    expect(node.told.find(({ kind }) => kind === "gap")).toMatchObject({
      gap: { reason: "epoch_changed", after: position },
    });
  }
  const fresh = await eventualPublish(one, "fresh");
  expect(fresh.position.epoch).not.toBe(position.epoch);
});

test("a publish by a node that has seen more than the log has begins a new epoch", async () => {
  const prefix = newPrefix();
  const { server, one } = await stage({ prefix, durable: true });
  const { position } = await one.publish("a", "1");
  await one.publish("a", "2");
  await eventually(() => one.told.length === 2);
  await server.command("HSET", `${prefix}{a}:meta`, "head", "1");
  const fresh = await one.publish("a", "3");
  expect(fresh.position.epoch).not.toBe(position.epoch);
  await eventually(() => one.texts("a").length === 3);
  expect(one.lines().slice(0, 4)).toEqual(["1 1", "2 2", "gap epoch_changed 2-0", "1 3"]);
});

test("publishes while Redis is away fail soon, are not acknowledged, and go on afterwards", async () => {
  const connections: RedisCommands[] = [];
  const wrap = (commands: RedisCommands): RedisCommands => {
    connections.push(commands);
    return commands;
  };
  const { server, one, other } = await stage({ durable: true, wrap }, ALWAYS);
  await one.publish("a", "1");
  await server.kill();
  // What is sent before its loss is known is of unknown outcome, and waits for longer.
  for (const commands of connections) {
    await eventually(() =>
      commands.command("", ["PING"]).then(
        () => false,
        ({ kind }: RedisFailure) => kind === "offline",
      ),
    );
  }
  const waited = async (text: string): Promise<number> => {
    const time = ownTime();
    const refused = await one.publish("a", text).catch((error: unknown) => error);
    time.stop();
    expect(refused).toMatchObject({ code: "UNAVAILABLE", retry: true });
    return time.ms();
  };
  const began = Date.now();
  expect(await waited("2")).toBeLessThan(2_000);
  expect(Date.now() - began).toBeGreaterThan(500);
  expect(one.broker.ready).toBe(false);
  expect(await waited("3")).toBeLessThan(500);
  await expect(one.broker.subscribe("b")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect(one.broker.history("a", { limit: 1 })).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
  await server.start();
  await eventualPublish(one, "4");
  await eventually(() => other.texts("a").includes("4"));
  expect(other.texts("a")).toEqual(["1", "4"]);
  await eventually(() => one.broker.ready && other.broker.ready);
});

test("a pause of five seconds loses and repeats nothing", async () => {
  const { server, one, other } = await stage();
  await one.publish("a", "0");
  const slept = server.command("DEBUG", "SLEEP", "5");
  const outcomes = await Promise.all(
    range(1, 40).map(async (text, i) => {
      await sleep(i * 150);
      return await one.publish("a", text).then(
        () => text,
        (error: unknown) => {
          expect(error).toMatchObject({ code: "UNAVAILABLE" });
          return undefined;
        },
      );
    }),
  );
  await slept;
  await one.publish("a", "end");
  for (const node of [one, other]) await eventually(() => node.texts("a").includes("end"));
  dense(other);
  const texts = other.texts("a");
  expect(new Set(texts).size).toBe(texts.length);
  expect(outcomes.filter((text) => text !== undefined && !texts.includes(text))).toEqual([]);
  expect(other.told).toEqual(one.told);
});

test("a publish that is lost, or its answer, is repeated with its key and in its place", async () => {
  let calls = 0;
  const wrap = (commands: RedisCommands): RedisCommands => ({
    command: (key, args) => commands.command(key, args),
    run: async (script, keys, args) => {
      if (script.name !== "publish") return await commands.run(script, keys, args);
      calls += 1;
      const lost = new RedisFailure("lost", "the connection was lost");
      if (calls % 3 === 1) throw lost;
      const reply = await commands.run(script, keys, args);
      if (calls % 3 === 2) throw lost;
      return reply;
    },
  });
  const { one, other } = await stage({ wrap, rules: { a: { historySize: 2_000 } } });
  // More than one call can carry.
  const results = await Promise.all(range(1, 1_200).map((text) => one.publish("a", text)));
  const single = await one.publish("a", "1201");
  expect([...results, single].map(({ position }) => `${position.offset}`)).toEqual(range(1, 1_201));
  expect(single.duplicate).toBe(true);
  await eventually(() => other.texts("a").length >= 1_201);
  expect(other.texts("a")).toEqual(range(1, 1_201));
});

test("publishes go on when their connection is lost", async () => {
  const { server, one, other } = await stage();
  for (let round = 0; round < 10; round++) {
    const publishing = range(1, 50).map((text) => one.publish("a", `${round}-${text}`));
    await server.command("CLIENT", "KILL", "TYPE", "normal");
    await Promise.all(publishing);
  }
  await eventually(() => other.texts("a").length >= 500);
  const expected = Array.from({ length: 10 }, (_, i) => range(1, 50).map((text) => `${i}-${text}`));
  expect(other.texts("a")).toEqual(expected.flat());
});

test("a publish is one command", async () => {
  const counted: string[] = [];
  const wrap = (commands: RedisCommands): RedisCommands => ({
    command: (key, args) => {
      counted.push(String(args[0]));
      return commands.command(key, args);
    },
    run: (script, keys, args) => {
      counted.push(script.name);
      return commands.run(script, keys, args);
    },
  });
  const { server, one, other } = await stage({ wrap, ...QUIET });
  await one.publish("a", "warm");
  counted.length = 0;
  const before = await calls(server);
  for (let i = 0; i < 100; i++) await one.publish("a", `${i}`);
  expect(counted).toEqual(Array.from({ length: 100 }, () => "publish"));
  // By the server's own count as well.
  const after = await calls(server);
  expect((after["evalsha"] ?? 0) - (before["evalsha"] ?? 0)).toBe(100);
  expect(after["eval"]).toBe(before["eval"]);
  await eventually(() => other.texts("a").length === 101);
  // Catching up was not needed.
  expect(counted).toHaveLength(100);
});

test("publishes of one turn to one channel are one command, and those to several leave together", async () => {
  const { server, one } = await stage(QUIET);
  await Promise.all(range(0, 2).map((name) => one.publish(`c${name}`, "warm")));
  const before = await calls(server);
  await Promise.all(range(1, 300).map((text) => one.publish(`c${Number(text) % 3}`, text)));
  const after = await calls(server);
  expect((after["evalsha"] ?? 0) - (before["evalsha"] ?? 0)).toBe(3);
});

test("the names of nobody's channels are not listened to", async () => {
  const { server, one } = await stage();
  await Promise.all(range(1, 5).map((name) => one.broker.subscribe(name)));
  const listened = async () =>
    ((await server.command("PUBSUB", "CHANNELS", "*:pub:*")) as string[]).length;
  expect(await listened()).toBe(6);
  for (const name of range(1, 5)) one.broker.unsubscribe(name);
  await eventually(async () => (await listened()) === 1);
  // Leaving and coming back in one turn is no change.
  one.broker.unsubscribe("a");
  await one.broker.subscribe("a");
  await one.publish("a", "x");
  await eventually(() => one.texts("a").length === 1);
});

/** Kills Redis while a node publishes, starts it, and answers what was acknowledged. */
async function killedUnderLoad(server: RedisServer, node: Node): Promise<string[]> {
  const acknowledged: string[] = [];
  let over = false;
  const load = async (name: string): Promise<void> => {
    for (let i = 0; !over; i++) {
      const text = `${name}${i}`;
      await node.broker.publish("a", { key: text, body: bodyOf(text) }).then(
        () => acknowledged.push(text),
        () => {},
      );
    }
  };
  const loads = ["x", "y", "z"].map(load);
  await eventually(() => acknowledged.length > 50);
  await server.kill();
  await server.start();
  const count = acknowledged.length;
  await eventually(() => acknowledged.length > count + 20);
  over = true;
  await Promise.all(loads);
  return acknowledged;
}

async function eventualPublish(node: Node, text: string) {
  for (;;) {
    try {
      return await node.broker.publish("a", { key: text, body: bodyOf(text) });
    } catch (error) {
      expect(error).toMatchObject({ code: "UNAVAILABLE" });
    }
  }
}

/** Offsets rise by one in an epoch, except over a gap, which says exactly what is missing. */
function dense({ told }: Node): void {
  let last: { epoch: string; offset: number } | undefined;
  for (const one of told) {
    if (one.kind === "gap") {
      if (last !== undefined) expect(one.gap.after).toEqual(last);
      last = one.gap.until;
    }
    if (one.kind !== "entry") continue;
    const { epoch, offset } = one;
    if (last !== undefined) expect({ epoch, offset }).toEqual({ ...last, offset: last.offset + 1 });
    last = { epoch, offset };
  }
}

async function calls(server: RedisServer): Promise<Record<string, number>> {
  const info = String(await server.command("INFO", "commandstats"));
  return Object.fromEntries(
    [...info.matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(([, name, count]) => [
      name ?? "",
      Number(count),
    ]),
  );
}
