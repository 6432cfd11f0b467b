/** How far a client is through a pattern: what the ids of its events say, in as few bytes as they may take. */
import { MAX_EVENT_ID_BYTES, MAX_EVENT_ID_CHANNELS } from "../../protocol/limits.ts";
import { channelPart, type EventPosition, patternId, type ResumePoint } from "./event-id.ts";

interface HeardChannel {
  readonly part: string;
  /** When the log took the last event of it, Unix milliseconds; undefined where the client named it. */
  readonly time: number | undefined;
}

export class PatternPlace {
  /** The one heard last stands last. */
  readonly #channels = new Map<string, HeardChannel>();
  /** Undefined where a client is behind, and it is unknown what it has of channels that are not named. */
  #since: EventPosition | undefined;
  /** Bytes of all parts. */
  #bytes = 0;
  /** Whether the client is still to be sent what it missed since. */
  #behind: boolean;
  /** After the last event of those channels that were let go, Unix milliseconds. */
  #letGo = 0;

  /** @param behind whether `since` is a client's, and not where the stream begins */
  constructor({ since, channels }: ResumePoint, behind: boolean) {
    this.#since = since;
    this.#behind = behind;
    for (const [channel, position] of [...channels].reverse()) {
      this.#set(channel, { part: channelPart(channel, position), time: undefined });
    }
  }

  get id(): string {
    const parts = [...this.#channels.values()].reverse();
    return patternId(
      this.#since,
      parts.map(({ part }) => part),
    );
  }

  /** @param time when the log took the event at the position, Unix milliseconds; undefined where there is none */
  heard(channel: string, position: EventPosition, time?: number): void {
    const before = this.#channels.get(channel)?.time;
    this.#set(channel, { part: channelPart(channel, position), time: time ?? before });
    this.#shorten();
  }

  /** The client has had everything up to where the stream began. */
  caughtUp({ epoch, offset }: EventPosition): void {
    this.#since = { epoch, offset: `${Math.max(Number(offset), this.#letGo)}` };
    this.#behind = false;
  }

  #set(channel: string, heard: HeardChannel): void {
    this.#bytes += heard.part.length - (this.#channels.get(channel)?.part.length ?? 0);
    this.#channels.delete(channel);
    this.#channels.set(channel, heard);
  }

  /**
   * Lets go of channels that were heard longest ago. What the client has of them would be sent again, so `since`
   * follows: of such a channel the server reports the gap `unavailable` when the client comes back. While
   * the client is behind it cannot follow, because of others that is still to be sent.
   */
  #shorten(): void {
    for (const [channel, { part, time }] of this.#channels) {
      const room = MAX_EVENT_ID_BYTES - patternId(this.#since, []).length;
      if (this.#channels.size <= MAX_EVENT_ID_CHANNELS && this.#bytes <= room) return;
      this.#channels.delete(channel);
      this.#bytes -= part.length;
      if (time !== undefined) this.#letGo = Math.max(this.#letGo, time + 1);
      if (this.#behind) this.#since = undefined;
      else if (this.#since !== undefined) this.caughtUp(this.#since);
    }
  }
}
