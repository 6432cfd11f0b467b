/**
 * Open and Send in the Worker. A stream of Open ends here, with a bridge to its gateway; a Send arrives in
 * any isolate, and goes to the gateway that the session's id names.
 */
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { farewell, HEARTBEATS } from "../../http/streaming/own-messages.ts";
import { type OpenCall, streamingRoutes } from "../../http/streaming/service.ts";
import type { Encoding, Frame } from "../../protocol/codec.ts";
import { MessagingService } from "../../protocol/gen/messageloop/v1/service_pb.js";
import { clock, consoleLoggerAt, random, timers } from "../platform.ts";
import type { WorkerSettings } from "../settings.ts";
import { Bridge } from "./bridge.ts";
import { bridgeTo } from "./bridge-to.ts";
import { callerOf } from "./caller.ts";
import { requestEngine } from "./request-engine.ts";

const ONE_DIRECTION_ONLY =
  "this host has no streams that are open in both directions: use Open with Send, or a WebSocket";

/** Serves MessagingService, as far as this host can. */
export function messagingRoutes(settings: WorkerSettings): (router: ConnectRouter) => void {
  const streaming = streamingRoutes({
    maxMessageBytes: settings.maxMessageBytes,
    origins: settings,
    open: (call) => open(settings, call),
    send: (call, context) => {
      const { ctx, region } = callerOf(context);
      return requestEngine(ctx, settings, region).send(call);
    },
    refused: (reason, { header }) => {
      const address = header.get("CF-Connecting-IP") ?? "";
      const fields = { address, reason };
      consoleLoggerAt(settings.logLevel).debug?.("call refused", fields);
    },
  });
  return (router) => {
    streaming(router);
    // biome-ignore lint/correctness/useYield: there is nothing to say before it ends.
    router.rpc(MessagingService.method.messageLoop, async function* () {
      throw new ConnectError(ONE_DIRECTION_ONLY, Code.Unimplemented);
    });
  };
}

async function* open(
  settings: WorkerSettings,
  { context, encoding, frame, timeoutMs = Number.POSITIVE_INFINITY }: OpenCall,
): AsyncGenerator<{ readonly data: Frame }> {
  const { lifetimeMs } = settings.stream;
  const bridge = await opened(settings, context, encoding);
  const { signal } = context;
  const leave = (): void => bridge.leave();
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  let late = false;
  // A longer one is not for people.
  const inTime =
    timeoutMs > lifetimeMs
      ? undefined
      : timers.after(timeoutMs, () => {
          late = true;
          bridge.end();
        });
  try {
    bridge.send(frame);
    for (;;) {
      const event = await bridge.next();
      if (event.kind === "frame") yield { data: event.frame };
      else if (event.kind === "heartbeat") yield { data: HEARTBEATS[encoding] };
      else {
        if (late) throw new ConnectError("the deadline has passed", Code.DeadlineExceeded);
        if (event.disconnect === undefined) throw lost();
        yield { data: farewell(encoding, event.disconnect, { clock, random }) };
        return;
      }
    }
  } finally {
    inTime?.();
    leave();
  }
}

async function opened(
  settings: WorkerSettings,
  context: HandlerContext,
  encoding: Encoding,
): Promise<Bridge> {
  const caller = callerOf(context);
  const { heartbeatIntervalMs: heartbeatMs } = settings.stream;
  const terms = { door: "stream", heartbeatMs, region: caller.region } as const;
  const address = context.requestHeader.get("CF-Connecting-IP") ?? "";
  const bridge = await bridgeTo(caller, settings, encoding, address, terms);
  if (bridge instanceof Bridge) return bridge;
  const retry = { "Retry-After": bridge.headers.get("Retry-After") ?? "1" };
  throw new ConnectError("the server is asked too much", Code.Unavailable, retry);
}

function lost(): ConnectError {
  return new ConnectError("the session was lost: open another one", Code.Unavailable);
}
