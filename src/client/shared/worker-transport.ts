/** The way to a SharedWorker. */
import type { Transport, TransportEvents, TransportFactory } from "../core/ports.ts";
import { lineOver, type PortLike } from "./line.ts";
import { openLine } from "./port-transport.ts";
import { SDK_VERSION } from "./version.ts";

/** The part of a SharedWorker that the SDK uses. */
export interface SharedWorkerLike {
  readonly port: PortLike;
  addEventListener(type: "error", listener: () => void): void;
}

/** Makes, or finds, the SharedWorker of a name. */
export type WorkerFactory = (name: string) => SharedWorkerLike;

const LOST = 1006;

/**
 * @param address absolute
 * @param otherwise the way where there is no SharedWorker, or its script does not run
 */
export function workerTransport(
  make: WorkerFactory,
  address: string,
  otherwise: TransportFactory,
): TransportFactory {
  let runs = true;
  return {
    name: "shared-worker",
    open: (url, subprotocol, events) => {
      const openOther = (): Transport => otherwise.open(url, subprotocol, events);
      if (!runs) return openOther();
      let transport: Transport;
      let isOpen = false;
      let isClosed = false;
      const own: TransportEvents = {
        ...events,
        opened: () => {
          isOpen = true;
          events.opened();
        },
        ended: (end) => {
          if (transport === line) events.ended(end);
        },
      };
      const failed = (reason: string): void => {
        if (isClosed) return;
        if (isOpen) {
          line.end({ code: LOST, reason });
          return;
        }
        runs = false;
        transport = openOther();
        line.close(1000, reason);
      };
      let worker: SharedWorkerLike;
      try {
        worker = make(`messageloop ${SDK_VERSION} ${subprotocol} ${address}`);
      } catch {
        // Not every browser has it, and none runs one of another origin.
        runs = false;
        return openOther();
      }
      const line = openLine(lineOver(worker.port), address, subprotocol, own);
      transport = line;
      worker.addEventListener("error", () => failed("the script of the shared worker has failed"));
      return {
        send: (frame) => transport.send(frame),
        ping: () => transport.ping(),
        close: (code, reason) => {
          isClosed = true;
          transport.close(code, reason);
        },
      };
    },
  };
}
