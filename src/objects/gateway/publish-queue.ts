/**
 * What one gateway publishes to one channel. Each frame of a socket is an event of its own, so that a batch waits for the
 * next turn; a publish that comes alone waits for nothing. A failed call is repeated with the same keys until its
 * deadline; the channel knows the keys it has.
 */
import type { Position } from "../../engine/ports/broker.ts";
import { PublishQueue } from "../../engine/publishing/publish-queue.ts";
import { errorFrom } from "../../protocol/errors.ts";
import type {
  PublishItem,
  PublishResponse,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { encodePublishes } from "../calls/internal-codec.ts";
import { retrying, toChannel } from "../calls/retry.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import type { Trouble } from "../trouble.ts";
import type { Turn } from "./turn.ts";

/** What the queue needs from the gateway around it. */
export interface PublishHost {
  readonly platform: ObjectPlatform;
  /** Of calls to channels. */
  readonly channelTrouble: Trouble;
  readonly turn: Turn;
  /** Where this gateway is, as its host names regions. */
  readonly region: string;
}

/** The channel that is published to. */
export interface PublishTarget {
  /** Sends a PublishRequest. Answers when what came with the answer was taken. */
  publish(request: Uint8Array): Promise<PublishResponse>;
  /** The registration that the answer may bring something for; empty where it may not. */
  readonly registration: string;
  /**
   * An answer was lost, and what it brought may be.
   *
   * @param until where the log was when an answer came in the end; undefined where the calls were given up
   */
  unanswered(until?: Position): void;
}

/**
 * The publishes of a gateway to one channel, as batches.
 *
 * @example
 * const outbox = publishQueue({ publish, registration: "", unanswered: () => {} }, host);
 * await outbox.push(item); // { position, duplicate }, or rejects with the channel's refusal
 */
export function publishQueue(
  target: PublishTarget,
  { channelTrouble, platform, region, turn }: PublishHost,
): PublishQueue<PublishItem> {
  return new PublishQueue({
    async publish(items) {
      const { registration } = target;
      const request = encodePublishes(items, region, registration);
      let isLost = false;
      const call = async (): Promise<PublishResponse> => {
        try {
          return await target.publish(request);
        } catch (error) {
          isLost = registration !== "";
          throw error;
        }
      };
      const answering = retrying(call, toChannel(platform, channelTrouble));
      const { epoch, results } = await answering.catch((error: unknown) => {
        if (registration !== "") target.unanswered();
        throw error;
      });
      if (isLost) {
        const offset = Math.max(...results.map((result) => Number(result.offset)));
        target.unanswered({ epoch, offset });
      }
      return results.map(({ error, offset, duplicate }) =>
        error === undefined
          ? { position: { epoch, offset: Number(offset) }, duplicate }
          : errorFrom(error),
      );
    },
    // A turn is a timer here, and takes milliseconds: it is for sessions that publish much at a time.
    turn: (_first, last) => (last > 1 ? turn.next() : undefined),
    asLarge: true,
    logger: platform.logger,
  });
}
