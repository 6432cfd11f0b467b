/** A gateway whose sessions come and go by patterns, as the engine tells it. */

import { nextTurn } from "../support/platform.ts";
import { BrokerScene, ROOM } from "./broker-scene.ts";

/** A gateway whose sessions want nothing yet. */
export function opened(): BrokerScene {
  const scene = new BrokerScene();
  scene.wanted = false;
  return scene;
}

/** A session comes, as the engine tells it: it is in the hub before the broker is called. */
export async function enter(scene: BrokerScene, pattern: string, follows = false): Promise<number> {
  const { wanted } = scene.patterns;
  wanted.set(pattern, wanted.get(pattern) === true || follows);
  return (await scene.broker.subscribePattern(pattern)).position.offset;
}

/** The last session leaves. */
export function go(scene: BrokerScene, pattern: string): void {
  scene.patterns.wanted.delete(pattern);
  scene.broker.unsubscribePattern(pattern);
}

/** Everything that was asked for has been told. */
export async function quiet(scene: BrokerScene): Promise<void> {
  const { asked } = scene.patterns;
  let calls = -1;
  while (calls !== asked.length) {
    calls = asked.length;
    for (let i = 0; i < 8; i++) await nextTurn();
  }
}

/** A gateway that hears the room by a pattern. */
export async function hearing(): Promise<BrokerScene> {
  const scene = opened();
  scene.hears = true;
  await enter(scene, ROOM);
  return scene;
}
