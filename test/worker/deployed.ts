/** Names of the variables and bindings that the Worker is deployed with: loaded once, before the first file of tests. */
import { env } from "cloudflare:workers";

export const deployed: ReadonlySet<string> = new Set(Object.keys(env));
