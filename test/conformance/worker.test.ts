/** The suite on the Worker host. */
import { workerHost } from "./hosts/worker.ts";
import { conformance, PLAIN } from "./vitest.ts";

conformance(workerHost, PLAIN);
