/** What an outage of Redis leaves behind, what is tried again, and what operators read of it. */
import { afterEach, expect, test } from "vitest";
import { type RedisCommands, RedisFailure } from "../../src/brokers/redis/ports.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { type Node, type NodeOptions, newPrefix, openNode, session } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const open: Node[] = [];
const servers: RedisServer[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((node) => node.close()));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

async function stage(
  options: Partial<NodeOptions> = {},
): Promise<{ server: RedisServer; one: Node; other: Node }> {
  const server = await redisServer();
  servers.push(server);
  const address = { urls: [server.url], cluster: false };
  const shared = { address, prefix: newPrefix(), refreshMs: 300, ...options };
  const [one, other] = await Promise.all([openNode(shared), openNode(shared)]);
  open.push(one, other);
  return { server, one, other };
}

const names = Array.from({ length: 1_000 }, (_, i) => `c${i}`);

test("who comes and goes while Redis is away leaves nothing behind", async () => {
  const attempts = { count: 0 };
  const wrap = (commands: RedisCommands): RedisCommands => ({
    command: (key, args) => {
      attempts.count += 1;
      return commands.command(key, args);
    },
    run: (script, keys, args) => {
      attempts.count += 1;
      return commands.run(script, keys, args);
    },
  });
  const { server, one } = await stage({ wrap });
  await one.broker.subscribe("stays");
  await one.broker.join("stays", session("stays", "stays"));
  await server.kill();
  await eventually(() => !one.broker.ready);
  // A client asks for a thousand channels and gets none of them.
  const outcomes = await Promise.allSettled(
    names.flatMap((name) => [
      one.broker.subscribe(name),
      one.broker.join(name, session(`s-${name}`, "ann")),
    ]),
  );
  expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["rejected"]));
  expect(one.broker.size).toBe(1 + names.length);
  const before = attempts.count;
  const began = performance.now();
  await sleep(2_000);
  const ms = performance.now() - began;
  // One loop for all that waits, whatever its size. A look at each channel comes to three more each second.
  const looks = (ms / 300 + 1) * (names.length + 1);
  expect(attempts.count - before).toBeLessThan(looks + ms / 5);
  for (const name of names) {
    one.broker.leave(name, `s-${name}`, true);
    one.broker.unsubscribe(name);
  }
  await eventually(() => one.broker.size === 1);
  const warned = one.warnings.filter((line) => line.includes("Redis"));
  expect(warned.length).toBeLessThan(20);
  await server.start();
  await eventually(() => one.broker.ready);
  await eventually(async () => (await one.broker.presence("stays", 9)).members.length === 1);
  expect((await one.broker.presence("c0", 9)).members).toEqual([]);
});

test("a retry is warned of once for all channels, and its end is said", async () => {
  const { server, one, other } = await stage();
  await Promise.all(names.slice(0, 200).map((name) => one.broker.subscribe(name)));
  await one.broker.join("c0", session("s", "ann"));
  await server.kill();
  await eventually(() => !one.broker.ready);
  one.broker.leave("c0", "s", true);
  await eventually(() => one.warnings.some((line) => line.includes("telling who is present")));
  await server.start();
  await eventually(() => one.broker.ready && other.broker.ready);
  await eventually(() => one.infos.some((line) => line.includes("telling who is present")));
  const lines = one.warnings.filter((line) => line.startsWith("a call to Redis"));
  const whats = lines.map((line) => /"what":"([^"]*)"/.exec(line)?.[1]);
  expect(new Set(whats).size).toBe(whats.length);
  expect(one.causes[0]).toMatch(/ECONNREFUSED|closed/i);
});

const OURS = new TypeError("an error of our own");
const REFUSED = new RedisFailure("refused", "NOPERM not you");

test.each([
  ["Redis refuses", REFUSED],
  ["is wrong in our own code", OURS],
])(
  "what %s is not repeated without end: it is said, and tried with the next look",
  async (_, error) => {
    let failing = false;
    let failed = 0;
    const wrap = (commands: RedisCommands): RedisCommands => ({
      command: (key, args) => commands.command(key, args),
      run: async (script, keys, args) => {
        if (failing && ["catch-up", "presence", "beat"].includes(script.name)) {
          failed += 1;
          throw error;
        }
        return await commands.run(script, keys, args);
      },
    });
    const { one, other } = await stage({ wrap, beatMs: 60_000 });
    await other.broker.subscribe("a");
    await one.publish("a", "1");
    await eventually(() => other.texts("a").length === 1);
    failing = true;
    other.deafen(true);
    await one.publish("a", "2");
    await eventually(() => one.warnings.length >= 0 && other.missed() === 1);
    other.deafen(false);
    await one.publish("a", "3");
    await expect(one.broker.join("a", session("s", "ann"))).rejects.toThrow();
    await eventually(() => other.warnings.some((line) => line.includes("catching up")));
    await eventually(() => one.warnings.some((line) => line.includes(error.message)));
    const before = failed;
    const began = performance.now();
    await sleep(1_000);
    // A few looks each second, and no storm.
    expect(failed - before).toBeLessThan((30 * (performance.now() - began)) / 1_000);
    expect(other.texts("a")).toEqual(["1"]);
    failing = false;
    await eventually(() => other.texts("a").length === 3);
    expect(other.texts("a")).toEqual(["1", "2", "3"]);
    await eventually(async () => (await other.broker.presence("a", 9)).members.length === 1);
    const lines = other.warnings.filter((line) => line.includes("catching up"));
    expect(lines).toHaveLength(1);
  },
);

test("a node that may not listen again is not ready, says why, and goes on when it may", async () => {
  const { server, one, other } = await stage();
  await one.broker.subscribe("a");
  await server.command("ACL", "SETUSER", "default", "resetchannels");
  await eventually(() => !one.broker.ready);
  await eventually(() => one.warnings.some((line) => line.includes("listening again")));
  await server.command("ACL", "SETUSER", "default", "allchannels");
  await eventually(() => one.broker.ready && other.broker.ready);
  await other.publish("a", "1");
  await eventually(() => one.texts("a").length === 1);
});
