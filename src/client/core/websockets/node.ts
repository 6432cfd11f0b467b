/**
 * Which WebSocket is used where no bundler has put `browser.ts` in the place of this: in Node, and in every other runtime
 * as well.
 */

import { constructorOf as plainConstructorOf } from "./browser.ts";
import type { WebSocketConstructor, WebSocketLike } from "./websocket-like.ts";

/** A TCP socket of Node. */
interface RawSocket {
  destroy(): void;
}

/** What undici, which Node's WebSocket is made of, sends a request with. */
interface Dispatcher {
  dispatch(options: unknown, handler: UpgradeHandler): boolean;
}

/** The part of it that is told of an upgrade, by a name that differs by version. The socket comes last. */
type UpgradeHandler = Partial<
  Record<"onUpgrade" | "onRequestUpgrade", (...terms: unknown[]) => unknown>
>;

/**
 * The given constructor, or the runtime's; undefined where there is none. Node's own has no way to give up a peer that
 * answers no close, and the process would never end: here it has the one of the `ws` package.
 */
export function constructorOf(
  given: WebSocketConstructor | undefined,
): WebSocketConstructor | undefined {
  const chosen = plainConstructorOf(given);
  const isNode = globalThis.navigator?.userAgent?.startsWith("Node.js");
  return isNode && chosen && chosen === plainConstructorOf(undefined) ? terminable(chosen) : chosen;
}

function terminable(OwnWebSocket: WebSocketConstructor): WebSocketConstructor {
  return class {
    constructor(url: string, protocols: string[]) {
      let raw: RawSocket | undefined;
      const options = {
        protocols,
        dispatcher: dispatcher((opened) => {
          raw = opened;
        }),
      };
      const socket: WebSocketLike = new OwnWebSocket(url, options as never);
      // biome-ignore lint/correctness/noConstructorReturn: it is this socket, with one method more.
      return Object.assign(socket, { terminate: () => raw?.destroy() });
    }
  } as WebSocketConstructor;
}

/** The dispatcher of all requests, which shows the socket of this one. */
function dispatcher(opened: (raw: RawSocket) => void): Dispatcher {
  return {
    dispatch(options, handler) {
      // Its name ends with a number that differs by version.
      const name = Object.getOwnPropertySymbols(globalThis).findLast(({ description }) =>
        description?.startsWith("undici.globalDispatcher"),
      );
      const shared = name && (globalThis as unknown as Record<symbol, Dispatcher>)[name];
      for (const name of ["onUpgrade", "onRequestUpgrade"] as const) {
        const told = handler[name];
        if (!told) continue;
        handler[name] = (...terms) => {
          opened(terms.at(-1) as RawSocket);
          return told.apply(handler, terms);
        };
      }
      return shared?.dispatch(options, handler) ?? false;
    },
  };
}
