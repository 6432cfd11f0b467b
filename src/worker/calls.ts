/** Calls from object to object, as Durable Objects make them. */
import type { ObjectCalls } from "../objects/ports/calls.ts";

/** Nothing is looked up before a call is made. */
export function objectCalls(ctx: DurableObjectState): ObjectCalls {
  return {
    channel: (name) => ctx.exports.ChannelDurableObject.getByName(name),
    gateway: (name) => ctx.exports.GatewayDurableObject.getByName(name),
    index: (name) => ctx.exports.PatternDurableObject.getByName(name),
  };
}
