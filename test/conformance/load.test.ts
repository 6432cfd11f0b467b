/** What the suite measures, on one host after the other. */
import { serverHost } from "./hosts/server.ts";
import { workerHost } from "./hosts/worker.ts";
import { conformance, MEASURED } from "./vitest.ts";

conformance(workerHost, MEASURED);
conformance(serverHost, MEASURED);
