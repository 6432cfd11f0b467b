/** What tests of a channel and its patterns need beside a scene. */
import type { PatternInterest } from "../../src/objects/calls/pattern-interest.ts";
import type { LifeScene } from "./life-scene.ts";

export function interest(gateway: string, version = 1, presence = false): PatternInterest {
  return { gateway, version, presence };
}

/** Publishes as the object does: only when the channel is ready. */
export async function publish(room: LifeScene, ...texts: readonly string[]): Promise<number[]> {
  for (let wait = room.life.ready(); wait !== undefined; wait = room.life.ready()) await wait;
  return room.publish(...texts);
}
