/** Takes a checked upgrade to a gateway. */
import { delayedRetry } from "../http/app.ts";
import {
  GATEWAY_WIDTH_HEADER,
  gatewayName,
  MAX_TRIES,
  type Origin,
  Placement,
  type Region,
  regionOf,
} from "./placement.ts";

/** Widths last as long as the isolate: a fresh one starts small and learns from refusals. */
const placement = new Placement(
  () => Date.now(),
  () => Math.random(),
);

/** A gateway as the Worker sees it. */
export interface GatewayStub {
  fetch(request: Request): Promise<Response>;
}

/** Finds a gateway that takes the connection; after three refusals 503 with a jittered Retry-After. */
export async function connectToGateway(
  request: Request,
  gateway: (name: string, region: Region) => GatewayStub,
): Promise<Response> {
  const region = regionOf((request as { cf?: Origin }).cf);
  let shard = placement.pick(region);
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const forwarded = new Request(request);
    forwarded.headers.set(GATEWAY_WIDTH_HEADER, `${placement.width(region)}`);
    const response = await gateway(gatewayName(region, shard), region).fetch(forwarded);
    if (response.status !== 503) return response;
    const told = response.headers.get(GATEWAY_WIDTH_HEADER);
    shard = placement.refused(region, Number(told) || 1);
  }
  return delayedRetry();
}
