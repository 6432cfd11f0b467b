/** Channels in the paths of requests. */
import { channelProblem } from "../channels/names.ts";
import { patternProblem } from "../channels/patterns.ts";
import { MessagingError } from "../protocol/errors.ts";

/** What comes before the name. */
export const CHANNELS_PATH = "/channels/";

/** A path below {@link CHANNELS_PATH}. */
export interface ChannelPath {
  /** The name, as it stands there. */
  readonly encoded: string;
  /** What follows the name: `/events`, or nothing. */
  readonly rest: string;
}

/**
 * Takes the path of a URL apart, as it was sent and not as a router has decoded it: a name may hold slashes,
 * which come as `%2F`.
 *
 * @returns undefined for another path
 */
export function channelPathOf(url: string): ChannelPath | undefined {
  const path = /^[a-z]+:\/\/[^/?#]*([^?#]*)/i.exec(url)?.[1] ?? "";
  if (!path.startsWith(CHANNELS_PATH)) return undefined;
  const [, encoded = "", rest = ""] = /^([^/]*)(.*)$/s.exec(path.slice(CHANNELS_PATH.length)) ?? [];
  return { encoded, rest };
}

/**
 * The channel of a path, decoded once.
 *
 * @throws MessagingError BAD_REQUEST for what is no channel's name, a pattern included
 */
export function channelIn(encoded: string): string {
  const name = decoded(encoded);
  const problem = channelProblem(name);
  if (problem !== undefined) throw new MessagingError("BAD_REQUEST", problem);
  return name;
}

/**
 * The channel or pattern of a path, decoded once.
 *
 * @throws MessagingError BAD_REQUEST for what is neither
 */
export function channelOrPatternIn(encoded: string): string {
  const name = decoded(encoded);
  const problem = patternProblem(name);
  if (problem !== undefined) throw new MessagingError("BAD_REQUEST", problem);
  return name;
}

function decoded(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw new MessagingError("BAD_REQUEST", "the channel is not percent-encoded UTF-8");
  }
}
