/** Calls from object to object, as Durable Objects make them. */
import type { ObjectCalls } from "../objects/ports/calls.ts";
import { parseGatewayName, REGIONS } from "./placement.ts";

/** Nothing is looked up before a call is made. */
export function objectCalls({ exports }: Pick<DurableObjectState, "exports">): ObjectCalls {
  return {
    channel: (name) => exports.ChannelDurableObject.getByName(name),
    gateway: (name) => {
      const region = parseGatewayName(name)?.region;
      const place = region === undefined ? {} : { locationHint: region };
      // The first caller of a gateway, perhaps for a session that never was, must not have it live near itself.
      return exports.GatewayDurableObject.getByName(name, place);
    },
    index: (name) => exports.PatternDurableObject.getByName(name),
    user: (id) => exports.UserDurableObject.getByName(id),
    stats: (region) => {
      const place = REGIONS.find((one) => one === region);
      return exports.StatsDurableObject.getByName(
        region,
        place === undefined ? {} : { locationHint: place },
      );
    },
  };
}
