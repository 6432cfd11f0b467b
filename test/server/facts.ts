/** What a process could tell of itself, for tests of how that is told. */
import { DurationHistogram } from "../../src/engine/counters.ts";
import { CallCounts } from "../../src/http/api/call-counts.ts";
import type { ProcessFacts } from "../../src/http/metrics/process.ts";

export const FACTS: ProcessFacts = {
  version: "1.2.3",
  host: "server",
  uptimeSeconds: 1.5,
  connections: 3,
  sockets: { websocket: 4, grpc: 2, http: 1 },
  lag: new DurationHistogram().stats(),
  memory: { resident: 3_000, heap: 2_000, external: 1_000 },
  uncaught: { exception: 5, rejection: 6 },
  logLinesLost: 7,
  apiCalls: new CallCounts(["Publish"]).stats(),
  redis: { ready: false, lostSeconds: 8.5, losses: 9, stray: 10 },
  backends: [
    {
      name: "shop",
      lanes: {
        rpc: {
          outcomes: {
            answered: 11,
            timeout: 12,
            unreachable: 13,
            too_large: 14,
            redirect: 15,
            encoding: 16,
            status: 17,
            circuit_open: 18,
            busy: 19,
            cancelled: 20,
          },
          retries: 21,
          waiting: 22,
          circuit: "half_open",
        },
      },
    },
  ],
};
