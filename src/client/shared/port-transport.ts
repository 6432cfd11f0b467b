/** A tab's way to the hub, which is a transport as any other to the client in the tab. */
import type { Transport, TransportEnd, TransportEvents } from "../core/ports.ts";
import type { InboundFrame } from "../wire/frames.ts";
import { pack, type TabLine, unpack } from "./line.ts";
import { SDK_VERSION } from "./version.ts";

/** After so many messages the tab says that they were handled. */
const REPORTED_TOGETHER = 50;

/** Opens a connection to the hub at the other end of a line. */
export function openLine(
  line: TabLine,
  url: string,
  subprotocol: string,
  events: TransportEvents,
): Transport & { end(end: TransportEnd): void } {
  let over = false;
  let taken = 0;
  const end = (how: TransportEnd): void => {
    if (over) return;
    over = true;
    line.close();
    events.ended(how);
  };
  line.receive((message) => {
    if (over) return;
    if (message.kind === "opened") events.opened();
    else if (message.kind === "ping") line.send({ kind: "pong" });
    else if (message.kind === "pong") events.alive();
    else if (message.kind === "ended") {
      end(message);
    } else if (message.kind === "frame") {
      events.frame(pack(message.frame));
      taken += message.frame.publication?.messages?.length ?? 0;
      // The client may have closed it inside of the frame.
      if (taken < REPORTED_TOGETHER || over) return;
      line.send({ kind: "taken", count: taken });
      taken = 0;
    }
  });
  line.send({ kind: "open", version: SDK_VERSION, url, subprotocol });
  return {
    end,
    send(frame) {
      if (!over) line.send({ kind: "frame", frame: unpack<InboundFrame>(frame) });
    },
    ping() {
      if (!over) line.send({ kind: "ping" });
    },
    close(code, reason) {
      if (over) return;
      over = true;
      line.send({ kind: "close", code, reason });
      line.close();
      // The hub does not answer a tab that has gone.
      queueMicrotask(() => events.ended({ code, reason }));
    },
  };
}
