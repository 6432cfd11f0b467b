/** Keys of a channel that hold what somebody else has put there: nothing half done, a clear error, and no trace afterwards. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type Node, newPrefix, openNode, session } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const open: Node[] = [];
let server: RedisServer;

beforeAll(async () => {
  server = await redisServer();
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((node) => node.close()));
});

afterAll(async () => {
  await server.stop();
});

async function two(prefix: string): Promise<[Node, Node]> {
  const address = { urls: [server.url], cluster: false };
  const options = { address, prefix, refreshMs: 200, beatMs: 200 };
  const nodes = await Promise.all([openNode(options), openNode(options)]);
  open.push(...nodes);
  return nodes;
}

/** What a publish and a join have to do with each key of a channel. */
const KEYS: readonly [part: string, publishes: boolean, joins: boolean][] = [
  ["meta", true, true],
  ["log", true, true],
  ["dedup", true, false],
  ["order", true, false],
  ["members", false, true],
  ["sessions", false, true],
  ["leaving", false, true],
];

test.each(KEYS)(
  "while the key %s holds what is not ours nothing is half done, and then all is well",
  async (part, publishes, joins) => {
    const prefix = newPrefix();
    const [one, other] = await two(prefix);
    const key = `${prefix}{a}:${part}`;
    await server.command("SET", key, "foreign");
    const said = "a key in Redis holds what is not ours";
    const refused = { code: "UNAVAILABLE", message: said };
    const publish = one.publish("a", "1", "k");
    if (publishes) await expect(publish).rejects.toMatchObject(refused);
    else await publish;
    const join = one.broker.join("a", session("s", "ann"));
    if (joins) await expect(join).rejects.toMatchObject(refused);
    else await join;
    // Nobody but its owner has touched it, and the operator reads its name.
    expect(await server.command("GET", key)).toBe("foreign");
    expect(one.warnings.join()).toContain(
      part === "meta" ? `{a}:${part}` : `${key} holds a string`,
    );
    await server.command("DEL", key);
    expect((await one.publish("a", "1", "k")).duplicate).toBe(!publishes);
    await one.broker.subscribe("a");
    await other.broker.subscribe("a");
    await one.publish("a", "2");
    await eventually(() => one.texts("a").includes("2") && other.texts("a").includes("2"));
    const { entries } = await one.broker.history("a", { limit: -1 });
    expect(entries.map(({ offset }) => offset)).toEqual([1n, 2n]);
    // What could not be told is told without anybody's doing.
    await eventually(async () => (await other.broker.presence("a", 9)).members.length === 1);
  },
);

test("a key that turns foreign under subscribers costs them nothing that was acknowledged", async () => {
  const prefix = newPrefix();
  const [one, other] = await two(prefix);
  await other.broker.subscribe("a");
  await one.publish("a", "1");
  await eventually(() => other.texts("a").length === 1);
  await server.command("RENAME", `${prefix}{a}:dedup`, `${prefix}{a}:aside`);
  await server.command("SET", `${prefix}{a}:dedup`, "foreign");
  await expect(one.publish("a", "2")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await server.command("RENAME", `${prefix}{a}:aside`, `${prefix}{a}:dedup`);
  expect((await one.publish("a", "3")).position.offset).toBe(2);
  await eventually(() => other.texts("a").length === 2);
  expect(other.lines("a")).toEqual(["1 1", "2 3"]);
});

test("a log that somebody else has written to goes on in another life, which is told", async () => {
  const prefix = newPrefix();
  const [one, other] = await two(prefix);
  await other.broker.subscribe("a");
  const { position } = await one.publish("a", "1");
  await eventually(() => other.texts("a").length === 1);
  // By the clock, as a program does that takes the key for its own: all that we would append comes before it.
  await server.command("XADD", `${prefix}{a}:log`, "*", "field", "value");
  const later = await Promise.all(["2", "3"].map((text) => one.publish("a", text)));
  expect(later.map((result) => result.position.offset)).toEqual([1, 2]);
  expect(later[0]?.position.epoch).not.toBe(position.epoch);
  await eventually(() => other.texts("a").length === 3);
  const lines = other.lines("a").filter((line) => !line.startsWith("presence"));
  expect(lines).toEqual(["1 1", "gap epoch_changed 1-0", "1 2", "2 3"]);
});

test("foreign keys of the nodes' own are named, and no channel is lost by them", async () => {
  const prefix = newPrefix();
  const [one, other] = await two(prefix);
  await one.broker.subscribe("a");
  await server.command("DEL", `${prefix}{nodes}:lost`, `${prefix}{nodes}:active`);
  await server.command("SET", `${prefix}{nodes}:lost`, "foreign");
  await server.command("SET", `${prefix}{nodes}:active`, "foreign");
  await eventually(() => one.warnings.some((line) => line.includes(":lost holds a string")));
  // What cannot be listed for patterns is not acknowledged.
  await expect(other.publish("a", "1", "k")).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await server.command("DEL", `${prefix}{nodes}:lost`, `${prefix}{nodes}:active`);
  await eventually(() =>
    other.publish("a", "1", "k").then(
      () => true,
      () => false,
    ),
  );
  await eventually(() => one.texts("a").length === 1);
});
