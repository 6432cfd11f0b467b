/** Bridges from the doors of the Worker to its gateways. */
import { returnDelay } from "../../http/streaming/own-messages.ts";
import { codecFor, type Encoding } from "../../protocol/codec.ts";
import { DISCONNECTS } from "../../protocol/codes.ts";
import { clock, timers } from "../platform.ts";
import type { WorkerSettings } from "../settings.ts";
import { connectToGateway, type DoorTerms } from "../upgrade.ts";
import { Bridge } from "./bridge.ts";
import { abandon, type Caller } from "./caller.ts";

/**
 * A bridge to a gateway that takes a client, or the refusal of all that were asked.
 *
 * @param address of the client in the network; empty where it is not known
 */
export async function bridgeTo(
  caller: Caller,
  settings: WorkerSettings,
  encoding: Encoding,
  address: string,
  terms: DoorTerms,
): Promise<Bridge | Response> {
  const upgrade = new Request("https://gateway/", {
    headers: {
      Upgrade: "websocket",
      "Sec-WebSocket-Protocol": codecFor(encoding).subprotocol,
      "CF-Connecting-IP": address,
    },
  });
  const answer = await connectToGateway(upgrade, caller.gateways, terms);
  if (answer.webSocket === null) return answer;
  const { maxQueueBytes, stream } = settings;
  const isStream = terms.door === "stream";
  return new Bridge(answer.webSocket, {
    heartbeatMs: stream.heartbeatIntervalMs,
    lifetimeMs: stream.lifetimeMs,
    lifetimeEnd: DISCONNECTS.goingAway,
    // An EventSource learns it by its own means.
    returnAfterMs: isStream ? returnDelay() : 0,
    maxQueueBytes,
    clock,
    timers,
    abandon: () => abandon(caller, settings, isStream ? "Open" : "events"),
  });
}
