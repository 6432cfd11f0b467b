/** CloudEvents by `POST /channels/{channel}` on Workers. */
import type { ChannelDoor } from "../../http/channel-doors.ts";
import { publishCloudEvents } from "../../http/cloudevents/door.ts";
import type { WorkerSettings } from "../settings.ts";
import { accessOf } from "./access.ts";
import { type Caller, peerOf } from "./caller.ts";
import { requestEngine } from "./request-engine.ts";

/** @param caller of the request that is to be answered */
export function cloudEventsDoor(
  settings: WorkerSettings,
  { ctx, region, keepAlive }: Caller,
): ChannelDoor {
  return async (request, path) =>
    await publishCloudEvents(request, path, {
      keys: accessOf(settings).keys,
      peer: peerOf(request),
      // The runtime has done so.
      headersAreText: true,
      maxEventBytes: settings.maxMessageBytes,
      engine: () => requestEngine(ctx, settings, region),
      keepAlive,
    });
}
