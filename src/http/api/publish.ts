/** Publish: a batch to channels, sessions and users. Each destination succeeds or fails by itself. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { MessagingError } from "../../protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type {
  DestinationResultSchema,
  Publication,
  PublicationResultSchema,
  PublishRequest,
  PublishResponseSchema,
} from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import {
  MAX_API_DESTINATIONS,
  MAX_API_PUBLICATIONS,
  MAX_DESTINATIONS,
} from "../../protocol/limits.ts";
import { type ApiCall, checkMost, itemError } from "./context.ts";

type ItemResult = MessageInitShape<typeof DestinationResultSchema>;
type Metadata = Readonly<Record<string, string>>;

/**
 * Publish: each publication to its channels, sessions and users, and each destination with an outcome of its own.
 *
 * @returns a result for each publication, in their order; a position for a channel, a count of sessions for a user
 * @throws MessagingError BAD_REQUEST for more than MAX_API_PUBLICATIONS, or MAX_API_DESTINATIONS in all of them
 */
export async function publish(
  call: ApiCall,
  { publications, metadata }: PublishRequest,
): Promise<MessageInitShape<typeof PublishResponseSchema>> {
  const total = publications.reduce((sum, { destination }) => sum + countOf(destination), 0);
  checkMost(publications.length, MAX_API_PUBLICATIONS, "publications");
  checkMost(total, MAX_API_DESTINATIONS, "destinations");
  // All begin in this turn and in their order, so that a channel takes them in it, in few calls.
  const results = publications.map((publication) => publishOne(call, publication, metadata));
  return { results: await Promise.all(results) };
}

async function publishOne(
  call: ApiCall,
  publication: Publication,
  metadata: Metadata,
): Promise<MessageInitShape<typeof PublicationResultSchema>> {
  const { id } = publication;
  const problem = problemOf(publication);
  if (problem !== undefined) {
    return { id, ...itemError(new MessagingError("BAD_REQUEST", problem)) };
  }
  const { channels = [], sessions = [], users = [] } = publication.destination ?? {};
  const parts = await Promise.all([
    ...channels.map((channel) => toChannel(call, channel, publication, metadata)),
    toSessions(call, sessions, publication, metadata),
    ...users.map((user) => toUser(call, user, publication, metadata)),
  ]);
  return { id, destinations: parts.flat() };
}

/** Why nothing of a publication can be done; undefined where something can. */
function problemOf({ destination, options, payload }: Publication): string | undefined {
  const count = countOf(destination);
  if (count === 0) return "the publication has no destination";
  if (count > MAX_DESTINATIONS) {
    return `a publication has at most ${MAX_DESTINATIONS} destinations`;
  }
  const { addHistory = false, transient = false, dedup = false } = options ?? {};
  if (transient && addHistory) return "what is transient is in no history";
  if (!dedup) return undefined;
  if (transient) return "what is transient is not compared with what was published before";
  if ((destination?.channels.length ?? 0) < count) return "dedup is for channels alone";
  const named = payload !== undefined && payload.id !== "" && payload.source !== "";
  return named ? undefined : "dedup needs an event with a source and an id";
}

async function toChannel(
  { engine, principal }: ApiCall,
  channel: string,
  { options, payload }: Publication,
  metadata: Metadata,
): Promise<ItemResult> {
  const destination = { case: "channel", value: channel } as const;
  try {
    principal.check("publish", channel);
    const event = payload ?? NOTHING;
    const terms = { metadata, maxEventBytes: engine.settings.maxMessageBytes };
    if (options?.transient) {
      await engine.transmit(channel, event, terms);
      return { destination };
    }
    if (options?.addHistory && engine.settings.rules.of(channel).historySize === 0) {
      throw new MessagingError("BAD_REQUEST", "the channel keeps no history");
    }
    const who = options?.dedup ? { principal: principal.id } : {};
    const { position, duplicate } = await engine.publish(channel, event, { ...terms, ...who });
    const { epoch, offset } = position;
    return { destination, position: { epoch, offset: BigInt(offset) }, duplicate };
  } catch (error) {
    return { destination, ...itemError(told(error)) };
  }
}

async function toSessions(
  { engine, principal }: ApiCall,
  sessions: readonly string[],
  { id, payload }: Publication,
  metadata: Metadata,
): Promise<readonly ItemResult[]> {
  if (sessions.length === 0) return [];
  try {
    principal.checkEverywhere("publish");
    const terms = sessionTerms(engine, id, metadata);
    const outcome = await engine.publishToSessions(sessions, payload ?? NOTHING, terms);
    const reached = new Set(outcome.reached);
    return sessions.map((session): ItemResult => {
      const destination = { case: "session", value: session } as const;
      if (reached.has(session)) return { destination, sessions: 1 };
      const error = outcome.failed.get(session) ?? NO_SESSION;
      return { destination, ...itemError(error) };
    });
  } catch (error) {
    return sessions.map((session) => ({
      destination: { case: "session", value: session },
      ...itemError(told(error)),
    }));
  }
}

async function toUser(
  { engine, principal }: ApiCall,
  user: string,
  { id, payload }: Publication,
  metadata: Metadata,
): Promise<ItemResult> {
  const destination = { case: "user", value: user } as const;
  try {
    principal.checkEverywhere("publish");
    const terms = sessionTerms(engine, id, metadata);
    const { reached, failed } = await engine.publishToUser(user, payload ?? NOTHING, terms);
    const [error] = failed.values();
    return { destination, sessions: reached.length, ...itemError(error) };
  } catch (error) {
    return { destination, ...itemError(told(error)) };
  }
}

/** @param id of the publication; empty where sessions are to see a fresh one */
function sessionTerms({ settings }: ApiCall["engine"], id: string, metadata: Metadata) {
  const terms = { metadata, maxEventBytes: settings.maxMessageBytes };
  return id === "" ? terms : { ...terms, id };
}

const NO_SESSION = new MessagingError("NOT_FOUND", "there is no such session");
/** v1 callers may leave the payload out. */
const NOTHING: CloudEvent = create(CloudEventSchema);

/** What may be reported of an item; anything else is for the whole call, whose failure is logged. */
function told(error: unknown): MessagingError {
  if (error instanceof MessagingError) return error;
  throw error;
}

function countOf(destination: Publication["destination"]): number {
  if (destination === undefined) return 0;
  const { channels, sessions, users } = destination;
  return channels.length + sessions.length + users.length;
}
