/** What the suite measures, on one host after the other. */
import { serverHost } from "./hosts/server.ts";
import { workerHost } from "./hosts/worker.ts";
import { measurements } from "./vitest.ts";

measurements(workerHost);
measurements(serverHost);
