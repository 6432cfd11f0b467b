/**
 * The patterns of one node: Redis matches globs, which say more than is meant, and the trie says what was
 * meant. A channel that is heard by a pattern alone begins with its first message. What may have been
 * missed of channels that nobody here knows, `ChannelActivity` says.
 */
import { PatternMap } from "../../channels/pattern-map.ts";
import type {
  BrokerHandler,
  GapReason,
  PatternSubscribeResult,
  Position,
} from "../../engine/ports/broker.ts";
import { unavailable } from "../../protocol/errors.ts";
import type { Entry } from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { RedisChannel } from "./channel/channel.ts";
import type { ChannelActivity } from "./channel-activity.ts";
import type { RedisRetries } from "./outage/retries.ts";
import { type CallContext, patiently } from "./outage/retry.ts";
import { RedisFailure } from "./ports.ts";
import { chunks, type TopicSubscriptions } from "./topic-subscriptions.ts";

/** How long a channel that is heard by a pattern alone is remembered after its last message, in milliseconds. */
const HEARD_MS = 60_000;
/** Channels that a node looks at for what it may have missed, at most. */
const MAX_SEEK = 100_000;
/** What clocks may lie apart, in milliseconds. */
const MARGIN_MS = 5_000;

export interface PatternsHost extends CallContext {
  readonly retries: RedisRetries;
  readonly activity: ChannelActivity;
  readonly subscriptions: TopicSubscriptions;
  handler(): BrokerHandler | undefined;
  ended(): boolean;
  channel(name: string): RedisChannel;
  channels(): Iterable<RedisChannel>;
  /** Looks whether a channel has gone further than what was heard of it. */
  look(channel: RedisChannel): Promise<void>;
  forget(channel: RedisChannel): void;
}

/** A pattern that somebody here wants. */
interface WantedPattern {
  readonly pattern: string;
  /** The place in the time of all channels when it was first heard; undefined until then. */
  since: Position | undefined;
}

export class RedisPatterns {
  readonly #host: PatternsHost;
  readonly #patterns = new PatternMap<WantedPattern>();
  /** How many patterns need each glob. */
  readonly #globs = new Map<string, number>();
  /** Up to here all that was published has been heard, or looked for. */
  #sound: Position | undefined;
  #incomplete = false;

  constructor(host: PatternsHost) {
    this.#host = host;
  }

  /** Whether a pattern that is wanted here stands for the channel. */
  matches(channel: string): boolean {
    return this.#patterns.size > 0 && this.#patterns.match(channel).length > 0;
  }

  /**
   * Whether messages may have been missed that were not looked for yet. Until then what is heard first of a
   * channel need not be what comes next in it.
   */
  get incomplete(): boolean {
    return this.#incomplete;
  }

  /** The connection for Pub/Sub is gone. */
  lost(): void {
    this.#incomplete = true;
  }

  /** @throws MessagingError UNAVAILABLE */
  async subscribe(pattern: string): Promise<PatternSubscribeResult> {
    const { subscriptions, activity } = this.#host;
    const known = this.#patterns.get(pattern);
    const wanted = known ?? { pattern, since: undefined };
    const globs = this.#host.keys.globs(pattern);
    if (known === undefined) {
      this.#patterns.set(pattern, wanted);
      for (const glob of globs) this.#globs.set(glob, (this.#globs.get(glob) ?? 0) + 1);
    }
    const position = await patiently(this.#host, async () => {
      const { round } = subscriptions;
      await Promise.all(globs.map((glob) => subscriptions.listen(glob)));
      const place = await activity.now();
      if (round !== subscriptions.round) throw new RedisFailure("lost", "the connection was lost");
      return place;
    });
    if (this.#patterns.get(pattern) !== wanted) throw unavailable("the pattern was left");
    wanted.since ??= position;
    this.#sound ??= position;
    return { position };
  }

