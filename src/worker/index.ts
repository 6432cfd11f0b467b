/** The Worker as it is deployed. The runtime takes every export for an entry point. */
import { createWorker } from "./worker.ts";

export { ChannelDurableObject } from "./channel.ts";
export { GatewayDurableObject } from "./gateway.ts";
export { PatternDurableObject } from "./pattern.ts";

export default createWorker();
