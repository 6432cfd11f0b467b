/** Compact frames, which are expanded as soon as they come: nothing else knows of them. */
import type { WireCompact, WireCompactMessage, WireMessage, WirePublication } from "./frames.ts";
import { type Bag, bytesAsText, exact, mendEvent } from "./values.ts";

const MOST_MESSAGES = 100;
/** What messages share, as often as they have it, as JSON. */
const MOST_SHARED = 512 * 1024;
const NOTHING: WireCompactMessage = {};

/** The publication that a compact frame stands for. */
export function expanded(frame: WireCompact): WirePublication {
  const { offset = 0, time = 0, messages = [] } = frame;
  return expand(headOf(frame), messages, exact(offset), exact(time));
}

/** What frames have in common that differ in messages, offset and time alone, made ready in place. */
export function headOf(frame: WireCompact): WireCompact {
  for (const context of frame.contexts ?? []) mendEvent(context as Bag);
  return frame;
}

/**
 * The publication of a frame with this head, in either encoding.
 *
 * @throws what is wrong with a frame that expands too far
 */
export function expand(
  { channel, epoch = "", replay, contexts = [] }: WireCompact,
  messages: readonly WireCompactMessage[],
  offset: number,
  time: number,
): WirePublication {
  // One alone has everything once.
  const sizes =
    messages.length > 1
      ? contexts.map((context) => JSON.stringify([channel, epoch, context], bytesAsText).length)
      : [];
  const all: WireMessage[] = [];
  let room = MOST_SHARED;
  for (const own of messages) {
    const { context = 0, later = 0 } = own;
    const shared = contexts[context] ?? NOTHING;
    const place = epoch ? exact(offset + all.length) : 0;
    room -= sizes[context] ?? 0;
    if (all.length && (room < 0 || all.length >= MOST_MESSAGES))
      throw new RangeError("it expands too far");
    mendEvent(own as Bag);
    all.push({
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
      // The application's own: the head is also that of other messages, and of other clients.
      metadata: shared.metadata ? { ...shared.metadata, ...own.metadata } : own.metadata,
    } as WireMessage);
  }
  return { messages: all };
}

function over<T extends object>(shared: T | undefined, own: T | undefined): T | undefined {
  return shared && own ? { ...shared, ...own } : (own ?? shared);
}
