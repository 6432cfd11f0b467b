/** The Worker as it is deployed. The runtime takes every export for an entry point. */
import { createWorker } from "./worker.ts";

export { ChannelDurableObject } from "./channel/object.ts";
export { GatewayDurableObject } from "./gateway/object.ts";
export { PatternDurableObject } from "./pattern-index/object.ts";

export default createWorker();
