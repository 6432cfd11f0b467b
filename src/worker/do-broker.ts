/**
 * The broker of a gateway: the channel objects are its cluster. This is the gateway's side of the
 * contract between the two; `channel-fan-out.ts` is the other. What one channel is told stands in its
 * roster, how far it was heard in its cursor.
 */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type {
  Broker,
  BrokerHandler,
  HistoryFilter,
  HistoryPage,
  MemberSession,
  Position,
  PresenceSnapshot,
  PublishCommand,
  PublishResult,
  Registration,
} from "../engine/ports.ts";
import {
  DeliverRequestSchema,
  EntryBodySchema,
  PublishItemSchema,
  type SeenRecord,
  type SeenRecordSchema,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { type ChannelStub, historyOf, presenceOf, runOf } from "./channel-calls.ts";
import { ChannelLink, type LinkHost } from "./channel-link.ts";

/** Channels that a sweep settles at the same time. */
const SWEPT_TOGETHER = 32;

export type DurableObjectBrokerOptions = Omit<LinkHost, "handler" | "sequence">;

export interface BrokerStats {
  /** Channels that this gateway is registered with, or that still have to be told that it is not. */
  readonly registrations: number;
  /** Channels with publishes that wait for their acknowledgement. */
  readonly publishing: number;
}

export class DurableObjectBroker implements Broker {
  readonly #options: DurableObjectBrokerOptions;
  readonly #host: LinkHost;
  readonly #channels = new Map<string, ChannelLink>();
  #handler: BrokerHandler | undefined;
  #sequence = 0;

  constructor(options: DurableObjectBrokerOptions) {
    this.#options = options;
    this.#host = {
      ...options,
      handler: () => this.#handler,
      sequence: () => this.#nextSequence(),
    };
  }

  start(handler: BrokerHandler): void {
    this.#handler = handler;
  }

  async subscribe(channel: string): Promise<Registration> {
    return await this.#link(channel).roster.subscribe();
  }

  unsubscribe(channel: string): void {
    const link = this.#link(channel);
    link.cursor.reset();
    void this.#settle(channel, link);
  }

  async join(channel: string, session: MemberSession): Promise<void> {
    await this.#link(channel).roster.join(session);
  }

  leave(channel: string, sessionId: string, clean: boolean): void {
    this.#link(channel).roster.leave(sessionId, clean);
  }

  publish(channel: string, command: PublishCommand): Promise<PublishResult> {
    const link = this.#link(channel);
    const body = toBinary(EntryBodySchema, command.body);
    const result = link.outbox.push(create(PublishItemSchema, { key: command.key, body }));
    return result.finally(() => this.#forget(channel, link));
  }

  async history(channel: string, filter: HistoryFilter): Promise<HistoryPage> {
    return await this.#asking(channel, (stub) => historyOf(stub, filter));
  }

  async removeHistory(channel: string): Promise<void> {
    await this.#asking(channel, (stub) => stub.removeHistory());
  }

  async presence(channel: string, limit: number): Promise<PresenceSnapshot> {
    return await this.#asking(channel, (stub) => presenceOf(stub, limit));
  }

  seen(channel: string): Position | undefined {
    return this.#channels.get(channel)?.cursor.last;
  }

  remember(channel: string): MessageInitShape<typeof SeenRecordSchema> | undefined {
    const cursor = this.#channels.get(channel)?.cursor;
    if (cursor?.last === undefined) return undefined;
    const { epoch, offset } = cursor.last;
    return { channel, epoch, offset: BigInt(offset), generation: BigInt(cursor.generation) };
  }

  recall({ channel, epoch, offset, generation }: SeenRecord): void {
    const position = { epoch, offset: Number(offset) };
    this.#link(channel).cursor.recall(position, Number(generation));
  }

  stats(): BrokerStats {
    const outboxes = [...this.#channels.values()].filter(({ outbox }) => !outbox.idle);
    return { registrations: this.#options.registrations.size, publishing: outboxes.length };
  }

  /**
   * A deliver call from a channel. Without a hole everything down to the sockets happens in this
   * synchronous step; the promise is only for the case that something must be read first.
   *
   * @returns whether this gateway has no subscriber for the channel.
   */
  deliver(bytes: Uint8Array): boolean | Promise<boolean> {
    const request = fromBinary(DeliverRequestSchema, bytes);
    const { channel } = request;
    if (!this.#options.wanted(channel)) return true;
    const taken = this.#link(channel).cursor.take(runOf(request));
    return taken === undefined ? false : taken.then(() => false);
  }

  /** Takes back what no session here wants any more, and tells again what may not have been heard. */
  async sweep(): Promise<void> {
    const { registrations, wanted } = this.#options;
    // What a session remembered of a channel that it has left is of no use.
    for (const [channel, link] of [...this.#channels]) this.#forget(channel, link);
    const stale = [...registrations.all()].filter((row) => !wanted(row.channel) || row.unsettled);
    for (let i = 0; i < stale.length; i += SWEPT_TOGETHER) {
      const together = stale.slice(i, i + SWEPT_TOGETHER);
      await Promise.all(
        together.map(async ({ channel }) => await this.#settle(channel, this.#link(channel))),
      );
    }
  }

  async #settle(channel: string, link: ChannelLink): Promise<void> {
    await link.roster.settle();
    this.#forget(channel, link);
  }

  async #asking<T>(channel: string, call: (stub: ChannelStub) => Promise<T>): Promise<T> {
    const link = this.#link(channel);
    try {
      return await link.ask(call);
    } finally {
      this.#forget(channel, link);
    }
  }

  #link(channel: string): ChannelLink {
    let link = this.#channels.get(channel);
    if (link === undefined) {
      link = new ChannelLink(channel, this.#host);
      this.#channels.set(channel, link);
    }
    return link;
  }

  /** Rises over all channels and lives: the clock, in thousandths of a millisecond, or one more. */
  #nextSequence(): number {
    this.#sequence = Math.max(this.#sequence + 1, Date.now() * 1000);
    return this.#sequence;
  }

  /** Drops what is known of a channel that nobody here listens or publishes to. */
  #forget(channel: string, link: ChannelLink): void {
    if (link.idle && !this.#options.wanted(channel)) this.#channels.delete(channel);
  }
}
