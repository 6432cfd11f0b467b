/** What a broker calls: the way from the log to the sessions of one node that hear of a channel. */
import { PublicationBatch } from "../protocol/publication-frames.ts";
import { TransientBatch } from "../protocol/transient-frames.ts";
import { errorText } from "./error-text.ts";
import type { Node } from "./node.ts";
import type { BrokerHandler } from "./ports/broker.ts";
import { changeFrame } from "./session/presence-frames.ts";

/**
 * The handler of a node's broker. It never throws, as brokers are promised: what goes wrong in handing
 * over is counted, named in the log, and goes no further.
 */
export function brokerHandler(node: Node): BrokerHandler {
  const { broker, hub, counters, logger } = node;
  const guard = <A extends unknown[]>(what: string, handOver: (...all: A) => void) => {
    return (...all: A): void => {
      try {
        handOver(...all);
      } catch (error) {
        counters.internalErrors += 1;
        logger.warn("hand-over failed", { what, error: errorText(error) });
      }
    };
  };
  /** Where the host sleeps, one of the channel's sessions has to remember how far the node is. */
  const markChanged = (channel: string): void => {
    if (broker.snapshot !== undefined) hub.first(channel)?.changed();
  };
  const handler: BrokerHandler = {
    publications: (channel, epoch, entries) => {
      if (entries.length === 0 || !hub.hasAnySubscriber(channel)) return;
      hub.broadcast(new PublicationBatch(channel, epoch, entries, node.stamp));
      markChanged(channel);
    },
    transients: (channel, messages) => {
      if (messages.length === 0 || !hub.hasAnySubscriber(channel)) return;
      hub.transmit(new TransientBatch(channel, messages, node.stamp));
    },
    gap: (channel, gap) => {
      hub.gap(channel, gap);
      markChanged(channel);
    },
    patternGap: (pattern, gap) => hub.patternGap(pattern, gap),
    presence: (channel, epoch, changes) => {
      for (const change of changes) {
        const { member, generation } = change;
        const frame = changeFrame(node, channel, epoch, change);
        hub.notify(channel, { member, generation, frame });
      }
      markChanged(channel);
    },
    presenceLost: (channel, epoch, snapshot) => {
      hub.notify(channel, node.presenceNotice(channel, epoch, snapshot));
      markChanged(channel);
    },
  };
  return {
    publications: guard("publications", handler.publications),
    transients: guard("transient messages", handler.transients),
    gap: guard("gap", handler.gap),
    patternGap: guard("gap of a pattern", handler.patternGap),
    presence: guard("presence", handler.presence),
    presenceLost: guard("members", handler.presenceLost),
  };
}
