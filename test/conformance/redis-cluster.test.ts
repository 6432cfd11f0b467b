/** The suite on two self-hosted servers that share a Redis Cluster. */
import { expect, test } from "vitest";
import { clusterHost } from "./hosts/redis.ts";
import { conformance } from "./vitest.ts";

conformance(clusterHost);

test("the channels of the cases were on all masters", async () => {
  const { servers } = await clusterHost.redis();
  const channels = await Promise.all(
    servers.map(async (server) => (await server.command("KEYS", "*}:meta")) as string[]),
  );
  // Their names are random.
  for (const keys of channels) expect(keys.length).toBeGreaterThan(50);
});
