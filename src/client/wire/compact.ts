/** Compact frames, which are expanded as soon as they come: nothing else knows of them. */
import type { WireCompact, WireCompactMessage, WireMessage, WirePublication } from "./frames.ts";
import { type Bag, bytesAsText, exact, mendEvent } from "./values.ts";

const MOST_MESSAGES = 100;
/** What messages share, as often as they have it, as JSON. */
const MOST_SHARED = 512 * 1024;
const NOTHING: WireCompactMessage = {};

/** @throws what is wrong with a frame that expands too far */
export type Expand = (
  messages: readonly WireCompactMessage[],
  offset: number,
  time: number,
) => WirePublication;

/** The publication that a compact frame stands for. */
export function expanded(frame: WireCompact): WirePublication {
  const { offset = 0, time = 0, messages = [] } = frame;
  return expander(frame)(messages, exact(offset), exact(time));
}

/** What makes publications of compact frames that have all but messages, offset and time in common, in either encoding. */
export function expander({ channel, epoch = "", replay, contexts = [] }: WireCompact): Expand {
  for (const context of contexts) mendEvent(context as Bag);
  return (messages, offset, time) => {
    // One alone has everything once.
    const sizes = contexts.map((context) =>
      messages.length > 1 ? JSON.stringify([channel, epoch, context], bytesAsText).length : 0,
    );
    let room = MOST_SHARED;
    return {
      messages: messages.map((own, index): WireMessage => {
        const { context = 0, later = 0 } = own;
        const shared = contexts[context] ?? NOTHING;
        const place = epoch ? exact(offset + index) : 0;
        room -= sizes[context] ?? 0;
        if (index && (room < 0 || index >= MOST_MESSAGES))
          throw new RangeError("it expands too far");
        mendEvent(own as Bag);
        return {
          id: own.message_id ?? `${epoch}-${place}`,
          channel,
          offset: place,
          epoch,
          time: exact(own.time ?? time + later),
          replay,
          payload: {
            id: own.id,
            source: own.source ?? shared.source,
            spec_version: own.spec_version ?? shared.spec_version,
            type: own.type ?? shared.type,
            text_data: own.text_data,
            binary_data: own.binary_data,
            json_data: own.json_data,
            attributes: over(shared.attributes, own.attributes),
          },
          publisher: own.publisher ?? shared.publisher,
          metadata: over(shared.metadata, own.metadata),
        } as WireMessage;
      }),
    };
  };
}

function over<T extends object>(shared: T | undefined, own: T | undefined): T | undefined {
  return shared && own ? { ...shared, ...own } : (own ?? shared);
}
