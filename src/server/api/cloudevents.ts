/** CloudEvents by `POST /channels/{channel}` on Node's servers. */
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Engine } from "../../engine/engine.ts";
import type { ChannelPath } from "../../http/channel-path.ts";
import { publishCloudEvents } from "../../http/cloudevents/door.ts";
import type { Keys } from "../../http/keys/keys.ts";
import { MAX_BODY_MS } from "../../protocol/limits.ts";
import type { TrustedProxies } from "../transport/client-address.ts";
import type { ApiCalls } from "./calls.ts";

/** How long nothing may move on a connection whose request has shown a key, in milliseconds. */
const PATIENCE_MS = 2 * MAX_BODY_MS;

export interface CloudEventsDoorOptions {
  readonly engine: Engine;
  readonly keys: Keys;
  readonly calls: ApiCalls;
  readonly proxies: TrustedProxies;
}

/** What the adapter hands over beside a request. */
interface Bindings {
  readonly incoming: IncomingMessage | Http2ServerRequest;
}

/** Answers `POST /channels/{channel}`: an event, or a batch of them, in one of the modes of the HTTP binding. */
export function cloudEventsDoor({ engine, keys, calls, proxies }: CloudEventsDoorOptions) {
  return async (request: Request, path: ChannelPath, env: unknown): Promise<Response> => {
    const { incoming } = env as Bindings;
    let leave: (() => void) | undefined;
    try {
      return await publishCloudEvents(request, path, {
        keys,
        peer: proxies.peerOf(incoming),
        headersAreText: false,
        maxEventBytes: engine.settings.maxMessageBytes,
        // The listener cuts connections on which nothing moves. It sets the time again for the next request.
        admitted: () => incoming.socket.setTimeout(PATIENCE_MS),
        engine: () => {
          leave = calls.enter();
          return engine;
        },
      });
    } finally {
      leave?.();
    }
  };
}
