/** The suite on the self-hosted host where frames are compressed: nothing is different for clients. */
import { compressingHost } from "./hosts/server.ts";
import { conformance } from "./vitest.ts";

conformance(compressingHost);
