/** Server-sent events in the Worker. A stream ends here, with a bridge to its gateway, which can sleep. */
import type { AdmittedEvents } from "../../http/events/door.ts";
import { EventStream, HEARTBEAT_FRAME } from "../../http/events/event-stream.ts";
import { codecFor } from "../../protocol/codec.ts";
import { DISCONNECTS } from "../../protocol/codes.ts";
import { type SizedFrame, sized } from "../../protocol/publication-frames.ts";
import type { WorkerSettings } from "../settings.ts";
import type { Bridge } from "./bridge.ts";
import { bridgeTo } from "./bridge-to.ts";
import type { Caller } from "./caller.ts";

/** Answers requests that may have a stream. */
export async function openEvents(
  events: AdmittedEvents,
  settings: WorkerSettings,
  caller: Caller,
): Promise<Response> {
  const { address, headers, issuedAt, userId } = events;
  const terms = { door: "events", user: userId, issuedAt, region: caller.region } as const;
  const bridge = await bridgeTo(caller, settings, "json", address, terms);
  if (bridge instanceof Response) return events.sentAway(DISCONNECTS.connectionLimit);
  return new Response(bodyOf(events, bridge), { headers: { ...headers } });
}

/**
 * What the session of a gateway's socket says, made as fast as it is read. The runtime reports that the client has gone
 * when a write fails, which heartbeats see to.
 */
function bodyOf({ name, lastEventId }: AdmittedEvents, bridge: Bridge): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let text = "";
  const events = new EventStream({
    name,
    lastEventId,
    random: Math.random,
    sink: {
      write: ({ data }: SizedFrame) => {
        text += data;
      },
      close: (disconnect) => bridge.close(disconnect),
    },
  });
  events.begin();
  bridge.send(codecFor("json").encodeInbound(events.connect));
  let over = false;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // Asked for again, so that the last of it has been written.
        if (over) {
          bridge.leave();
          controller.close();
          return;
        }
        while (text === "" && !over) {
          const event = await bridge.next();
          if (event.kind === "frame") events.take(sized(event.frame));
          else if (event.kind === "heartbeat") text += HEARTBEAT_FRAME.data;
          else {
            over = true;
            events.end(event.disconnect ?? DISCONNECTS.internal);
          }
        }
        if (text !== "") controller.enqueue(encoder.encode(text));
        text = "";
      },
      cancel: () => bridge.leave(),
    },
    { highWaterMark: 0 },
  );
}
