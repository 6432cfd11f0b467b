/** One channel as one node knows it in Redis: the calls of its scripts, and who needs them. */
import { toBinary } from "@bufbuild/protobuf";
import type { ChannelRules } from "../channels/rules.ts";
import type {
  GapReason,
  HistoryFilter,
  HistoryPage,
  PresenceSnapshot,
  PublishCommand,
  PublishResult,
} from "../engine/ports.ts";
import { EntryBodySchema } from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_PRESENCE_MEMBERS } from "../protocol/limits.ts";
import { type CatchUp, type CursorHost, type Opened, RedisCursor } from "./redis-cursor.ts";
import type { Epochs } from "./redis-epochs.ts";
import type { RedisKeys } from "./redis-keys.ts";
import { CATCH_UP, HISTORY, OPEN, PUBLISH, REMOVE } from "./redis-log-script.ts";
import type { RedisArgument, RedisCommands, RedisReply, RedisScript } from "./redis-ports.ts";
import { MEMBERS, PRESENCE } from "./redis-presence-script.ts";
import { type PublishItem, PublishQueue, type QueuedBytes } from "./redis-publish-queue.ts";
import { entriesOf, listOf, memberOf, numberOf, type Place, textOf } from "./redis-reply.ts";
import { type Outage, patiently, untilDone, type Waiting } from "./redis-retry.ts";
import { RedisRoster, type RosterCall } from "./redis-roster.ts";

/**
 * The least that a channel is kept for after its last publish, in milliseconds: an unanswered publish
 * may be repeated for CHANNEL_TIMEOUT_MS, and its key has to be known then.
 */
const MIN_TTL_MS = 10_000;

/** What a channel needs from the broker around it. */
export interface ChannelHost extends Waiting {
  readonly commands: RedisCommands;
  readonly keys: RedisKeys;
  readonly epochs: Epochs;
  readonly durable: boolean;
  /** How long a channel is kept for a node that has subscribers or members there, in milliseconds. */
  readonly leaseMs: number;
  readonly outage: Outage;
  readonly queued: QueuedBytes;
  readonly nextTurn: (callback: () => void) => void;
  ended(): boolean;
  node(): string;
  handler: CursorHost["handler"];
  flushSoon(channel: RedisChannel): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export class RedisChannel {
  readonly name: string;
  readonly topic: string;
  /** Whether a session of this node wants it. */
  wanted = false;
  /** When something was last heard of it by a pattern alone, Unix milliseconds; 0 for never. */
  heardAt = 0;
  /** Nodes that had members here at the last look, and were nowhere. */
  #missing: readonly string[] = [];
  /** Calls that are under way. */
  #calls = 0;
  readonly #host: ChannelHost;
  readonly #rules: ChannelRules;
  readonly #keys: readonly string[];
  readonly #queue: PublishQueue;
  #cursor: RedisCursor | undefined;
  #roster: RedisRoster | undefined;

  constructor(name: string, rules: ChannelRules, host: ChannelHost) {
    this.name = name;
    this.#host = host;
    this.#rules = rules;
    this.#keys = host.keys.channel(name);
    this.topic = host.keys.topic(name);
    this.#queue = new PublishQueue((items) => this.#publish(items), host.nextTurn, host.queued);
  }

  /** Made when it is needed: a channel that is only published to has no need of it. */
  get cursor(): RedisCursor {
    const host = this.#host;
    this.#cursor ??= new RedisCursor({
      channel: this.name,
      timers: host.timers,
      handler: host.handler,
      flushSoon: () => host.flushSoon(this),
      catchUp: (from, over) => this.#until(over, () => this.#catchUp(from)),
      presence: (over) => this.#until(over, () => this.#members(MAX_PRESENCE_MEMBERS)),
      moved: () => (this.#roster?.occupied ? this.#roster.rejoin() : Promise.resolve()),
      warn: (message, fields) => host.warn(message, { channel: this.name, ...fields }),
    });
    return this.#cursor;
  }

