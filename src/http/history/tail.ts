/** A long poll: a session that is subscribed to a channel after a position, until the first of its frames brings something. */
import { create } from "@bufbuild/protobuf";
import type { Position } from "../../engine/ports/broker.ts";
import type { Timers } from "../../engine/ports/platform.ts";
import { DISCONNECTS, type Disconnect } from "../../protocol/codes.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  type InboundMessage,
  InboundMessageSchema,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { reconnects } from "../../protocol/lean/reconnects.ts";
import { LONG_POLL_MS } from "../../protocol/limits.ts";
import type { SizedFrame } from "../../protocol/publication-frames.ts";
import type { EventPosition } from "../events/event-id.ts";
import { positionOf, readFrame } from "../events/frames.ts";

/** Whom a session is for that waits. */
export interface TailTerms {
  /** The client's user; empty for an anonymous one. */
  readonly userId: string;
  /** When its ticket was made, Unix milliseconds; undefined without one. */
  readonly issuedAt: number | undefined;
  /** Network address of the client; empty where it is not known. */
  readonly address: string;
  /** What the session is to receive, as its first and only message. */
  readonly connect: InboundMessage;
  /** Takes its frames. */
  readonly take: (frame: SizedFrame) => void;
  /** The session has ended, or its client has gone. @param why where the server has ended it and it is known */
  readonly ended: (why?: Disconnect) => void;
}

/**
 * Opens a session of the host.
 *
 * @returns what ends it
 * @throws MessagingError RATE_LIMITED or UNAVAILABLE where the host takes no more
 */
export type OpenTail = (terms: TailTerms) => Promise<() => void>;

export interface TailOptions {
  readonly channel: string;
  /** Where the client is. */
  readonly since: Position;
  readonly client: Pick<TailTerms, "userId" | "issuedAt" | "address">;
  readonly open: OpenTail;
  readonly timers: Timers;
}

/**
 * Resolves when there may be a message after a position, when the channel has lost it, or after LONG_POLL_MS at the latest.
 *
 * @throws MessagingError where the host or the channel does not take the session
 */
export async function untilNext(options: TailOptions): Promise<void> {
  const { channel, since, client, open, timers } = options;
  const { promise: over, resolve } = Promise.withResolvers<MessagingError | undefined>();
  const cancel = timers.after(LONG_POLL_MS, () => resolve(undefined));
  try {
    const end = await open({
      ...client,
      connect: connectOf(channel),
      take: (frame) => {
        const { publication, control } = readFrame(frame);
        if (publication !== undefined) {
          // What is outside of the log has no epoch. A server may have subscribed the session to other channels.
          if (publication.channel === channel && publication.epoch !== "") resolve(undefined);
          return;
        }
        const [subscription] = control.connected?.subscriptions ?? [];
        if (subscription !== undefined) {
          const { error, position } = subscription;
          if (error !== undefined) resolve(new MessagingError(error.code, NOT_READABLE));
          // It has been published to since the page was read.
          else if (!isAt(since, position)) resolve(undefined);
        }
        if (control.gap !== undefined) resolve(undefined);
      },
      ended: (why) => resolve(why && refusalBy(why)),
    });
    try {
      const error = await over;
      if (error !== undefined) throw error;
    } finally {
      end();
    }
  } finally {
    cancel();
  }
}

/** How long a client that is sent away should wait at least, in milliseconds. */
const RETRY_AFTER_MS = 1_000;
/** And how much longer at most, so that they do not come together. */
const RETRY_SPREAD_MS = 4_000;

/** What a client hears that may not wait now, and how long it should stay away. */
export function later(code: "UNAVAILABLE" | "RATE_LIMITED", message: string): MessagingError {
  const pause = RETRY_AFTER_MS + Math.floor(Math.random() * RETRY_SPREAD_MS);
  return new MessagingError(code, message, { metadata: { retry_after_ms: pause } });
}

/**
 * What a server's end of the session is to a client that has waited; undefined where it may ask again at once. It would
 * take an empty page for that, and its next poll would end in the same way.
 */
function refusalBy({ code, reason }: Disconnect): MessagingError | undefined {
  if (code === DISCONNECTS.goingAway.code) return undefined;
  if (code === DISCONNECTS.invalidToken.code) return new MessagingError("AUTH_ERROR", REVOKED);
  if (code === DISCONNECTS.connectionLimit.code) {
    return later("RATE_LIMITED", "the server, or the user, has as many connections as it may");
  }
  if (reconnects(code)) return later("UNAVAILABLE", "the poll has ended before its time");
  return new MessagingError("ACL_ERROR", `the poll was ended: ${reason}`);
}

/** Of a ticket that was made before its user's tokens were revoked. */
export const REVOKED = "the ticket is revoked";
const NOT_READABLE = "the channel cannot be subscribed to";

function connectOf(channel: string): InboundMessage {
  // It hears of holes, and nobody hears of it.
  const subscriptions = [{ channel, ephemeral: true }];
  const value = { clientType: "poll", capabilities: ["recovery"], subscriptions };
  return create(InboundMessageSchema, { id: "connect", envelope: { case: "connect", value } });
}

function isAt(since: Position, told: Partial<EventPosition> | undefined): boolean {
  const { epoch, offset } = positionOf(told);
  return epoch === since.epoch && offset === `${since.offset}`;
}
