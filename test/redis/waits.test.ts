/** What was decided before an answer came is looked at again when it comes: much may have happened meanwhile. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { RedisCommands, RedisReply } from "../../src/brokers/redis/ports.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { type Node, type NodeOptions, newPrefix, openNode, session } from "./nodes.ts";
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

async function node(options: Partial<NodeOptions> & { prefix: string }): Promise<Node> {
  const opened = await openNode({ address: { urls: [server.url], cluster: false }, ...options });
  open.push(opened);
  return opened;
}

/** Holds back the answers of some calls, until they are let go. */
class Answers {
  /** Whether the answer of a script for a key is held back. */
  holds: (script: string, key: string) => boolean = () => false;
  readonly commands: string[] = [];
  readonly #held: (() => void)[] = [];
  readonly wrap = (commands: RedisCommands): RedisCommands => ({
    command: async (key, args) => {
      this.commands.push(String(args[0]));
      return await commands.command(key, args);
    },
    run: async (script, keys, args) => {
      const reply = await commands.run(script, keys, args);
      return this.holds(script.name, keys[0] ?? "") ? await this.#later(reply) : reply;
    },
  });

  get held(): number {
    return this.#held.length;
  }

  letGo(): void {
    this.holds = () => false;
    for (const go of this.#held.splice(0)) go();
  }

  async #later(reply: RedisReply): Promise<RedisReply> {
    await new Promise<void>((resolve) => this.#held.push(resolve));
    return reply;
  }
}

test("the answer to who has left and come back says nothing of what came between", async () => {
  const prefix = newPrefix();
  const answers = new Answers();
  const [one, other] = await Promise.all([node({ prefix, wrap: answers.wrap }), node({ prefix })]);
  // The node knows the channel for the sake of a member as well.
  await one.broker.join("a", session("s", "ann"));
  answers.holds = (script, key) => script === "open" && key.includes("{a}");
  const first = one.broker.subscribe("a").then(
    () => "subscribed",
    (error: { code: string }) => error.code,
  );
  await eventually(() => answers.held === 1);
  answers.holds = () => false;
  one.broker.unsubscribe("a");
  const listeners = async () => await server.command("PUBSUB", "NUMSUB", `${prefix}pub:a`);
  await eventually(async () => Number(((await listeners()) as unknown[])[1]) === 0);
  for (const text of ["1", "2", "3"]) await other.publish("a", text);
  const { position } = await one.broker.subscribe("a");
  expect(position.offset).toBe(3);
  answers.letGo();
  expect(await first).toBe("UNAVAILABLE");
  await other.publish("a", "4");
  await eventually(() => one.texts("a").length > 0);
  expect(one.texts("a")).toEqual(["4"]);
});

test("a pattern that comes while a loss is found out has lost nothing", async () => {
  const prefix = newPrefix();
  const answers = new Answers();
  const one = await node({ prefix, wrap: answers.wrap, refreshMs: 200 });
  await one.broker.subscribePattern("a.*");
  await server.command("DEL", `${prefix}{nodes}:active`, `${prefix}{nodes}:directory`);
  answers.holds = (script) => script === "active";
  await eventually(() => answers.held === 1);
  answers.holds = () => false;
  await one.broker.subscribePattern("b.*");
  answers.letGo();
  await eventually(() => one.lines("a.*").length === 1);
  expect(one.lines("a.*")[0]).toContain("gap epoch_changed");
  await sleep(600);
  expect(one.lines("b.*")).toEqual([]);
});

test("what a search finds concerns nobody who came after all patterns had left", async () => {
  const prefix = newPrefix();
  const answers = new Answers();
  const one = await node({ prefix, wrap: answers.wrap, refreshMs: 200 });
  await one.broker.subscribePattern("a.*");
  answers.holds = (script) => script === "active";
  await eventually(() => answers.held === 1);
  answers.holds = () => false;
  one.broker.unsubscribePattern("a.*");
  await server.command("DEL", `${prefix}{nodes}:active`, `${prefix}{nodes}:directory`);
  await one.broker.subscribePattern("a.*");
  answers.letGo();
  await sleep(600);
  expect(one.lines("a.*")).toEqual([]);
});

test("two looks at the same time do not declare a node lost", async () => {
  const prefix = newPrefix();
  const answers = new Answers();
  const rules = { "**": { presenceGraceMs: 0 } };
  const slow = { prefix, rules, beatMs: 60_000 };
  const one = await node({ ...slow, wrap: answers.wrap, refreshMs: 1_500 });
  const other = await node({ ...slow, refreshMs: 60_000 });
  await one.broker.subscribePattern("a.*");
  await one.broker.join("a.b", session("s", "ann"));
  await other.broker.join("a.b", session("t", "bob"));
  await other.publish("a.b", "1");
  await eventually(() => one.texts("a.b").length === 1);
  const alive = `${prefix}{nodes}:alive`;
  const name = `${other.broker.cluster.node}-0`;
  const score = String(await server.command("ZSCORE", alive, name));
  answers.commands.length = 0;
  await server.command("ZREM", alive, name);
  // By its member, and by the pattern.
  const looks = () => answers.commands.filter((command) => command === "ZSCORE").length;
  await eventually(() => looks() >= 4);
  await server.command("ZADD", alive, score, name);
  await eventually(() => looks() >= 8);
  const { members } = await one.broker.presence("a.b", 9);
  expect(members.map(({ userId }) => userId).sort()).toEqual(["ann", "bob"]);
});

test("a look that takes long does not take for gone who comes meanwhile", async () => {
  const prefix = newPrefix();
  const answers = new Answers();
  const rules = { "**": { presenceGraceMs: 0 } };
  const one = await node({ prefix, rules, wrap: answers.wrap, refreshMs: 200 });
  await one.broker.subscribe("a");
  // As Redis knows a member that it has lost the leave of.
  await server.command("HSET", `${prefix}{a}:meta`, `node:${one.broker.cluster.node}-0`, "1");
  answers.holds = (script, key) => script === "open" && key.includes("{a}");
  await eventually(() => answers.held === 1);
  one.broker.unsubscribe("a");
  answers.holds = () => false;
  await one.broker.join("a", session("s", "ann"));
  answers.letGo();
  await sleep(300);
  expect((await one.broker.presence("a", 9)).members).toMatchObject([{ userId: "ann" }]);
});
