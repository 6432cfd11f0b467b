/** Connections for commands that are closed while they are being opened again. */
import { afterEach, expect, test } from "vitest";
import { openCommands } from "../../src/server/redis/commands.ts";
import { eventually, sleep } from "../support/eventually.ts";
import { type RedisServer, redisServer } from "./servers.ts";

const servers: RedisServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

/** Connections that a server has beside the one that asks. */
async function connections(server: RedisServer): Promise<number> {
  const list = String(await server.command("CLIENT", "LIST"));
  return list.trim().split("\n").length - 1;
}

/**
 * A server that could not start because it lost its connection did not end: the connection that was being
 * opened instead came to be after it was closed, and kept the process alive.
 */
test.each([false, true])("what is closed stays closed; cluster: %s", async (cluster) => {
  const server = await redisServer(cluster ? { "cluster-enabled": "yes" } : {});
  servers.push(server);
  if (cluster) {
    await server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    await eventually(async () =>
      String(await server.command("CLUSTER", "INFO")).includes("cluster_state:ok"),
    );
  }
  const commands = await openCommands({ urls: [server.url], cluster });
  const lost = commands.command("list", ["BLPOP", "list", "0"]).catch(() => commands.close());
  await eventually(async () =>
    String(await server.command("CLIENT", "LIST")).includes("cmd=blpop"),
  );
  await server.command("CLIENT", "KILL", "TYPE", "normal");
  await lost;
  await sleep(200);
  expect(await connections(server)).toBe(0);
});
