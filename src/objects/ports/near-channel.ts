/**
 * A channel on the thread and in the memory of the gateway that publishes to it: nothing is encoded, and a publish is one
 * synchronous step. What it does is what `ChannelStub.publish` does.
 */
import type { PublishResult } from "../../engine/ports/broker.ts";
import type { MessagingError } from "../../protocol/errors.ts";
import type {
  Entry,
  EntryBody,
  PublishItem,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";

export interface NearChannel {
  /**
   * Takes publishes, and has their delivery under way when it returns.
   *
   * @param registration that of the gateway that publishes; empty where it does not hear the channel
   * @param take has the gateway take what it lacks; returns whether that was handed over
   * @returns what became of each; undefined where the channel cannot take messages in this step, and has taken none
   * @throws MessagingError RATE_LIMITED where it would be one channel too many
   */
  publish(
    publishes: readonly NearPublish[],
    registration: string,
    take: (run: NearRun) => boolean,
  ): readonly (PublishResult | MessagingError)[] | undefined;
}

export interface NearPublish {
  readonly item: PublishItem;
  /** What the item's bytes hold; undefined for a message outside of the log. */
  readonly body: EntryBody | undefined;
}

/** What a gateway lacks: entries alone, dense and ascending. */
export interface NearRun {
  readonly registration: string;
  readonly epoch: string;
  /** Offset before the first entry. */
  readonly prev: number;
  readonly entries: readonly Entry[];
  /** Of the newest entry up to `prev` that an earlier life may not have delivered, Unix milliseconds; or 0. */
  readonly undeliveredTime: number;
}
