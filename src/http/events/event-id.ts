/**
 * Ids of events: what a client sends back as Last-Event-ID, and so where it goes on. They hold visible ASCII
 * only, because clients differ in what they do with anything else.
 *
 * Of a channel an id is `EPOCH-OFFSET`. Of a pattern it is `*EPOCH-TIME`, the pattern's own position, with
 * `,CHANNEL=EPOCH-OFFSET` for each channel that has been heard last. It is `*?` with those where it is not known what
 * the client has of others. Names and epochs are percent-encoded.
 */
import { channelProblem, isPattern } from "../../channels/names.ts";
import { matches } from "../../channels/patterns.ts";
import { MAX_EVENT_ID_BYTES, MAX_EVENT_ID_CHANNELS } from "../../protocol/limits.ts";

/** A place in a log, as the JSON of the protocol has it. */
export interface EventPosition {
  readonly epoch: string;
  /** Decimal digits. */
  readonly offset: string;
}

/** Where a stream goes on. */
export interface ResumePoint {
  /** Of the channel, or of the pattern; undefined where the client knows of the channels only. */
  readonly since: EventPosition | undefined;
  /** Of a pattern: how far the client is in channels, the one heard last first. */
  readonly channels: ReadonlyMap<string, EventPosition>;
}

/** Id of an event before which a client has had no position. To go on from it is to begin. */
export const NO_POSITION = "-";
/** Id of an event of a client that named a position which means nothing: it stays one. */
export const LOST_POSITION = "?";

/**
 * The id of a place in a channel's log.
 *
 * @example
 * positionId({ epoch: "3kTz", offset: "41" }); // "3kTz-41"
 */
export function positionId({ epoch, offset }: EventPosition): string {
  // A star begins the id of a pattern.
  return `${encodeURIComponent(epoch).replaceAll("*", "%2A")}-${offset}`;
}

/** One channel's part of a pattern's id. */
export function channelPart(channel: string, position: EventPosition): string {
  return `,${encodeURIComponent(channel)}=${positionId(position)}`;
}

/**
 * @param since undefined where only the channels are known
 * @param parts of channels, the one heard last first
 */
export function patternId(since: EventPosition | undefined, parts: readonly string[]): string {
  return `*${since === undefined ? LOST_POSITION : positionId(since)}${parts.join("")}`;
}

/**
 * Reads what a client sends back.
 *
 * @param name the channel or pattern that it is sent for
 * @returns `new` where the client has no position, `lost` for what we have never made for this name
 */
export function readEventId(name: string, id: string): ResumePoint | "new" | "lost" {
  if (id === "" || id === NO_POSITION) return "new";
  if (id.length > MAX_EVENT_ID_BYTES || !/^[\x21-\x7e]+$/.test(id)) return "lost";
  if (!isPattern(name)) {
    const since = readPosition(id);
    return since === undefined ? "lost" : { since, channels: new Map() };
  }
  const [head = "", ...parts] = id.split(",");
  const since = head.startsWith("*") ? readPosition(head.slice(1)) : undefined;
  const channels = readChannels(name, parts);
  if (channels === undefined) return "lost";
  return since === undefined && head !== patternId(undefined, []) ? "lost" : { since, channels };
}

function readChannels(
  pattern: string,
  parts: readonly string[],
): ReadonlyMap<string, EventPosition> | undefined {
  if (parts.length > MAX_EVENT_ID_CHANNELS) return undefined;
  const channels = new Map<string, EventPosition>();
  for (const part of parts) {
    const [, encoded = "", rest = ""] = /^([^=]+)=([^=]+)$/.exec(part) ?? [];
    const channel = decoded(encoded);
    const position = readPosition(rest);
    if (channel === undefined || position === undefined || channels.has(channel)) return undefined;
    if (channelProblem(channel) !== undefined || !matches(pattern, channel)) return undefined;
    channels.set(channel, position);
  }
  return channels;
}

/** Undefined for what is no id of a channel's event. */
export function readPosition(text: string): EventPosition | undefined {
  const [, encoded = "", digits = ""] = /^([^,=*]+)-(\d{1,20})$/.exec(text) ?? [];
  const epoch = decoded(encoded);
  if (epoch === undefined || BigInt(digits) >= 2n ** 64n) return undefined;
  return { epoch, offset: `${BigInt(digits)}` };
}

/** Undefined for an empty text and for one that is not encoded. */
function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text) || undefined;
  } catch {
    return undefined;
  }
}
