/**
 * What one gateway publishes to one channel. Each frame of a socket is an event of its own, so that a batch waits for the
 * next turn; a publish that comes alone waits for nothing. A failed call is repeated with the same keys until its
 * deadline; the channel knows the keys it has.
 */
import { PublishQueue } from "../../engine/publishing/publish-queue.ts";
import { errorFrom } from "../../protocol/errors.ts";
import {
  type PublishItem,
  PublishResponseSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { readAnswer } from "../calls/answers.ts";
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

/** @param call sends one PublishRequest and answers its PublishResponse */
export function publishQueue(
  call: (request: Uint8Array) => Promise<Uint8Array>,
  { channelTrouble, platform, region, turn }: PublishHost,
): PublishQueue<PublishItem> {
  return new PublishQueue({
    async publish(items) {
      const request = encodePublishes(items, region);
      const answer = await retrying(() => call(request), toChannel(platform, channelTrouble));
      const { epoch, results } = readAnswer(PublishResponseSchema, answer);
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
