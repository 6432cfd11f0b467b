/**
 * What has to come next to one session in each of its channels: replayed and live messages, verdicts,
 * gaps, and who comes and goes.
 */
import type { LogGap, Position } from "../../../src/engine/ports/broker.ts";
import type {
  Gap,
  Presence,
  PresenceEvent,
  Publication,
  Recovered,
  StreamPosition,
  Subscription,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Channel, Told } from "./channel.ts";
import { asksRecovery, check, lifeOf, type Outcome, type World } from "./facts.ts";
import { RecoveryModel } from "./recovery.ts";

/** Whose streams these are. */
export interface Receiver {
  readonly id: string;
  readonly encoding: "json" | "proto";
  readonly extended: boolean;
  readonly capabilities: readonly string[];
  readonly clientId: string;
  readonly userId: string;
  doom(code: number): undefined;
}

/** An acknowledged subscription. */
export interface Stream {
  epoch: string;
  /** The offset that comes next live. */
  next: number;
  /** Where the subscription began, as far as a record can tell. */
  floor: Position;
  ephemeral: boolean;
  /** Presence changes at or below it are not told. */
  generation: number;
  /** How much of the channel's presence was gone through. */
  heard: number;
  /** Whether what comes is held back, for a subscribe that catches up. */
  held: boolean;
  recovery: RecoveryModel | undefined;
}

export class Streams {
  readonly #world: World;
  readonly #session: Receiver;
  readonly #streams = new Map<string, Stream>();

  constructor(world: World, session: Receiver) {
    this.#world = world;
    this.#session = session;
  }

  has(channel: string): boolean {
    return this.#streams.has(channel);
  }

  get(channel: string): Stream | undefined {
    return this.#streams.get(channel);
  }

  keys(): Iterable<string> {
    return this.#streams.keys();
  }

  delete(channel: string): void {
    this.#streams.delete(channel);
  }

  clear(): void {
    this.#streams.clear();
  }

