/** The suite on two self-hosted servers that share one Redis. */
import { redisHost } from "./hosts/redis.ts";
import { conformance } from "./vitest.ts";

conformance(redisHost);
