/** What a broker calls: the way from the log to the sessions of one node that hear of a channel. */
import { PublicationBatch } from "../protocol/publication-frames.ts";
import { TransientBatch } from "../protocol/transient-frames.ts";
import { errorText } from "./error-text.ts";
import type { Node } from "./node.ts";
import type { BrokerHandler } from "./ports/broker.ts";
import { changeFrame } from "./session/presence-frames.ts";
import { deliverySpans } from "./spans.ts";

/**
 * The handler of a node's broker. It never throws, as brokers are promised: what goes wrong in handing
 * over is counted, named in the log, and goes no further. A channel is looked up once for each delivery.
 */
export function brokerHandler(node: Node): BrokerHandler {
  const { broker, hub, counters, logger, tracer } = node;
  const failed = (what: string, error: unknown): void => {
    counters.internalErrors += 1;
    logger.warn("hand-over failed", { what, error: errorText(error) });
  };
  const guard = <A extends unknown[]>(what: string, handOver: (...all: A) => void) => {
    return (...all: A): void => {
      try {
        handOver(...all);
      } catch (error) {
        failed(what, error);
      }
    };
  };
  /** Where the host sleeps, one of the channel's sessions has to remember how far the node is. */
  const markChanged = (channel: string): void => {
    if (broker.snapshot !== undefined) hub.first(channel)?.changed();
  };
  return {
    // Not by `guard`: this is the hot path.
    publications(channel, epoch, entries) {
      if (entries.length === 0) return;
      try {
        const listeners = hub.listeners(channel);
        if (listeners.length > 0) {
          const spans = tracer && deliverySpans(tracer, channel, entries, listeners.length);
          const batch = new PublicationBatch(channel, epoch, entries, node.stamp);
          for (let i = 0; i < listeners.length; i++) listeners[i]?.publications(batch);
          if (spans !== undefined) for (const span of spans) span.end();
        }
        markChanged(channel);
      } catch (error) {
        failed("publications", error);
      }
    },
    transients: guard("transient messages", (channel, messages) => {
      const listeners = messages.length === 0 ? [] : hub.listeners(channel);
      if (listeners.length === 0) return;
      const spans = tracer && deliverySpans(tracer, channel, messages, listeners.length);
      const batch = new TransientBatch(channel, messages, node.stamp);
      for (const listener of listeners) listener.transients(batch);
      for (const span of spans ?? []) span.end();
    }),
    gap: guard("gap", (channel, gap) => {
      for (const listener of hub.listeners(channel)) listener.gap(channel, gap);
      markChanged(channel);
    }),
    patternGap: guard("gap of a pattern", (pattern, gap) => hub.patternGap(pattern, gap)),
    presence: guard("presence", (channel, epoch, changes) => {
      const listeners = hub.listeners(channel);
      for (const change of changes) {
        const { member, generation } = change;
        const notice = { member, generation, frame: changeFrame(node, channel, epoch, change) };
        for (const listener of listeners) listener.presence(channel, notice);
      }
      markChanged(channel);
    }),
    presenceLost: guard("members", (channel, epoch, snapshot) => {
      const notice = node.presenceNotice(channel, epoch, snapshot);
      for (const listener of hub.listeners(channel)) listener.presence(channel, notice);
      markChanged(channel);
    }),
  };
}
