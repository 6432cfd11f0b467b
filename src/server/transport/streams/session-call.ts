/**
 * Calls that are sessions, whichever way a client sends: how many there may be, what is written to them, and how they
 * end.
 */
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import type { ClientSession } from "../../../engine/engine.ts";
import type { Clock, Random } from "../../../engine/ports/platform.ts";
import { retryAfterSeconds } from "../../../http/app.ts";
import { farewell } from "../../../http/streaming/own-messages.ts";
import { timeoutOf } from "../../../http/streaming/service.ts";
import type { Encoding } from "../../../protocol/codec.ts";
import { DISCONNECTS } from "../../../protocol/codes.ts";
import { type SizedFrame, sized } from "../../../protocol/publication-frames.ts";
import type { Entrance } from "../connections.ts";
import { afterLong } from "../deadline.ts";
import { LINE } from "./lines.ts";
import type { StreamTransport, TransportOwner } from "./stream-transport.ts";

export interface CallsOptions extends Entrance {
  readonly clock: Clock;
  readonly random: Random;
}

/** What makes a session of a call. */
export interface SessionCall<Transport extends StreamTransport> {
  readonly encoding: Encoding;
  readonly context: HandlerContext;
  transport(maxQueueBytes: number, owner: TransportOwner): Transport;
  /** @returns the session, and what is to be done once it has ended */
  begin(transport: Transport, address: string): { session: ClientSession; over?: () => void };
}

/** One call: what its session writes, until the end. */
export async function* serveSession<Transport extends StreamTransport>(
  options: CallsOptions,
  { encoding, context, ...call }: SessionCall<Transport>,
): AsyncGenerator<SizedFrame> {
  const { engine, connections, maxQueueBytes, logger } = options;
  const line = context.values.get(LINE);
  if (connections.full) throw tooMany();
  connections.enter();
  const leaves = line.serve(() => connections.leave());
  const transport = call.transport(maxQueueBytes, {
    farewell: (disconnect) => sized(farewell(encoding, disconnect, options)),
    overrun: () => begun?.session.close(DISCONNECTS.slowConsumer),
    dropped: (frames) => {
      engine.counters.queueDrops += frames;
    },
    ended: (slow) => line.letGo(slow),
  });
  let begun: ReturnType<typeof call.begin> | undefined;
  if (!connections.admit()) {
    const { address } = line;
    logger.debug?.("connection refused", { address, reason: "limits.connections" });
    transport.close(DISCONNECTS.connectionLimit);
  } else begun = call.begin(transport, line.address);
  const end = (): void => {
    begun?.session.end(false);
    begun?.over?.();
  };
  const gone = (reason: unknown): void => {
    end();
    transport.abandon(reason);
  };
  const timeoutMs = timeoutOf(context);
  const inTime =
    timeoutMs === undefined
      ? undefined
      : afterLong(timeoutMs, () =>
          gone(new ConnectError("the deadline has passed", Code.DeadlineExceeded)),
        );
  // The client may have gone before anything was done.
  const { signal } = context;
  if (signal.aborted) gone(signal.reason);
  else signal.addEventListener("abort", () => gone(signal.reason), { once: true });
  try {
    yield* transport.frames();
  } finally {
    inTime?.();
    end();
    if (!leaves) connections.leave();
  }
}

function tooMany(): ConnectError {
  const retry = { "retry-after": `${retryAfterSeconds()}` };
  return new ConnectError("the server has too many connections", Code.Unavailable, retry);
}
