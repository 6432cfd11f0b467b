/** The suite on the Worker host. */
import { workerHost } from "./hosts/worker.ts";
import { conformance } from "./vitest.ts";

conformance(workerHost);
