/**
 * Which nodes there are. Each says from time to time that it is there; one that has been silent for too
 * long is lost, and one of the others sees to its members. A node that was taken for lost, or that cannot
 * know what Redis still has of it, goes on under a new name: what is said of the old one cannot hurt it.
 */
import { background } from "../../engine/background.ts";
import { unavailable } from "../../protocol/errors.ts";
import { Interval } from "./outage/interval.ts";
import { type CallContext, patiently } from "./outage/retry.ts";
import { RedisFailure } from "./ports.ts";
import { textsOf } from "./reply.ts";
import { BEAT, NODES } from "./scripts/presence.ts";

/** How often a node says that it is there, in milliseconds. */
export const BEAT_MS = 5_000;
/** Silence that a node is lost after, in beats. */
const BEATS_TO_LOST = 3;
/** How long a node may take to see to a lost one, in beats; then another does. */
const BEATS_TO_SWEEP = 6;
/** Channels of a lost node that are seen to at the same time. */
const SWEPT_TOGETHER = 32;

export interface NodesHost extends CallContext {
  /** This process: unique, letters and digits only. */
  readonly node: string;
  readonly beatMs: number;
  /** Reports every member of this node to Redis again, under its new name. Never rejects. */
  renamed(): Promise<void>;
  /** Goes on with what a lost process has reported of its sessions. It may be there again, under another name. */
  takeOverProcess(node: string): Promise<void>;
  /** Sees to it that the members that a lost node has in a channel leave when their grace is over. */
  takeOver(channel: string, node: string): Promise<void>;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export class RedisNodes {
  readonly #host: NodesHost;
  #name: string;
  /** How often this process has changed its name. */
  #renamings = 0;
  #run: string | undefined;
  /** When the last beat was heard, by the server's clock, in Unix milliseconds. */
  #heardAt = 0;
  /** How far the server's clock is ahead of this process' own, in milliseconds. */
  #ahead = 0;
  /** When all others will have said that they are there, by this process' clock. */
  #completeAt = 0;
  readonly #beats: Interval;
  #ended = false;
  readonly #sweeping = new Set<string>();

  constructor(host: NodesHost) {
    this.#host = host;
    this.#name = nameOf(host.node, 0);
    // Where Redis is away the next beat finds out what became of this node.
    this.#beats = new Interval(host, host.beatMs, "the beat of this node", () => this.#beat());
  }

  /** What the node is called in Redis at the moment. */
  get name(): string {
    return this.#name;
  }

  /** The time by the server's clock, which is the same for all nodes, in Unix milliseconds. */
  get time(): number {
    return this.#host.clock.now() + this.#ahead;
  }

  /**
   * The other processes that are heard of.
   *
   * @throws MessagingError UNAVAILABLE while Redis may not know all of them
   */
  async others(): Promise<readonly string[]> {
    const { clock, commands, keys, node } = this.#host;
    const names = await patiently(this.#host, async () => {
      const terms = [this.#name, `${this.#heardAt}`, this.#run ?? ""];
      const { sound, names: known } = NODES.read(await commands.run(NODES, [keys.alive], terms));
      if (clock.now() < this.#completeAt) throw unavailable("Redis does not know all nodes yet");
      // The next beat finds out what it is.
      if (!sound) throw new RedisFailure("busy", "Redis may have forgotten nodes");
      return known.map(nodeOf);
    });
    return [...new Set(names)].filter((name) => name !== node);
  }

  /** Says that the node is there, now and from now on. */
  async start(): Promise<void> {
    await this.#beat();
    this.#beats.start();
  }

  /** Others see to what the node leaves behind. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#beats.end();
    const { commands, keys } = this.#host;
    await commands.command(keys.alive, ["ZREM", keys.alive, this.#name]);
    await commands.command(keys.alive, ["ZADD", keys.lost, "NX", "0", this.#name]);
  }

  async #beat(): Promise<void> {
    const { known, run, lost } = await this.#tell("");
    if (this.#ended) return;
    const restarted = this.#run !== undefined && this.#run !== run;
    const forgotten = this.#run !== undefined && !known;
    this.#run = run;
    this.#see(lost);
    if (!restarted && !forgotten) return;
    const former = this.#name;
    this.#renamings += 1;
    this.#name = nameOf(this.#host.node, this.#renamings);
    // What happened to this node's name may have happened to those of others, which learn of it by a beat.
    this.#completeAt = this.#host.clock.now() + 2 * this.#host.beatMs;
    this.#host.warn("node renamed", { reason: restarted ? "Redis restarted" : "taken for lost" });
    await this.#tell("");
    // However many members there are to be reported: the node says meanwhile that it is there.
    background(this.#handOver(former), this.#host.troubles.logger, "going on under a new name");
  }

  /** In this order: a session that is still here has the new name before the old one is seen to. */
  async #handOver(former: string): Promise<void> {
    await this.#host.renamed();
    if (!this.#ended) this.#see((await this.#tell(former)).lost);
  }

  #see(lost: readonly string[]): void {
    for (const node of lost) {
      background(this.#sweep(node), this.#host.troubles.logger, "seeing to a lost node");
    }
  }

  /** @param former a name that others, or this node, have to see to; empty for none */
  async #tell(former: string) {
    const { commands, keys, beatMs } = this.#host;
    const terms = [`${BEATS_TO_LOST * beatMs}`, `${BEATS_TO_SWEEP * beatMs}`];
    const names = [keys.alive, keys.lost];
    const beat = BEAT.read(await commands.run(BEAT, names, [this.#name, former, ...terms]));
    this.#heardAt = beat.now;
    this.#ahead = this.#heardAt - this.#host.clock.now();
    return beat;
  }

  /** A node that does not come to an end with it is followed by another. */
  async #sweep(node: string): Promise<void> {
    if (this.#sweeping.has(node)) return;
    this.#sweeping.add(node);
    const { commands, keys } = this.#host;
    const list = keys.channelsOf(node);
    try {
      // First: it is to be known soon that its sessions have ended.
      await this.#host.takeOverProcess(nodeOf(node));
      const channels = textsOf(await commands.command(keys.alive, ["SMEMBERS", list]));
      for (let i = 0; i < channels.length; i += SWEPT_TOGETHER) {
        const together = channels.slice(i, i + SWEPT_TOGETHER);
        await Promise.all(
          together.map(async (channel) => await this.#host.takeOver(channel, node)),
        );
        await commands.command(keys.alive, ["SREM", list, ...together]);
      }
      await commands.command(keys.alive, ["ZREM", keys.lost, node]);
    } catch (error) {
      this.#host.troubles.note("seeing to a lost node", error);
    } finally {
      this.#sweeping.delete(node);
    }
  }
}

/** What a process is called in Redis, from one change of its name to the next. */
function nameOf(node: string, renamings: number): string {
  return `${node}-${renamings}`;
}

/** The process of a name. */
function nodeOf(name: string): string {
  return name.split("-", 1)[0] ?? "";
}
