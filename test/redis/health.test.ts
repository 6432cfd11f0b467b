/** Whether a node says in time that Redis is not to be had, and goes on when it is: hangs, fail-overs, passwords. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { ownTime } from "../support/own-time.ts";
import { type Node, type NodeOptions, newPrefix, openNode, session } from "./nodes.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const ended: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

async function server(options: Readonly<Record<string, string>> = {}): Promise<RedisServer> {
  const started = await redisServer(options);
  ended.push(() => started.stop());
  return started;
}

async function node(url: string, options: Partial<NodeOptions> = {}): Promise<Node> {
  const address = { urls: [url], cluster: false };
  const opened = await openNode({ address, prefix: newPrefix(), refreshMs: 300, ...options });
  ended.push(() => opened.close());
  return opened;
}

test.each(["while it is asked", "while nobody asks"])(
  "a Redis that hangs is told within three seconds, %s, and the same connections go on",
  async (when) => {
    const redis = await server();
    const prefix = newPrefix();
    // Nobody looks at anything by itself here: what is found out is found by the probe, or by the publish.
    const quiet = { prefix, refreshMs: 60_000, beatMs: 60_000 };
    const [one, other] = await Promise.all([node(redis.url, quiet), node(redis.url, quiet)]);
    await other.broker.subscribe("a");
    await one.publish("a", "1");
    const clients = async () => String(await redis.command("CLIENT", "LIST")).match(/ addr=\S+/g);
    const before = (await clients())?.length;
    redis.hang();
    const time = ownTime();
    const publish =
      when === "while it is asked" ? one.publish("a", "2", "k").catch(() => "failed") : undefined;
    await eventually(() => !one.broker.ready && !other.broker.ready);
    time.stop();
    expect(time.ms()).toBeLessThan(3_000);
    expect(one.causes).toEqual(["Redis does not answer"]);
    redis.goOn();
    await eventually(() => one.broker.ready && other.broker.ready);
    await publish;
    await one.publish("a", "3");
    await eventually(() => other.texts("a").includes("3"));
    expect(other.texts("a")).toEqual(publish === undefined ? ["1", "3"] : ["1", "2", "3"]);
    expect((await clients())?.length).toBe(before);
    expect(one.states).toEqual([true, false, true]);
  },
);

/** One name that leads to one server, and to another one later, as with a managed Redis or a service. */
async function name(first: RedisServer): Promise<{ url: string; lead(to: RedisServer): void }> {
  let to = first;
  const sockets = new Set<Socket>();
  const proxy: Server = createServer((socket) => {
    const upstream = connect(to.port, "127.0.0.1");
    for (const one of [socket, upstream]) {
      sockets.add(one);
      one.on("error", () => one.destroy());
      one.on("close", () => sockets.delete(one));
    }
    socket.on("close", () => upstream.destroy());
    upstream.on("close", () => socket.destroy());
    socket.pipe(upstream).pipe(socket);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  ended.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => proxy.close(resolve));
  });
  const address = proxy.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `redis://127.0.0.1:${address.port}`,
    lead: (next) => {
      to = next;
    },
  };
}

test.each(["at once", "some time later"])(
  "a server that has become a replica is left for the new master, to which the name leads %s",
  async (when) => {
    const [old, next] = await Promise.all([server(), server()]);
    await next.command("REPLICAOF", "127.0.0.1", `${old.port}`);
    await eventually(async () =>
      String(await next.command("INFO", "replication")).includes("master_link_status:up"),
    );
    const { url, lead } = await name(old);
    const prefix = newPrefix();
    const [one, other] = await Promise.all([
      node(url, { prefix, beatMs: 500 }),
      node(url, { prefix, beatMs: 500 }),
    ]);
    await other.broker.subscribe("a");
    await one.broker.join("a", session("s", "ann"));
    await one.publish("a", "1");
    await eventually(async () => Number(await next.command("EXISTS", `${prefix}{a}:log`)) === 1);
    // The connections stay up: nothing but the answers tells of it.
    await next.command("REPLICAOF", "NO", "ONE");
    await old.command("REPLICAOF", "127.0.0.1", `${next.port}`);
    if (when === "at once") lead(next);
    else {
      await eventually(() => !one.broker.ready && !other.broker.ready);
      expect(one.causes[0]).toMatch(/READONLY|replica/);
      await expect(one.publish("a", "x")).rejects.toMatchObject({ code: "UNAVAILABLE" });
      lead(next);
    }
    await eventually(() =>
      one.publish("a", "2", "k").then(
        () => true,
        () => false,
      ),
    );
    await eventually(() => one.broker.ready && other.broker.ready);
    await eventually(() => other.texts("a").includes("2"));
    expect(other.texts("a")).toEqual(["1", "2"]);
    await eventually(async () => (await other.broker.presence("a", 9)).members.length === 1);
    // The old one is left by everybody.
    const left = async () => String(await old.command("CLIENT", "LIST", "TYPE", "pubsub"));
    await eventually(async () => !(await left()).includes("sub=1"));
  },
);

test("a password that Redis takes no more is named, and it goes on with it when it is right again", async () => {
  const redis = await server();
  await redis.command("ACL", "SETUSER", "app", "on", ">s3cret", "~*", "&*", "+@all");
  const address = { urls: [redis.url], cluster: false, username: "app", password: "s3cret" };
  const one = await openNode({ address, prefix: newPrefix() });
  ended.push(() => one.close());
  await one.broker.subscribe("a");
  await redis.command("ACL", "SETUSER", "app", "resetpass", ">other");
  await redis.command("CLIENT", "KILL", "TYPE", "normal");
  await redis.command("CLIENT", "KILL", "TYPE", "pubsub");
  await eventually(() => !one.broker.ready);
  const told = await one.publish("a", "1").catch((error: Error) => error.cause);
  expect(String(told)).toContain("refuses the user or the password");
  expect(JSON.stringify([one.warnings, one.causes])).not.toContain("s3cret");
  await redis.command("ACL", "SETUSER", "app", ">s3cret");
  await eventually(() => one.broker.ready);
  await one.publish("a", "2");
  await eventually(() => one.texts("a").includes("2"));
});
