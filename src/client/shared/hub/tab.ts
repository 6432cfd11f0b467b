/** A tab as the hub sees it: its line, what it is subscribed to, and how far it is. */

import { stands } from "../../core/patterns.ts";
import type { Clock } from "../../core/ports.ts";
import type {
  InboundFrame,
  OutboundFrame,
  Position,
  WireGap,
  WireMessage,
} from "../../wire/frames.ts";
import type { HubLine } from "../line.ts";
import { Cursors } from "./cursors.ts";
import { Waiting } from "./waiting.ts";

/** What is wanted to come of a tab. */
export interface TabOwner {
  /** @returns why it cannot be served; undefined where it can */
  opened(tab: Tab, version: string, url: string, subprotocol: string): string | undefined;
  frame(tab: Tab, frame: InboundFrame): void;
  /** Once. Nothing comes of it any more. */
  left(tab: Tab): void;
  /** It has not kept up with presence of these channels, and can take more again. */
  missedPresence(tab: Tab, channels: Iterable<string>): void;
}

/** A channel or pattern that the server has granted to a tab. */
export interface Held {
  readonly ephemeral: boolean;
  /** Of a pattern: when it was granted first, by the server's clock, Unix milliseconds. */
  readonly since: number;
}

/** Every so often a tab is asked for a sign of life, in milliseconds. */
const PING_MS = 10_000;
/** After so many without an answer it is taken for crashed or frozen. */
const MOST_UNANSWERED = 3;
/** How far the clocks of channels and patterns may lie apart, in milliseconds. */
const CLOCK_MARGIN_MS = 30_000;
const LOST = 1006;
const SLOW = 3510;

export class Tab {
  readonly topics = new Map<string, Held>();
  readonly cursors = new Cursors();
  /** What it has asked for, and has not ended since. */
  readonly wanted = new Set<string>();
  /** Whose it is, where that is known otherwise than by its token. */
  readonly userId: string | undefined;
  /** Its first frame, which asks to connect; undefined before. */
  request: InboundFrame | undefined;
  over = false;
  readonly #line: HubLine;
  readonly #clock: Clock;
  readonly #owner: TabOwner;
  readonly #waiting = new Waiting();
  #unanswered = 0;
  #stop: () => void;

  constructor(line: HubLine, clock: Clock, owner: TabOwner, userId?: string) {
    this.userId = userId;
    this.#line = line;
    this.#clock = clock;
    this.#owner = owner;
    this.#stop = clock.after(PING_MS, () => this.#beat());
    line.receive((message) => {
      if (this.over) return;
      this.#unanswered = 0;
      if (message.kind === "frame") owner.frame(this, message.frame);
      else if (message.kind === "ping") line.send({ kind: "pong" });
      else if (message.kind === "taken") this.#taken(message.count);
      else if (message.kind === "close") this.#leave();
      else if (message.kind === "open") {
        const refusal = owner.opened(this, message.version, message.url, message.subprotocol);
        if (refusal === undefined) line.send({ kind: "opened" });
        else this.end(LOST, refusal, true);
      }
    });
  }

  /** Whether a subscription of its stands for a channel. */
  hears(channel: string): boolean {
    if (this.topics.has(channel)) return true;
    for (const name of this.topics.keys()) if (stands(name, channel)) return true;
    return false;
  }

  /** Sends an answer, or what must not be left out. */
  send(frame: OutboundFrame): void {
    if (!this.over) this.#line.send({ kind: "frame", frame });
  }

  /** Gives it the messages that it has not had. @param catchesUp whether it waits for the verdict of a recovery */
  deliver(messages: readonly WireMessage[], catchesUp: boolean): void {
    let together: WireMessage[] = [];
    const flush = (): void => {
      if (together.length > 0) this.send({ publication: { messages: together } });
      together = [];
    };
    for (const message of messages) {
      const verdict = this.#takes(message, catchesUp);
      if (verdict === false) continue;
      if (typeof verdict === "object") {
        flush();
        this.gap(verdict);
      }
      if (this.#waiting.add(message)) together.push(message);
    }
    flush();
    // Not even what it misses can be remembered any more.
    if (this.#waiting.overflowed) this.end(SLOW, "slow consumer");
  }

  gap(gap: WireGap): void {
    if (gap.channel) this.cursors.reach(gap.channel, gap.until);
    if (!this.#waiting.missesMore(gap)) this.send({ gap });
  }

  /** Someone has come to a channel, or has gone. */
  presence(channel: string, frame: OutboundFrame): void {
    if (!this.#waiting.missesPresence(channel)) this.send(frame);
  }

  /** Ends it: the client in the tab does what the code says. */
  end(code: number, reason: string, fatal = false, retryAfterMs = 0): void {
    if (this.over) return;
    this.#line.send({ kind: "ended", code, reason, fatal, retryAfterMs });
    this.#leave();
  }

  #takes(message: WireMessage, catchesUp: boolean): boolean | WireGap {
    const { channel = "", epoch = "", replay = false, time = 0 } = message;
    // Of no log: it is delivered at most once.
    if (!epoch) return true;
    const isOthers = replay && !catchesUp && this.cursors.get(channel) === undefined;
    if (isOthers && !this.#heard(channel, time)) return false;
    return this.cursors.take(message, catchesUp);
  }

  /** Whether it was subscribed to a channel at a time. */
  #heard(channel: string, time: number): boolean {
    for (const [name, { since }] of this.topics) {
      if (since - CLOCK_MARGIN_MS <= time && stands(name, channel)) return true;
    }
    return false;
  }

  #taken(count: number): void {
    const missed = this.#waiting.taken(count);
    if (missed === undefined) return;
    for (const gap of missed.gaps) this.send({ gap });
    if (missed.presence.size > 0) this.#owner.missedPresence(this, missed.presence);
  }

  #beat(): void {
    if (this.#unanswered >= MOST_UNANSWERED) {
      this.end(LOST, "no answer from the tab");
      return;
    }
    this.#unanswered += 1;
    this.#line.send({ kind: "ping" });
    this.#stop = this.#clock.after(PING_MS, () => this.#beat());
  }

  #leave(): void {
    this.over = true;
    this.#stop();
    this.#line.close();
    this.#owner.left(this);
  }
}

/** The place before everything that is granted now, as far as a grant says it. */
export function granted(position: Position | undefined, ephemeral: boolean | undefined): Held {
  return { ephemeral: ephemeral ?? false, since: position?.offset ?? 0 };
}
