/**
 * One stream of server-sent events: what its session writes becomes events here, and every event says where its
 * client goes on. The stream's host has the connection and the session; nothing here waits.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { isPattern } from "../../channels/names.ts";
import { matcherOf } from "../../channels/patterns.ts";
import { DISCONNECTS, type Disconnect } from "../../protocol/codes.ts";
import {
  type InboundMessage,
  InboundMessageSchema,
  type SubscriptionSchema,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { reconnects } from "../../protocol/lean/reconnects.ts";
import { MAX_REPLAY_BUFFER_BYTES } from "../../protocol/limits.ts";
import { type SizedFrame, sized } from "../../protocol/publication-frames.ts";
import { HEARTBEAT, retryAfterCut, retryWhenSentAway, writeBlock } from "./blocks.ts";
import {
  type EventPosition,
  LOST_POSITION,
  NO_POSITION,
  positionId,
  type ResumePoint,
  readEventId,
} from "./event-id.ts";
import { type ControlJson, type EventPublication, positionOf, readFrame } from "./frames.ts";
import { PatternPlace } from "./pattern-place.ts";

/** What a stream writes to. */
export interface EventSink {
  write(frame: SizedFrame): void;
  /** The session cannot go on. Ends it, with what `EventStream.end` writes. */
  close(disconnect: Disconnect): void;
}

export interface EventStreamOptions {
  /** A channel or a pattern. */
  readonly name: string;
  /** What the client sent as Last-Event-ID; empty where it did not. */
  readonly lastEventId: string;
  readonly sink: EventSink;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Written to all streams in turn. */
export const HEARTBEAT_FRAME: SizedFrame = sized(HEARTBEAT);

/** A place in a log, to count from. */
interface Reached {
  readonly epoch: string;
  readonly offset: number;
}

export class EventStream {
  readonly #name: string;
  readonly #sink: EventSink;
  readonly #random: () => number;
  readonly #resume: ResumePoint | "new" | "lost";
  /** Whether a channel is one of the name's. */
  readonly #covers: (channel: string) => boolean;
  /** Id of the last event; of a pattern only until it has a place. */
  #id: string;
  /** How far the client is through a pattern. */
  #place: PatternPlace | undefined;
  /** Where the session began to hear. */
  #began: EventPosition = { epoch: "", offset: "0" };
  /** While the client catches up, how far it is in each channel; undefined when it has. */
  #reached: Map<string, Reached> | undefined;
  /** Events after a hole that is not explained yet, all of one channel, and their length. */
  #held: EventPublication[] = [];
  #heldBytes = 0;
  /** The channel of which more was held than may be, and whether its client got a gap for it. */
  #released: { readonly channel: string; readonly told: boolean } | undefined;
  #ended = false;

  constructor({ name, lastEventId, sink, random }: EventStreamOptions) {
    this.#name = name;
    this.#sink = sink;
    this.#random = random;
    this.#covers = matcherOf(name);
    const resume = readEventId(name, lastEventId);
    this.#resume = resume;
    if (resume === "new") this.#id = NO_POSITION;
    else this.#id = resume === "lost" ? LOST_POSITION : lastEventId;
    if (resume === "new") return;
    this.#reached = new Map();
    if (resume === "lost") return;
    const { since, channels } = resume;
    if (isPattern(name)) this.#place = new PatternPlace(resume, true);
    else if (since !== undefined) this.#reached.set(name, reachedOf(since));
    for (const [channel, position] of channels) this.#reached.set(channel, reachedOf(position));
  }

