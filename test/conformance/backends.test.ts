/** What the suite says of backends, where these are services that are called over a network. */
import { describe } from "vitest";
import { accessCases } from "./cases/access.ts";
import { rpcCases } from "./cases/rpc.ts";
import { type Call, overNetwork } from "./hosts/network.ts";
import { redisHost } from "./hosts/redis.ts";
import { serverHost } from "./hosts/server.ts";
import { workerHost } from "./hosts/worker.ts";
import { casesOf } from "./vitest.ts";

// A server without a backend is the same whatever it would be called by.
const CASES = [...accessCases, ...rpcCases].filter(({ server }) => server !== undefined);

/** What runs beside each other: most of their time cases wait. Those on Redis share one, one after the other. */
const BESIDE = [
  [
    [serverHost, ["http", "connect", "grpc"]],
    [workerHost, ["http"]],
  ],
  [
    [redisHost, ["http", "grpc"]],
    [workerHost, ["connect", "binding"]],
  ],
] as const satisfies readonly (readonly (readonly [unknown, readonly Call[]])[])[];

for (const [i, hosts] of BESIDE.entries()) {
  describe.concurrent(`beside each other, ${i + 1}`, () => {
    for (const [host, calls] of hosts) {
      for (const call of calls) casesOf(overNetwork(host, call), CASES);
    }
  });
}
