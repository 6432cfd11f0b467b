/** Compact frames, which are expanded as soon as they come: nothing else knows of them. */
import type { WireCompact, WireCompactMessage, WireMessage, WirePublication } from "./frames.ts";
import { type Bag, bytesAsText, exact, mendEvent } from "./values.ts";

const MOST_MESSAGES = 100;
/** What messages share, as often as they have it, as JSON. */
const MOST_SHARED = 512 * 1024;
const NOTHING: WireCompactMessage = {};

/**
 * The publication that a compact frame stands for, whichever encoding it was read from.
 *
 * @throws what is wrong with a frame that expands too far
 */
export function expanded(frame: WireCompact): WirePublication {
  const { channel, epoch = "", offset = 0, time = 0, replay, contexts = [], messages = [] } = frame;
  const sizes = contexts.map(
    (context) => JSON.stringify([channel, epoch, context], bytesAsText).length,
  );
  let room = MOST_SHARED;
  return {
    messages: messages.map((own, index) => {
      const { context = 0, later = 0 } = own;
      const shared = contexts[context] ?? NOTHING;
      const { attributes, metadata } = shared;
      const place = epoch ? exact(+offset + index) : 0;
      room -= sizes[context] ?? 0;
      // One alone has everything once.
      if (index && (room < 0 || index >= MOST_MESSAGES)) throw new RangeError("it expands too far");
      const payload = {
        id: own.id,
        source: own.source ?? shared.source,
        spec_version: own.spec_version ?? shared.spec_version,
        type: own.type ?? shared.type,
        text_data: own.text_data,
        binary_data: own.binary_data,
        attributes: attributes ? { ...attributes, ...own.attributes } : own.attributes,
      };
      mendEvent(payload as Bag);
      return {
        id: own.message_id ?? `${epoch}-${place}`,
        channel,
        offset: place,
        epoch,
        time: exact(own.time ?? +time + later),
        replay,
        payload,
        publisher: own.publisher ?? shared.publisher,
        metadata: metadata ? { ...metadata, ...own.metadata } : own.metadata,
      } as WireMessage;
    }),
  };
}
