/**
 * What a session writes, read again: frames of JSON. What many sessions get is read once for all of them, and
 * so is the text that it becomes for subscribers of the channel itself.
 */
import { made } from "../../channels/maps.ts";
import { type SizedFrame, sized } from "../../protocol/publication-frames.ts";
import { writeBlock } from "./blocks.ts";
import { type EventPosition, positionId } from "./event-id.ts";

/** A message of a publication. */
export interface EventMessage extends EventPosition {
  /** When the log took it, Unix milliseconds. */
  readonly time: number;
  /** The message as JSON. */
  readonly json: string;
}

/** Messages of one channel, in their order. */
export class EventPublication {
  /** Empty for what is for the session alone. */
  readonly channel: string;
  /** Empty for what is outside of the log: it has no offsets, and moves no position. */
  readonly epoch: string;
  /** Offsets of the first and the last. */
  readonly first: number;
  readonly last: number;
  readonly replay: boolean;
  readonly messages: readonly EventMessage[];
  /** Id of the last event. */
  readonly id: string;
  #blocks: SizedFrame | undefined;

  constructor(messages: readonly MessageJson[], first: MessageJson, last: MessageJson) {
    this.channel = first.channel ?? "";
    this.epoch = first.epoch ?? "";
    this.first = Number(first.offset ?? 0);
    this.last = Number(last.offset ?? 0);
    this.replay = first.replay === true;
    this.id = positionId(positionOf(last));
    this.messages = messages.map((message) => ({
      ...positionOf(message),
      time: Number(message.time ?? 0),
      json: JSON.stringify(message),
    }));
  }

  /** The events of subscribers that have the channel by itself: the same for all of them. */
  get blocks(): SizedFrame {
    if (this.#blocks === undefined) {
      let text = "";
      for (const message of this.messages) {
        text += writeBlock({ data: message.json, id: positionId(message) });
      }
      this.#blocks = sized(text);
    }
    return this.#blocks;
  }
}

/** A message as JSON has it, as far as it is looked into. */
interface MessageJson extends Partial<EventPosition> {
  readonly channel?: string;
  readonly time?: string;
  readonly replay?: boolean;
}

export interface GapJson {
  readonly channel: string;
  readonly reason: string;
  readonly after?: Partial<EventPosition>;
  readonly until?: Partial<EventPosition>;
}

interface SubscriptionJson {
  readonly channel: string;
  readonly position?: Partial<EventPosition>;
  readonly error?: { readonly code: string };
}

/** What else a session writes, as far as a stream of events has it. */
export interface ControlJson {
  readonly connected?: {
    readonly session_id: string;
    readonly subscriptions?: readonly SubscriptionJson[];
  };
  readonly recovered?: {
    readonly channel: string;
    readonly position?: Partial<EventPosition>;
    readonly gap?: GapJson;
  };
  readonly gap?: GapJson;
  readonly subscribed?: object;
  readonly unsubscribed?: object;
}

export type ReadFrame =
  | { readonly publication: EventPublication; readonly control?: never }
  | { readonly publication?: never; readonly control: ControlJson };

const known = new WeakMap<SizedFrame, ReadFrame>();

/** Reads a frame of our own engine in JSON for an extended client. */
export function readFrame(frame: SizedFrame): ReadFrame {
  return made(known, frame, () => parse(frame.data as string));
}

/** JSON leaves out what is empty or 0. */
export function positionOf({
  epoch = "",
  offset = "0",
}: Partial<EventPosition> = {}): EventPosition {
  return { epoch, offset };
}

function parse(text: string): ReadFrame {
  const outbound = JSON.parse(text) as ControlJson & {
    readonly publication?: { readonly messages: readonly MessageJson[] };
  };
  const messages = outbound.publication?.messages ?? [];
  const [first] = messages;
  const last = messages.at(-1);
  if (first === undefined || last === undefined) return { control: outbound };
  return { publication: new EventPublication(messages, first, last) };
}