  get roster(): RedisRoster {
    this.#roster ??= new RedisRoster({
      timers: this.#host.timers,
      tell: (call) => this.#until(this.#host.ended, () => this.#tell(call())),
      answering: (yes) => this.#answering(yes),
    });
    return this.#roster;
  }

  /** Whether it has members of this node, or a grace to end. */
  get attended(): boolean {
    return this.#roster !== undefined && !this.#roster.idle;
  }

  /** The broker has ended. */
  end(): void {
    this.#roster?.end();
  }

  /** Whether there is nothing to remember of it. */
  get idle(): boolean {
    const listens = this.wanted || this.heardAt > 0;
    return !listens && !this.attended && this.#calls === 0 && this.#queue.idle;
  }

  /** Bytes of publishes that can be added now. */
  get room(): number {
    return this.#queue.room;
  }

  publish({ key, body }: PublishCommand): Promise<PublishResult> {
    return this.#queue.push({ key, body: toBinary(EntryBodySchema, body) });
  }

  /** Asks where the channel is, and keeps it alive. @throws RedisFailure */
  async open(): Promise<Opened> {
    return openedOf(await this.#open());
  }

  /**
   * The same, and looks whether all nodes that have members here are there. One that is nowhere may have
   * come back with an old snapshot, or have gone before Redis had its name: no other would see to it.
   *
   * @throws RedisFailure
   */
  async look(): Promise<Opened> {
    const answer = await this.#open();
    const { commands, keys } = this.#host;
    const nodes = listOf(answer[4]).map(textOf);
    // Redis knows somebody of this node who is not here any more.
    if (nodes.includes(this.#host.node()) && !this.attended) void this.roster.rejoin();
    const missing: string[] = [];
    for (const node of nodes) {
      const known = await commands.command(keys.alive, ["ZSCORE", keys.alive, node]);
      if (known === null) missing.push(node);
    }
    // A node that is here says so between two looks.
    const lost = missing.filter((node) => this.#missing.includes(node));
    this.#missing = missing;
    for (const node of lost) void this.roster.takeOver(node);
    return openedOf(answer);
  }

  async #open(): Promise<readonly RedisReply[]> {
    const { historySize, historyTtlMs } = this.#rules;
    return listOf(await this.#run(OPEN, this.#lease, [`${historySize}`, `${historyTtlMs}`]));
  }

  async history({ since, limit, reverse, maxBytes }: HistoryFilter): Promise<HistoryPage> {
    const { historySize, historyTtlMs } = this.#rules;
    const entries = limit < 0 ? MAX_BATCH_ENTRIES : Math.min(limit, MAX_BATCH_ENTRIES);
    const terms = [
      historySize,
      historyTtlMs,
      since?.epoch ?? "",
      since?.offset ?? "",
      entries,
      maxBytes ?? MAX_BATCH_BYTES,
      reverse ? 1 : 0,
    ];
    const answer = listOf(await this.#ask(HISTORY, terms.map(String)));
    return {
      position: { epoch: textOf(answer[0]), offset: numberOf(answer[1]) },
      first: numberOf(answer[2]),
      reason: reasonOf(answer[3]),
      more: numberOf(answer[4]) === 1,
      entries: entriesOf(answer[5]),
    };
  }

  async removeHistory(): Promise<void> {
    await this.#ask(REMOVE, []);
  }

  async presence(limit: number): Promise<PresenceSnapshot> {
    return await this.#patiently(() => this.#members(limit));
  }

  /** @throws MessagingError UNAVAILABLE */
  async #ask(script: RedisScript, terms: readonly RedisArgument[]): Promise<RedisReply> {
    return await this.#patiently(() => this.#run(script, this.#ttl, terms));
  }

  async #patiently<T>(call: () => Promise<T>): Promise<T> {
    this.#calls += 1;
    try {
      return await patiently(this.#host, this.#host.outage, call);
    } finally {
      this.#calls -= 1;
    }
  }

  async #publish(items: readonly PublishItem[]): Promise<RedisReply> {
    const { historySize, dedupSize, dedupWindowMs } = this.#rules;
    return await this.#ask(PUBLISH, [
      `${historySize}`,
      `${dedupSize}`,
      `${dedupWindowMs}`,
      ...items.flatMap(({ key, body }) => [key, body]),
    ]);
  }

  async #catchUp(from: Place): Promise<CatchUp> {
    const { historySize } = this.#rules;
    const terms = [historySize, MAX_BATCH_ENTRIES, MAX_BATCH_BYTES].map(String);
    const answer = listOf(await this.#run(CATCH_UP, this.#lease, terms, from));
    return {
      ...openedOf(answer),
      reason: reasonOf(answer[4]) ?? "unavailable",
      tail: entriesOf(answer[5]),
      entries: entriesOf(answer[6]),
    };
  }

  async #members(limit: number): Promise<PresenceSnapshot> {
    const [epoch, generation, total, ...rest] = listOf(
      await this.#run(MEMBERS, this.#ttl, [`${limit}`]),
    );
    const members = rest.flatMap((key, i) =>
      i % 2 === 0 ? [memberOf(textOf(key), numberOf(rest[i + 1]))] : [],
    );
    return {
      epoch: textOf(epoch),
      generation: numberOf(generation),
      total: numberOf(total),
      members,
    };
  }

  async #tell({ lost, complete, changes }: RosterCall): Promise<number> {
    const { presenceGraceMs } = this.#rules;
    const terms = [`${presenceGraceMs}`, this.#host.node(), lost, complete ? "1" : "0"];
    const answer = listOf(await this.#run(PRESENCE, this.#lease, [...terms, ...changes]));
    return numberOf(answer[2]);
  }

  async #answering(yes: boolean): Promise<void> {
    const { commands, keys, node } = this.#host;
    const list = keys.channelsOf(node());
    if (yes) {
      await this.#until(this.#host.ended, () =>
        commands.command(keys.alive, ["SADD", list, this.name]),
      );
      return;
    }
    // A name too many in the list costs a look when the node is lost, and nothing else.
    await commands.command(keys.alive, ["SREM", list, this.name]).catch(() => {});
  }

  /** Answers undefined once nobody cares. */
  async #until<T>(over: () => boolean, call: () => Promise<T>): Promise<T | undefined> {
    let result: T | undefined;
    const done = async (): Promise<void> => {
      result = await call();
    };
    await untilDone(this.#host, () => over() || this.#host.ended(), done);
    return result;
  }

  /** What every script is told first, then what it wants to know. @throws RedisFailure */
  async #run(
    script: RedisScript,
    ttl: number,
    terms: readonly RedisArgument[],
    seen: Place | undefined = this.#cursor?.last,
  ): Promise<RedisReply> {
    const { commands, durable, epochs } = this.#host;
    const epoch = epochs.take();
    const reply = await commands.run(script, this.#keys, [
      epoch,
      durable ? "1" : "0",
      seen?.epoch ?? "",
      `${seen?.generation ?? 0}`,
      `${seen?.offset ?? 0}`,
      `${ttl}`,
      this.topic,
      ...terms,
    ]);
    if (textOf(listOf(reply)[0]) !== epoch) epochs.giveBack(epoch);
    return reply;
  }

  get #ttl(): number {
    return Math.max(this.#rules.positionTtlMs, this.#rules.historyTtlMs, MIN_TTL_MS);
  }

  get #lease(): number {
    return Math.max(this.#ttl, this.#host.leaseMs);
  }
}

function openedOf(answer: readonly RedisReply[]): Opened {
  const [epoch, generation, head, presence] = answer;
  const place = {
    epoch: textOf(epoch),
    generation: numberOf(generation),
    offset: numberOf(head),
  };
  return { place, presence: numberOf(presence) };
}

function reasonOf(reply: RedisReply | undefined): GapReason | undefined {
  const reason = textOf(reply);
  return reason === "head_trimmed" || reason === "expired" ? reason : undefined;
}
