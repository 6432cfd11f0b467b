/** Takes a checked upgrade to a gateway. */
import { delayedRetry } from "../http/app.ts";
import { DISCONNECTS, type Disconnect } from "../protocol/codes.ts";
import { closeSocket } from "./close.ts";
import { handshake } from "./handshake.ts";
import {
  DOOR_HEADER,
  GATEWAY_WIDTH_HEADER,
  gatewayName,
  HEARTBEAT_HEADER,
  ISSUED_HEADER,
  MAX_TRIES,
  type Origin,
  Placement,
  REFUSAL_HEADER,
  type Refusal,
  type Region,
  regionOf,
  USER_HEADER,
} from "./placement.ts";
import { consoleLogger } from "./platform.ts";

/** Widths last as long as the isolate: a fresh one starts small and learns from refusals. */
export const placement = new Placement(
  () => Date.now(),
  () => Math.random(),
);

/** A gateway as the Worker sees it. */
export interface GatewayStub {
  fetch(request: Request): Promise<Response>;
}

/** Finds a gateway by its name. */
export type Gateways = (name: string, region: Region) => GatewayStub;

/** What a door of the Worker passes to the gateway that it connects a client to. */
export type DoorTerms = {
  /** Where its client comes from. */
  readonly region: Region;
} & (
  | {
      readonly door: "stream";
      /** How often the door writes to its client where there is nothing else to write, in milliseconds. */
      readonly heartbeatMs: number;
    }
  | {
      readonly door: "events";
      /** The user of the client, as the door has found out; empty for an anonymous one. */
      readonly user: string;
      /** When its ticket was made, Unix milliseconds; undefined where it has shown a key. */
      readonly issuedAt: number | undefined;
    }
);

/**
 * Finds a gateway that takes the connection. After three refusals a server that is full accepts and
 * closes with 3504, because no browser shows a page why an upgrade failed; a server that is asked too
 * fast answers 503 with a jittered Retry-After, which costs it least.
 *
 * @param request the upgrade: a client's, or that of a door of the Worker
 * @param terms of the door
 */
export async function connectToGateway(
  request: Request,
  gateway: Gateways,
  terms?: DoorTerms,
): Promise<Response> {
  const region = terms?.region ?? regionFrom(request);
  let shard = placement.pick(region);
  let full = false;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const forwarded = new Request(request);
    forwarded.headers.set(GATEWAY_WIDTH_HEADER, `${placement.width(region)}`);
    say(forwarded.headers, terms);
    const response = await answered(gateway(gatewayName(region, shard), region), forwarded);
    if (response === undefined) continue;
    if (response.status !== 503) return response;
    full = response.headers.get(REFUSAL_HEADER) === ("full" satisfies Refusal);
    const told = response.headers.get(GATEWAY_WIDTH_HEADER);
    shard = placement.refused(region, Number(told) || 1);
  }
  return full ? closed(request, DISCONNECTS.connectionLimit) : delayedRetry();
}

/** The region nearest to where a request comes from. */
export function regionFrom(request: Request): Region {
  return regionOf((request as { cf?: Origin }).cf);
}

/** Puts the door's word in the place of what a client has said there. */
function say(headers: Headers, terms: DoorTerms | undefined): void {
  headers.delete(DOOR_HEADER);
  headers.delete(HEARTBEAT_HEADER);
  headers.delete(USER_HEADER);
  headers.delete(ISSUED_HEADER);
  if (terms === undefined) return;
  headers.set(DOOR_HEADER, terms.door);
  if (terms.door === "stream") headers.set(HEARTBEAT_HEADER, `${terms.heartbeatMs}`);
  else {
    headers.set(USER_HEADER, encodeURIComponent(terms.user));
    if (terms.issuedAt !== undefined) headers.set(ISSUED_HEADER, `${terms.issuedAt}`);
  }
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
