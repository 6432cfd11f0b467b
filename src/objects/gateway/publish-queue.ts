/**
 * What one gateway publishes to one channel. Each frame of a socket is an event of its own, so that a batch waits for the
 * next turn; a publish that comes alone waits for nothing. A failed call is repeated with the same keys until its
 * deadline; the channel knows the keys it has.
 */
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
  /** The gateway that the answer may bring something for; empty where it may not. */
  readonly gateway: string;
  /** The calls were given up: what an answer brought may be lost. */
  unanswered(): void;
}

export function publishQueue(
  target: PublishTarget,
  { channelTrouble, platform, region, turn }: PublishHost,
): PublishQueue<PublishItem> {
  const call = async (request: Uint8Array): Promise<PublishResponse> =>
    await retrying(() => target.publish(request), toChannel(platform, channelTrouble));
  return new PublishQueue({
    async publish(items) {
      const { gateway } = target;
      const { epoch, results } = await call(encodePublishes(items, region, gateway)).catch(
        (error: unknown) => {
          if (gateway !== "") target.unanswered();
          throw error;
        },
      );
      return results.map(({ error, offset, duplicate }) =>
        error === undefined
          ? { position: { epoch, offset: Number(offset) }, duplicate }
          : errorFrom(error),
      );
    },
    // A turn is a timer here, and takes milliseconds: it is for those who publish much at a time.
    turn: (_first, last) => (last > 1 ? turn.next() : undefined),
    asLarge: true,
    logger: platform.logger,
  });
}
