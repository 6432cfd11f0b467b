/**
 * Where publishes of v1 clients wait for room in the broker. Such a client does not read what became of a
 * publish, so that it is lost without a trace where it is refused. Publishes wait by channel, in the order of
 * each client, and the clients take turns, so that a fast one does not keep the others waiting.
 */
import type { Broker, PublishCommand, PublishResult } from "../ports/broker.ts";
import type { Timers } from "../ports/platform.ts";

/** Room that stays free for clients that can be refused, in bytes. */
const RESERVE_BYTES = 2 * 1024 * 1024;
/** How often to look for room that publishes of others take, in milliseconds. */
const LOOK_MS = 20;
/** What a publish takes beyond its frame, in bytes: its key, and the names of its publisher. */
const ENVELOPE_BYTES = 1_024;

/** The part of a broker that is used. */
export type PublishingBroker = Pick<Broker, "publish" | "room">;

export class PublishGate {
  readonly #broker: PublishingBroker;
  readonly #timers: Timers;
  /** Channels in which publishes wait. */
  readonly #lanes = new Map<string, Lane>();

  constructor(broker: PublishingBroker, timers: Timers) {
    this.#broker = broker;
    this.#timers = timers;
  }

  /** Channels in which publishes wait for room. */
  get waiting(): number {
    return this.#lanes.size;
  }

  /**
   * Publishes, at once where there is room.
   *
   * @param client whose publishes keep their order; the clients of a channel take turns
   * @param bytes length of the client's frame
   * @throws MessagingError what the broker says of the publish
   */
  publish(
    client: object,
    channel: string,
    command: PublishCommand,
    bytes: number,
  ): Promise<PublishResult> {
    if (this.#broker.room === undefined) return this.#broker.publish(channel, command);
    const lane = this.#lanes.get(channel);
    const size = bytes + ENVELOPE_BYTES;
    if (lane === undefined && this.#fits(channel, size)) {
      return this.#broker.publish(channel, command);
    }
    return new Promise((resolve, reject) => {
      const waiting = { command, size, resolve, reject };
      if (lane === undefined) {
        this.#lanes.set(channel, new Map([[client, [waiting]]]));
        this.#lookSoon(channel);
        return;
      }
      const own = lane.get(client);
      if (own === undefined) lane.set(client, [waiting]);
      else own.push(waiting);
    });
  }

  #fits(channel: string, size: number): boolean {
    return (this.#broker.room?.(channel) ?? 0) >= size + RESERVE_BYTES;
  }

  /**
   * The queue of a channel is emptied by the publishes of all clients, and nothing reports that. While a
   * publish waits there are seconds of work in that queue, so a look costs little and delays nothing.
   */
  #lookSoon(channel: string): void {
    this.#timers.after(LOOK_MS, () => {
      this.#admit(channel);
      if (this.#lanes.has(channel)) this.#lookSoon(channel);
    });
  }

  #admit(channel: string): void {
    const lane = this.#lanes.get(channel);
    for (const [client, own] of lane ?? []) {
      const first = own[0];
      if (first === undefined || !this.#fits(channel, first.size)) return;
      own.shift();
      // To the end of the line: the next one is another client's.
      lane?.delete(client);
      if (own.length > 0) lane?.set(client, own);
      this.#broker.publish(channel, first.command).then(first.resolve, first.reject);
    }
    this.#lanes.delete(channel);
  }
}

/** Publishes that wait for one channel, by client; the client that is next stands first. */
type Lane = Map<object, GatedPublish[]>;

interface GatedPublish {
  readonly command: PublishCommand;
  readonly size: number;
  readonly resolve: (result: PublishResult) => void;
  readonly reject: (error: unknown) => void;
}
