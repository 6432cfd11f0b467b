/** Takes a checked upgrade to a gateway. */
import { delayedRetry } from "../http/app.ts";
import { DISCONNECTS, type Disconnect } from "../protocol/codes.ts";
import { closeSocket } from "./close.ts";
import { handshake } from "./handshake.ts";
import {
  GATEWAY_WIDTH_HEADER,
  gatewayName,
  MAX_TRIES,
  type Origin,
  Placement,
  REFUSAL_HEADER,
  type Refusal,
  type Region,
  regionOf,
} from "./placement.ts";
import { consoleLogger } from "./platform.ts";

/** Widths last as long as the isolate: a fresh one starts small and learns from refusals. */
const placement = new Placement(
  () => Date.now(),
  () => Math.random(),
);

/** A gateway as the Worker sees it. */
export interface GatewayStub {
  fetch(request: Request): Promise<Response>;
}

/**
 * Finds a gateway that takes the connection. After three refusals a server that is full accepts and
 * closes with 3504, because no browser shows a page why an upgrade failed; a server that is asked too
 * fast answers 503 with a jittered Retry-After, which costs it least.
 */
export async function connectToGateway(
  request: Request,
  gateway: (name: string, region: Region) => GatewayStub,
): Promise<Response> {
  const region = regionOf((request as { cf?: Origin }).cf);
  let shard = placement.pick(region);
  let full = false;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const forwarded = new Request(request);
    forwarded.headers.set(GATEWAY_WIDTH_HEADER, `${placement.width(region)}`);
    const response = await answered(gateway(gatewayName(region, shard), region), forwarded);
    if (response === undefined) continue;
    if (response.status !== 503) return response;
    full = response.headers.get(REFUSAL_HEADER) === ("full" satisfies Refusal);
    const told = response.headers.get(GATEWAY_WIDTH_HEADER);
    shard = placement.refused(region, Number(told) || 1);
  }
  return full ? closed(request, DISCONNECTS.connectionLimit) : delayedRetry();
}

/** A gateway's answer; undefined where it fails, as one that is reset in that moment: the next try is another life. */
async function answered(gateway: GatewayStub, request: Request): Promise<Response | undefined> {
  try {
    return await gateway.fetch(request);
  } catch (error) {
    consoleLogger.warn("a gateway failed at an upgrade", { error: String(error) });
    return undefined;
  }
}

/** Accepts an upgrade to close it at once. */
function closed(request: Request, disconnect: Disconnect): Response {
  const { 0: client, 1: server } = new WebSocketPair();
  server.accept();
  closeSocket(server, disconnect);
  const { headers } = handshake(request);
  return new Response(null, { status: 101, webSocket: client, headers });
}
