/** What the suite says of backends, where these are services that are called over a network. */
import { accessCases } from "./cases/access.ts";
import { rpcCases } from "./cases/rpc.ts";
import { type Call, overNetwork } from "./hosts/network.ts";
import { redisHost } from "./hosts/redis.ts";
import { serverHost } from "./hosts/server.ts";
import { workerHost } from "./hosts/worker.ts";
import { casesOf } from "./vitest.ts";

// A server without a backend is the same whatever it would be called by.
const CASES = [...accessCases, ...rpcCases].filter(({ server }) => server !== undefined);

const HOSTS = [
  [serverHost, ["http", "connect", "grpc"]],
  [redisHost, ["http", "grpc"]],
  [workerHost, ["http", "connect", "binding"]],
] as const satisfies readonly (readonly [unknown, readonly Call[]])[];

for (const [host, calls] of HOSTS) {
  for (const call of calls) casesOf(overNetwork(host, call), CASES);
}
