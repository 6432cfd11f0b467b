/** What the suite measures, on the self-hosted host. */
import { serverHost } from "./hosts/server.ts";
import { measurements } from "./vitest.ts";

measurements(serverHost);
