/** The Worker as it is deployed. The runtime takes every export for an entry point. */
// Of no configuration. The build puts what it has made of config.yaml in its place, by an alias in wrangler.toml.
import config from "./config.json";
import { createWorker } from "./worker.ts";

export { ChannelDurableObject } from "./channel/object.ts";
export { StatsDurableObject } from "./directory/stats-object.ts";
export { UserDurableObject } from "./directory/user-object.ts";
export { GatewayDurableObject } from "./gateway/object.ts";
export { PatternDurableObject } from "./pattern-index/object.ts";

export default createWorker({ config });
