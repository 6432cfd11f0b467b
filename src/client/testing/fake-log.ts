/** One channel of the fake server: what was published, and what of it a subscriber has missed. */
import { MessagingError } from "../../protocol/errors.ts";
import { isPattern } from "../core/patterns.ts";
import type { Position, WireEvent, WireGap, WireMessage, WirePublisher } from "../wire/frames.ts";

/** A published event before it has its place. */
export interface Published {
  readonly payload: WireEvent;
  readonly publisher: WirePublisher;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** What comes before live messages, and what of it is not there any more. */
export interface Replay {
  readonly messages: readonly WireMessage[];
  readonly gap?: WireGap;
}

interface Known {
  readonly offset: number;
  readonly time: number;
}

export class FakeLog {
  readonly channel: string;
  epoch: string;
  #messages: WireMessage[] = [];
  #head = 0;
  #first = 1;
  readonly #known = new Map<string, Known>();

  constructor(channel: string, epoch: string) {
    this.channel = channel;
    this.epoch = epoch;
  }

  get position(): Position {
    return { epoch: this.epoch, offset: this.#head };
  }

  /** Everything that history holds, the oldest first. */
  get messages(): readonly WireMessage[] {
    return this.#messages;
  }

  /** @param window how long the same event of the same user is known, in milliseconds */
  publish(event: Published, time: number, window: number): { duplicate: boolean; offset: number } {
    const { payload, publisher, metadata } = event;
    const { id, source } = payload;
    const key = id && source ? JSON.stringify([publisher.user_id, source, id]) : undefined;
    const known = key === undefined ? undefined : this.#known.get(key);
    if (known !== undefined && time - known.time < window) {
      return { duplicate: true, offset: known.offset };
    }
    const offset = ++this.#head;
    if (key !== undefined) this.#known.set(key, { offset, time });
    this.#messages.push({
      id: `${this.epoch}-${offset}`,
      channel: this.channel,
      offset,
      epoch: this.epoch,
      time,
      payload,
      publisher,
      ...(metadata === undefined ? {} : { metadata }),
    });
    return { duplicate: false, offset };
  }

  /** What came after a position. */
  after({ epoch, offset = 0 }: Position): Replay {
    const until = this.position;
    if (epoch !== this.epoch || offset > this.#head) {
      return { messages: this.#replayed(this.#first), gap: { reason: "epoch_changed", until } };
    }
    const from = Math.max(offset + 1, this.#first);
    const messages = this.#replayed(from);
    if (from === offset + 1) return { messages };
    const lost = { epoch, offset: from - 1 };
    return { messages, gap: { reason: "head_trimmed", after: { epoch, offset }, until: lost } };
  }

  /** What was published at a time or after it. */
  from(time: number): Replay {
    return {
      messages: this.#replayed(this.#first).filter((message) => (message.time ?? 0) >= time),
    };
  }

  /** The last so many messages. */
  last(count: number): Replay {
    return { messages: this.#replayed(Math.max(this.#first, this.#head + 1 - count)) };
  }

  /** Forgets the oldest messages but so many. */
  trim(left: number): void {
    this.#first = Math.max(this.#first, this.#head + 1 - left);
    this.#messages = this.#messages.filter(({ offset = 0 }) => offset >= this.#first);
  }

  /** Begins anew: nothing of before is known. */
  restart(epoch: string): void {
    this.epoch = epoch;
    this.#messages = [];
    this.#head = 0;
    this.#first = 1;
    this.#known.clear();
  }

  #replayed(from: number): WireMessage[] {
    return this.#messages
      .filter(({ offset = 0 }) => offset >= from)
      .map((message) => ({ ...message, replay: true }));
  }
}

/** @throws MessagingError BAD_REQUEST for what is no channel, nor a pattern where that is allowed */
export function checkName(name: string, patterns = false): void {
  const words = name.split(".");
  if (words.includes("") || (!patterns && isPattern(name)) || words.slice(0, -1).includes("**")) {
    throw new MessagingError("BAD_REQUEST", `${JSON.stringify(name)} is no channel`);
  }
}
