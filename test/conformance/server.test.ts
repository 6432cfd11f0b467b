/** The suite on the self-hosted host. */
import { serverHost } from "./hosts/server.ts";
import { conformance } from "./vitest.ts";

conformance(serverHost);
