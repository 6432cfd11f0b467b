/** What lies below `/channels/`: doors to one channel each. */
import type { Hono } from "hono";
import { CHANNELS_PATH, type ChannelPath, channelPathOf } from "./channel-path.ts";
import { EVENTS_PATH } from "./events/door.ts";
import { HISTORY_PATH } from "./history/door.ts";

/**
 * Answers a request for a channel.
 *
 * @param env what the host has handed to `fetch`
 */
export type ChannelDoor = (
  request: Request,
  path: ChannelPath,
  env: unknown,
) => Response | Promise<Response>;

/** A door that is left out is no path. */
export interface ChannelDoors {
  /** `/channels/{channel}/events` */
  readonly events?: ChannelDoor;
  /** `/channels/{channel}/history` */
  readonly history?: ChannelDoor;
  /** `/channels/{channel}`, and every other path there, to say that it is none. */
  readonly publish?: ChannelDoor;
}

/** Adds the paths below `/channels/` to an app. A path without a door is left to the routes after it. */
export function addChannelDoors(app: Hono, { events, history, publish }: ChannelDoors): void {
  const doors = new Map([
    [EVENTS_PATH, events],
    [HISTORY_PATH, history],
  ]);
  app.all(`${CHANNELS_PATH}*`, async (context, next) => {
    // The router has decoded what it matches; a name is decoded once, at its door.
    const path = channelPathOf(context.req.raw.url);
    if (path === undefined) return await next();
    const door = doors.has(path.rest) ? doors.get(path.rest) : publish;
    if (door === undefined) return await next();
    return await door(context.req.raw, path, context.env);
  });
}
