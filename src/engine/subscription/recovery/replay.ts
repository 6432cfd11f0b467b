/** What a session is given of what was before: entries out of the log, and the members of now. */
import type { Entry } from "../../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_PRESENCE_MEMBERS } from "../../../protocol/limits.ts";
import type { Listener } from "../listener.ts";
import type { ChannelsHost } from "../ports.ts";
import type { PresenceNotice } from "../replay-buffer.ts";

/** Reads the members of a channel, for a session that has missed changes. Undefined where they cannot be read. */
export async function readPresence(
  host: ChannelsHost,
  channel: string,
): Promise<PresenceNotice | undefined> {
  const { broker, logger, turns } = host;
  try {
    const snapshot = await turns.run(() => broker.presence(channel, MAX_PRESENCE_MEMBERS));
    return host.presenceNotice(channel, snapshot.epoch, snapshot);
  } catch (error) {
    logger.warn("presence cannot be read", { error: String(error) });
    return undefined;
  }
}

/** What is replayed of one channel. */
export interface Replay {
  readonly channel: string;
  readonly epoch: string;
  readonly entries: readonly Entry[];
}

/**
 * Gives a session entries out of the log, past what it holds back, a portion in each step.
 *
 * @param isOver whether the session has ended meanwhile, or has left the channel
 */
export async function replay(
  host: ChannelsHost,
  isOver: () => boolean,
  listener: Listener,
  { channel, epoch, entries }: Replay,
): Promise<void> {
  for (const batch of host.reads.batches(channel, epoch, entries, host.stamp)) {
    await host.turns.run(() => {
      if (isOver()) return;
      host.counters.replayed += batch.entries.length;
      listener.publications(batch, true);
    });
    if (isOver()) return;
  }
}