  /** What the session is to receive, as its first and only message. */
  get connect(): InboundMessage {
    const subscriptions = [subscriptionOf(this.#name, this.#resume)];
    const value = { clientType: "sse", capabilities: ["recovery", "control"], subscriptions };
    return create(InboundMessageSchema, { id: "connect", envelope: { case: "connect", value } });
  }

  /** Writes the first byte: some clients take a stream for open only then. */
  begin(): void {
    this.#sink.write(HEARTBEAT_FRAME);
  }

  /** Takes a frame of the session. This is the hot path. */
  take(frame: SizedFrame): void {
    if (this.#ended) return;
    const { publication, control } = readFrame(frame);
    if (publication === undefined) this.#control(control);
    else if (publication.replay && this.#reached !== undefined) this.#replayed(publication);
    else this.#publish(publication);
  }

  /** Writes why the stream ends, and when the client is to come back. Nothing is written after it. */
  end({ code, reason }: Disconnect): void {
    if (this.#ended) return;
    const retry = retryWhenSentAway(this.#random());
    const told = { code, reason, reconnect: reconnects(code), retry_after_ms: retry };
    this.#tell("disconnect", told, retry);
    this.#ended = true;
  }

  #control({ connected, recovered, gap, subscribed, unsubscribed }: ControlJson): void {
    if (connected !== undefined) this.#connected(connected);
    if (recovered !== undefined) this.#recovered(recovered);
    if (gap !== undefined) {
      this.#reach(gap.channel, positionOf(gap.until));
      this.#tell("gap", gap);
    }
    if (subscribed !== undefined) this.#tell("subscribed", subscribed);
    if (unsubscribed !== undefined) this.#tell("unsubscribed", unsubscribed);
  }

  #connected({ session_id, subscriptions = [] }: NonNullable<ControlJson["connected"]>): void {
    const [subscription] = subscriptions;
    if (subscription?.error !== undefined) {
      this.#sink.close(disconnectOf(subscription.error.code));
      return;
    }
    this.#began = positionOf(subscription?.position);
    if (this.#resume === "new") this.#caughtUp();
    this.#tell("subscribed", { session_id, subscriptions }, retryAfterCut(this.#random()));
  }

  /** The verdict on a channel, or on the pattern, which comes last. */
  #recovered({ channel, position, gap }: NonNullable<ControlJson["recovered"]>): void {
    const last = channel === this.#name;
    if (last && isPattern(channel)) {
      this.#caughtUp();
      if (gap !== undefined) this.#tell("gap", gap);
      return;
    }
    const released = this.#released?.channel === channel ? this.#released : undefined;
    if (gap !== undefined && released?.told !== true) {
      // What has been sent already must not be sent again.
      if (released === undefined) this.#reach(channel, positionOf(gap.until));
      this.#tell("gap", gap);
    }
    this.#release();
    this.#released = undefined;
    if (last) this.#caughtUp();
    else this.#reach(channel, positionOf(position));
  }

  /** Nothing of what came before the session began is missing any more, or the client knows what. */
  #caughtUp(): void {
    this.#reached = undefined;
    if (!isPattern(this.#name)) this.#reach(this.#name, this.#began);
    else if (this.#place !== undefined) this.#place.caughtUp(this.#began);
    else this.#place = new PatternPlace({ since: this.#began, channels: new Map() }, false);
  }

  /** An event that was missed. After a hole it waits until the verdict says what the hole is. */
  #replayed(publication: EventPublication): void {
    const { channel, epoch, first, last, blocks } = publication;
    const reached = this.#reached?.get(channel);
    const follows = reached?.epoch === epoch && reached.offset + 1 === first;
    if (follows && this.#held.length === 0) {
      this.#reached?.set(channel, { epoch, offset: last });
      this.#publish(publication);
      return;
    }
    this.#held.push(publication);
    this.#heldBytes += blocks.bytes;
    if (this.#heldBytes > MAX_REPLAY_BUFFER_BYTES) this.#overflow(channel, reached);
  }

  /** More is held than may be: what the hole is the client does not learn. */
  #overflow(channel: string, reached: Reached | undefined): void {
    const [oldest] = this.#held;
    const before = (oldest?.first ?? 1) - 1;
    // A log that begins with it may have no hole.
    const told = before > 0;
    if (oldest !== undefined && told) {
      const until = positionJson(oldest.epoch, before);
      const after = reached && { after: positionJson(reached.epoch, reached.offset) };
      this.#reach(channel, positionOf(until));
      this.#tell("gap", { channel, reason: "unavailable", ...after, until });
    }
    this.#release();
    this.#released = { channel, told };
  }

  /** Lets out what was held. */
  #release(): void {
    for (const publication of this.#held) {
      const { channel, epoch, last } = publication;
      this.#reached?.set(channel, { epoch, offset: last });
      this.#publish(publication);
    }
    this.#held = [];
    this.#heldBytes = 0;
  }

  #publish(publication: EventPublication): void {
    const { channel, epoch, messages } = publication;
    const placed = epoch !== "" && this.#covers(channel);
    if (placed && channel === this.#name) {
      this.#id = publication.id;
      this.#sink.write(publication.blocks);
      return;
    }
    // Beside events by pattern there are those outside of the log, and of channels that the server has subscribed.
    let text = "";
    for (const message of messages) {
      if (placed) this.#place?.heard(channel, message, message.time);
      text += writeBlock({ data: message.json, id: this.#lastId });
    }
    this.#sink.write(sized(text));
  }

  /** The client has had everything up to a position, which may not be known. */
  #reach(channel: string, position: EventPosition): void {
    if (position.epoch === "" || !this.#covers(channel)) return;
    if (channel !== this.#name) this.#place?.heard(channel, position);
    else if (!isPattern(channel)) this.#id = positionId(position);
  }

  #tell(event: string, data: object, retry?: number): void {
    const id = this.#lastId;
    const block = { event, data: JSON.stringify(data), id };
    this.#sink.write(sized(writeBlock(retry === undefined ? block : { ...block, retry })));
  }

  get #lastId(): string {
    return this.#place?.id ?? this.#id;
  }
}

function subscriptionOf(
  channel: string,
  resume: ResumePoint | "new" | "lost",
): MessageInitShape<typeof SubscriptionSchema> {
  if (resume === "new") return { channel };
  // A client that names a position that is none gets the gap `unavailable`.
  if (resume === "lost") return { channel, recover: true };
  const { since, channels } = resume;
  const positions = Object.fromEntries(
    [...channels].map(([name, position]) => [name, wirePosition(position)]),
  );
  if (since === undefined) return { channel, recover: true, positions };
  return { channel, since: wirePosition(since), positions };
}

function wirePosition({ epoch, offset }: EventPosition) {
  return { epoch, offset: BigInt(offset) };
}

/** As the JSON of the protocol has it, which leaves out a 0. */
function positionJson(epoch: string, offset: number): Partial<EventPosition> {
  return offset === 0 ? { epoch } : { epoch, offset: `${offset}` };
}

function reachedOf({ epoch, offset }: EventPosition): Reached {
  return { epoch, offset: Number(offset) };
}

/** What a stream ends with whose subscription was refused. */
function disconnectOf(code: string): Disconnect {
  if (code === "BAD_REQUEST") return DISCONNECTS.badRequest;
  return code === "ACL_ERROR" ? DISCONNECTS.permissionDenied : DISCONNECTS.internal;
}