  /** The node slept: presence is told from the beginning. */
  slept(): void {
    for (const stream of this.#streams.values()) stream.generation = 0;
  }

  /** A subscribe is on its way to the channel. */
  asked(channel: string, entry: Subscription): void {
    const stream = this.#streams.get(channel);
    if (stream === undefined) return;
    stream.ephemeral = entry.ephemeral;
    if (this.#session.extended && asksRecovery(entry)) stream.held = true;
  }

  /** A subscribe of a live session has failed: what was held comes. */
  refused(channel: string): void {
    const stream = this.#streams.get(channel);
    if (stream !== undefined) this.#release(channel, stream);
  }

  /** An acknowledgement: the stream begins, or goes on, and may have to catch up. */
  acknowledged(
    entry: Subscription,
    { position, generation = 0 }: Outcome,
    { heard = 0, replay }: { heard: number | undefined; replay: RecoveryModel["budget"] },
  ): void {
    const { channel, ephemeral } = entry;
    check(position !== undefined, `${channel} has no position`);
    const { epoch, offset } = position;
    let stream = this.#streams.get(channel);
    const live = stream !== undefined;
    if (stream === undefined) {
      stream = {
        ...{ epoch, next: offset + 1, floor: position, ephemeral, generation, heard },
        ...{ held: false, recovery: undefined },
      };
      this.#streams.set(channel, stream);
    }
    if (this.#session.extended && asksRecovery(entry)) {
      const given = live ? { epoch: stream.epoch, offset: stream.next - 1 } : position;
      const recovery = new RecoveryModel(entry, given, position, replay);
      const { until } = recovery;
      Object.assign(stream, { held: true, recovery, floor: until });
      Object.assign(stream, { epoch: until.epoch, next: until.offset + 1 });
    } else if (!stream.held) this.#release(channel, stream);
  }

  #release(channel: string, stream: Stream): void {
    stream.held = false;
    this.cannotCarry(channel);
  }

  /** Dooms a JSON session that has to take what JSON cannot carry, of all that was handed over. */
  cannotCarry(channelName: string, from = 0): void {
    const stream = this.#streams.get(channelName);
    if (stream === undefined || stream.held || this.#session.encoding !== "json") return;
    const channel = this.#world.channel(channelName);
    for (const { epoch, handed } of channel.lives.slice(lifeOf(stream.epoch) - 1)) {
      let offset = epoch === stream.epoch ? Math.max(stream.next, from) : 1;
      for (; offset <= handed; offset++) {
        const place = { epoch, offset };
        if (!channel.logged(place)?.onlyProtobuf || channel.skips(place)) continue;
        this.#session.doom(3506);
      }
    }
  }

  /** Whether what a channel replays may hold what JSON cannot carry. */
  get mayFail(): boolean {
    if (this.#session.encoding !== "json") return false;
    return [...this.#streams].some(([name, { recovery }]) => {
      if (recovery === undefined) return false;
      const { until, first } = recovery;
      const log = this.#world
        .channel(name)
        .named(until.epoch)
        ?.log.slice(first - 1, until.offset);
      return log?.some(({ onlyProtobuf }) => onlyProtobuf) ?? false;
    });
  }

  /** Channels that catch up. */
  get catchingUp(): readonly string[] {
    return [...this.#streams].flatMap(([name, { recovery }]) => (recovery ? [name] : []));
  }

  delivers({ messages }: Publication): void {
    const { extended } = this.#session;
    for (const { channel, id, offset, epoch, payload, publisher, replay } of messages) {
      const stream = this.#stream(channel, "delivered");
      const at = id.lastIndexOf("-");
      const place = { epoch: id.slice(0, at), offset: Number(offset) };
      check(id.slice(at + 1) === `${offset}`, `${id} is no id for ${offset}`);
      const event = this.#world.channel(channel).logged(place)?.event;
      check(payload?.id === event, `${id} is another event`);
      if (replay) {
        check(stream.recovery !== undefined, `${id} is replayed to who did not ask`);
        stream.recovery.replays(place, this.#world.channel(channel));
      } else {
        check(!stream.held, `${id} overtakes what is held`);
        this.#advances(channel, stream, place);
        stream.next += 1;
      }
      check(!extended || epoch === place.epoch, `${id} is said to be of ${epoch}`);
      check(!extended || publisher !== undefined, `${id} lacks its publisher`);
    }
  }

  recovered({ channel: name, position, gap }: Recovered): void {
    const stream = this.#stream(name, "recovered");
    const { recovery } = stream;
    check(recovery !== undefined, `${name} is recovered for who did not ask`);
    const verdict = gap && toldGap(gap, name);
    const rules = this.#world.settings.rules.of(name);
    recovery.ends(positionOf(position), verdict, this.#world.channel(name), rules.recovery);
    stream.recovery = undefined;
    this.#release(name, stream);
  }

  gap(gap: Gap): void {
    const { channel: name } = gap;
    check(this.#session.capabilities.includes("recovery"), `${name} tells a gap to who knows none`);
    const stream = this.#stream(name, "told a gap");
    check(!stream.held, `a gap of ${name} overtakes what is held`);
    const { reason, after, until } = toldGap(gap, name);
    check(after?.epoch === stream.epoch, `a gap of ${name} begins in ${after?.epoch}`);
    const same = until.epoch === stream.epoch;
    check(same === (reason !== "epoch_changed"), `a gap of ${name} is ${reason}`);
    const ahead = same ? until.offset >= stream.next : lifeOf(until.epoch) > lifeOf(stream.epoch);
    check(ahead, `a gap of ${name} until ${until.epoch}/${until.offset} is told to who is there`);
    const known = this.#world.channel(name).gaps.some((other) => {
      return (
        other.reason === reason &&
        other.until.epoch === until.epoch &&
        other.until.offset === until.offset
      );
    });
    // A node that slept through the end of a log knows where the subscription began and no more.
    const last = stream.next - 1;
    const right = after.offset === last || (!known && after.offset === stream.floor.offset);
    check(right, `a gap of ${name} is after ${after.offset}, not ${last}`);
    Object.assign(stream, { epoch: until.epoch, next: until.offset + 1, floor: until });
  }

  presenceEvent({ channel: name, change, generation }: PresenceEvent): void {
    const [stream, told] = this.#hears(name);
    check(told !== undefined && !("lost" in told), `${change.case} in ${name} comes unexpected`);
    const { member, joined } = told;
    const { userId, clientId, sessionId } = change.value ?? {};
    const right =
      userId === member.userId && clientId === member.clientId && sessionId === member.sessionId;
    check(right && (change.case === "join") === joined, `${change.case} of ${userId} in ${name}`);
    check(Number(generation?.number) === told.generation, "another generation");
    stream.heard += 1;
  }

  /** What nobody asked for: presence was lost. */
  presence({ channel: name, members, total, generation }: Presence): void {
    const [stream, told] = this.#hears(name);
    check(told !== undefined && "lost" in told, `presence of ${name} comes unexpected`);
    check(total === told.lost.total && members.length <= total, "another number of members");
    check(Number(generation?.number) === told.lost.generation, "another generation");
    stream.generation = told.lost.generation;
    stream.heard += 1;
  }

  /** Nothing moves any more: everything that was handed to the node has come. */
  settled(): void {
    for (const [name, stream] of this.#streams) {
      if (stream.held) continue;
      const channel = this.#world.channel(name);
      const { epoch, offset } = channel.handed;
      const here = `${name} ${epoch} ${offset} is not delivered, but ${stream.next - 1}`;
      if (lifeOf(stream.epoch) === lifeOf(epoch)) {
        this.#passes(channel, stream, offset + 1);
        check(stream.next > offset, here);
      } else if (lifeOf(stream.epoch) < lifeOf(epoch)) {
        check(!this.#session.capabilities.includes("recovery") || !this.#knows(channel), here);
        const skipped = Array.from({ length: offset }, (_, index) => index + 1);
        check(
          skipped.every((at) => channel.skips({ epoch, offset: at })),
          here,
        );
      }
      if (!this.#session.capabilities.includes("presence")) continue;
      check(this.#told(channel, stream) === undefined, `presence of ${name} is not told`);
    }
  }

  /** Whether the node was told that the channel's log began anew, in a life in which it knew. */
  #knows({ gaps, handed }: Channel): boolean {
    return gaps.some(({ until }) => until.epoch === handed.epoch) || handed.offset > 0;
  }

  /** A live message comes: the one that is next, or the first behind what cannot be had. */
  #advances(name: string, stream: Stream, { epoch, offset }: Position): void {
    const channel = this.#world.channel(name);
    if (stream.epoch !== epoch) {
      const deaf = !this.#session.capabilities.includes("recovery");
      check(deaf, `${name} goes on in ${epoch} without a gap`);
      check(lifeOf(epoch) > lifeOf(stream.epoch), `${name} goes back to ${epoch}`);
      const behind = channel.named(stream.epoch)?.handed ?? 0;
      this.#passes(channel, stream, behind + 1);
      check(stream.next > behind, `${name} ends with ${stream.next - 1} and not with ${behind}`);
      Object.assign(stream, { epoch, next: 1, floor: { epoch, offset: 0 } });
    }
    this.#passes(channel, stream, offset);
    check(stream.next === offset, `${epoch}-${offset} of ${name} comes instead of ${stream.next}`);
  }

  /** Who hears of no gaps passes over them. */
  #passes(channel: Channel, stream: Stream, until: number): void {
    if (this.#session.capabilities.includes("recovery")) return;
    const { epoch } = stream;
    while (stream.next < until && channel.skips({ epoch, offset: stream.next })) stream.next += 1;
  }

  #hears(name: string): [Stream, Told | undefined] {
    check(this.#session.capabilities.includes("presence"), `${name} is followed by nobody`);
    const stream = this.#stream(name, "told of presence");
    check(!stream.held, `presence of ${name} overtakes what is held`);
    return [stream, this.#told(this.#world.channel(name), stream)];
  }

  /** The next of the channel's changes that is for this session. */
  #told({ told }: Channel, stream: Stream): Told | undefined {
    for (; stream.heard < told.length; stream.heard += 1) {
      const next = told[stream.heard];
      if (next === undefined || "lost" in next) return next;
      const { member, generation } = next;
      const { userId, clientId, id } = this.#session;
      const itself =
        userId === "" && clientId === ""
          ? member.sessionId === id
          : member.userId === userId && member.clientId === clientId;
      if (generation > stream.generation && !itself) return next;
    }
    return undefined;
  }

  #stream(channel: string, what: string): Stream {
    const stream = this.#streams.get(channel);
    check(stream !== undefined, `${channel} is ${what} to who is not subscribed`);
    return stream;
  }
}

function positionOf(position: StreamPosition | undefined): Position {
  check(position !== undefined, "a position is missing");
  return { epoch: position.epoch, offset: Number(position.offset) };
}

function toldGap(gap: Gap, channel: string): LogGap {
  check(gap.channel === channel, `a gap of ${gap.channel} in ${channel}`);
  const after = gap.after === undefined ? undefined : positionOf(gap.after);
  return { reason: gap.reason as LogGap["reason"], after, until: positionOf(gap.until) };
}
