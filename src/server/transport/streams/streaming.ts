/** Sessions of clients that send by calls of their own: each call of Open is one. */
import { randomBytes } from "node:crypto";
import type { HandshakeRules } from "../../../http/handshake.ts";
import { HEARTBEATS, returnDelay } from "../../../http/streaming/own-messages.ts";
import { type OpenCall, streamingRoutes } from "../../../http/streaming/service.ts";
import type { StreamSettings } from "../../../http/streaming/settings.ts";
import type { Encoding } from "../../../protocol/codec.ts";
import { DISCONNECTS } from "../../../protocol/codes.ts";
import { type SizedFrame, sized } from "../../../protocol/publication-frames.ts";
import { type CallsOptions, serveSession } from "./session-call.ts";
import { StreamTransport } from "./stream-transport.ts";

/** 128 bits. */
const SECRET_BYTES = 16;

export interface OpenOptions extends CallsOptions, StreamSettings {
  /** Whose pages may call. */
  readonly origins: HandshakeRules;
}

/** Serves Open and Send. */
export function openRoutes(options: OpenOptions): ReturnType<typeof streamingRoutes> {
  const { engine, logger, origins } = options;
  return streamingRoutes({
    maxMessageBytes: engine.settings.maxMessageBytes,
    origins,
    open: (call) => open(options, call),
    send: (call) => engine.send(call),
    refused: (reason, { url }) =>
      logger.debug?.("call refused", { path: new URL(url).pathname, reason }),
  });
}

/** What is written where there is nothing else to say. */
const BEATS: Readonly<Record<Encoding, SizedFrame>> = {
  json: sized(HEARTBEATS.json),
  proto: sized(HEARTBEATS.proto),
};

function open(
  options: OpenOptions,
  { encoding, context, message, bytes }: OpenCall,
): AsyncIterable<SizedFrame> {
  const { engine, heartbeatIntervalMs, lifetimeMs, sessionId } = options;
  return serveSession(options, {
    encoding,
    context,
    transport: (maxQueueBytes, owner) => new StreamTransport(maxQueueBytes, owner),
    begin: (transport, address) => {
      const secret = randomBytes(SECRET_BYTES).toString("base64url");
      const terms = { secret, heartbeatIntervalMs };
      const session = engine.open(transport, sessionId(), encoding, terms, { address });
      session.receiveMessage(message, bytes).catch((error: unknown) => {
        options.logger.warn("message failed", { error: String(error) });
        session.close(DISCONNECTS.internal);
      });
      const beats = setInterval(() => transport.beat(BEATS[encoding]), heartbeatIntervalMs);
      // Proxies and networks cut what lives for long; so the end comes while it can be announced.
      const end = setTimeout(() => {
        session.close(DISCONNECTS.goingAway, returnDelay());
      }, lifetimeMs);
      beats.unref();
      end.unref();
      return {
        session,
        over: () => {
          clearInterval(beats);
          clearTimeout(end);
        },
      };
    },
  });
}