  unsubscribe(pattern: string): void {
    if (!this.#patterns.delete(pattern)) return;
    // No session looks any more, and the next one to come has missed nothing of that.
    if (this.#patterns.size === 0) this.#sound = undefined;
    for (const glob of this.#host.keys.globs(pattern)) {
      const left = (this.#globs.get(glob) ?? 1) - 1;
      if (left > 0) this.#globs.set(glob, left);
      else {
        this.#globs.delete(glob);
        this.#host.subscriptions.forget(glob);
      }
    }
  }

  /**
   * Listens to all patterns again, and finds what was published meanwhile.
   *
   * @throws what no repetition mends
   */
  async regained(over: () => boolean): Promise<void> {
    const { subscriptions, retries } = this.#host;
    for (const some of chunks([...this.#globs.keys()])) {
      await retries.until("listening again", over, async () => {
        const listening = some.filter((glob) => this.#globs.has(glob));
        await Promise.all(listening.map((glob) => subscriptions.listen(glob)));
      });
      if (over()) return;
    }
    const heard = [...this.#host.channels()].filter((one) => one.heardAt > 0 && !one.subscribed);
    for (const some of chunks(heard)) {
      await Promise.all(some.map(({ cursor }) => cursor.catchUp()));
      if (over()) return;
    }
    await retries.until("looking for what was missed", over, () => this.#seek());
    if (over()) return;
    this.#incomplete = false;
    // Of channels that the look did not find nothing was missed.
    for (const channel of this.#host.channels()) {
      if (!channel.subscribed) channel.cursor.beginHeard();
    }
  }

  /** Finds what was not heard, and forgets channels that have been quiet. */
  async refresh(): Promise<void> {
    const heard = [...this.#host.channels()].filter((one) => one.heardAt > 0 && !one.subscribed);
    if (this.#patterns.size > 0) {
      try {
        await this.#seek();
      } catch (error) {
        // What was not looked for now is looked for the next time, and all that is known is needed then.
        this.#host.troubles.note("looking for what was missed", error);
        return;
      }
    }
    const now = this.#host.clock.now();
    for (const channel of heard) {
      if (channel.subscribed) continue;
      const quiet = Math.abs(now - channel.heardAt) > HEARD_MS;
      if (!quiet && this.matches(channel.name)) continue;
      channel.heardAt = 0;
      channel.cursor.reset();
      this.#host.forget(channel);
    }
  }

  /**
   * Looks at the channels that something was published to since the last time.
   *
   * @throws RedisFailure
   * @throws MessagingError UNAVAILABLE
   */
  async #seek(): Promise<void> {
    const since = this.#sound;
    if (since === undefined) return;
    const from = { epoch: since.epoch, offset: since.offset - MARGIN_MS };
    const { position, channels, gap } = await this.#host.activity.active(from, {
      fits: (name) => this.matches(name),
      looks: MAX_SEEK,
      limit: MAX_SEEK,
    });
    if (gap !== undefined) {
      for (const [pattern, wanted] of this.#patterns) {
        // One that came while the question was on its way has missed nothing of that.
        if (wanted.since === undefined || follows(wanted.since, position, gap)) continue;
        wanted.since = position;
        this.#host.handler()?.patternGap(pattern, { reason: gap, after: since, until: position });
      }
    }
    for (const some of chunks(channels)) {
      await Promise.all(some.map((name) => this.#lookAt(name, from.offset)));
      if (this.#host.ended()) return;
    }
    // Where all patterns have left meanwhile, those that came since begin at their own place.
    if (this.#sound === since) this.#sound = position;
  }

  async #lookAt(name: string, from: number): Promise<void> {
    const channel = this.#host.channel(name);
    if (channel.subscribed) return;
    await channel.busy(async () => {
      if (channel.cursor.placed) await this.#host.look(channel);
      else await this.#begin(channel, from);
    });
    this.#host.forget(channel);
  }

  /**
   * A session wants a channel by itself: what is on its way to sessions that have it by a pattern comes first.
   *
   * @throws RedisFailure
   */
  async prepare(channel: RedisChannel): Promise<void> {
    if (channel.cursor.placed || this.#sound === undefined || !this.matches(channel.name)) return;
    await this.#begin(channel, this.#sound.offset - MARGIN_MS);
  }

  /**
   * Begins with a channel that nothing was heard of, at the first entry that came at a time or later, and
   * since somebody here has had a pattern for it.
   */
  async #begin(channel: RedisChannel, from: number): Promise<void> {
    const time = this.#timeOf(channel, from);
    if (time === undefined) return;
    const opened = await channel.open();
    const { epoch, offset: head } = opened.place;
    let before = head + 1;
    let oldest: Entry | undefined;
    while (before > 1) {
      const page = await channel.history({
        since: { epoch, offset: before },
        reverse: true,
        limit: 128,
      });
      if (page.position.epoch !== epoch || page.entries.length === 0) break;
      oldest = page.entries.find((entry) => Number(entry.time) < time);
      if (oldest !== undefined) break;
      before = Number(page.entries.at(-1)?.offset ?? 1);
    }
    // Meanwhile something was heard of it.
    if (channel.cursor.placed) return;
    const now = this.#timeOf(channel, from);
    if (now === undefined) return;
    // Another pattern needs it from another time on.
    if (now !== time) return await this.#begin(channel, from);
    if (oldest === undefined && before === head + 1 && head > 0) {
      // Nothing is in the log, and what it held may have come since.
      channel.heardAt = this.#host.clock.now();
      const heard = channel.cursor.firstHeard(epoch);
      if (heard === undefined) {
        const until = { epoch, offset: head };
        this.#host.handler()?.gap(channel.name, { reason: "unavailable", after: undefined, until });
      }
      // It goes on from there: what comes before the next question is neither lost nor reported twice.
      channel.cursor.beginAt({ ...opened.place, offset: heard === undefined ? head : heard - 1 });
      return;
    }
    const offset = oldest === undefined ? 0 : Number(oldest.offset);
    channel.cursor.beginAt({ ...opened.place, offset });
    if (offset === head) return;
    channel.heardAt = this.#host.clock.now();
    await channel.cursor.catchUp();
  }

  /** From when on a channel is needed, Unix milliseconds; undefined where no pattern stands for it. */
  #timeOf(channel: RedisChannel, from: number): number | undefined {
    const since = this.#patterns
      .match(channel.name)
      .map((wanted) => wanted.since?.offset)
      .filter((offset) => offset !== undefined);
    return since.length === 0 ? undefined : Math.max(from, Math.min(...since));
  }
}

/** Whether a listener since a place has missed nothing of what a gap at another place reports. */
function follows(since: Position, place: Position, gap: GapReason): boolean {
  if (since.epoch !== place.epoch) return false;
  return gap === "epoch_changed" || since.offset >= place.offset;
}
