/** What the suite measures, on the Worker host. */
import { workerHost } from "./hosts/worker.ts";
import { measurements } from "./vitest.ts";

measurements(workerHost);
