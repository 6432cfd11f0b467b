/** Which WebSocket is used in browsers and in Workers. `node.ts` has the place of this where bundlers name no browser. */
import type { WebSocketConstructor } from "./websocket-like.ts";

/** The given constructor, or the runtime's; undefined where there is none. */
export function constructorOf(
  given: WebSocketConstructor | undefined,
): WebSocketConstructor | undefined {
  return given ?? (globalThis.WebSocket as unknown as WebSocketConstructor | undefined);
}
