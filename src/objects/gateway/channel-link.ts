/**
 * All that a gateway has with one channel: what it reports to it, how far it has heard it, what it publishes
 * there, and the stub that the calls go through.
 */
import type { BrokerHandler, Position, PublishResult } from "../../engine/ports/broker.ts";
import type { PublishQueue } from "../../engine/publishing/publish-queue.ts";
import {
  type DeliverRequest,
  type PublishItem,
  type PublishResponse,
  ReadRequestSchema,
  ReadResponseSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_QUEUED_BYTES } from "../../protocol/limits.ts";
import { readAnswer } from "../calls/answers.ts";
import { historyOf, presenceOf } from "../calls/channel-calls.ts";
import { encode } from "../calls/encode.ts";
import type { Run } from "../calls/gateway-calls.ts";
import { readPublished } from "../calls/internal-reader.ts";
import { retrying, toChannel } from "../calls/retry.ts";
import type { ChannelStub, ObjectCalls } from "../ports/calls.ts";
import type { NearPublish, NearRun } from "../ports/near-channel.ts";
import type { CallSlots } from "./call-slots.ts";
import { ChannelRegistration, type ChannelRegistrationHost } from "./channel-registration.ts";
import { Cursor } from "./cursor.ts";
import { NearPublishes } from "./near-publishes.ts";
import { publishQueue } from "./publish-queue.ts";

/** What the link needs from the gateway around it. */
export interface LinkHost extends ChannelRegistrationHost {
  /** Since when one of them hears it through a pattern, Unix milliseconds; Infinity where that has not begun. */
  listensSince(channel: string): number;
  readonly calls: Pick<ObjectCalls, "channel" | "index" | "near">;
  readonly handler: () => BrokerHandler | undefined;
  /** Through which channels are asked. */
  readonly questions: CallSlots;
  /** Takes what a channel delivers. Undefined when it has been handed over, else a promise that settles then. */
  take(delivery: DeliverRequest): undefined | Promise<void>;
  /** The same of a channel on this thread. */
  takeRun(channel: string, run: Run): undefined | Promise<void>;
}

export class ChannelLink {
  readonly cursor: Cursor;
  readonly #channel: string;
  readonly #host: LinkHost;
  /** Made when they are needed: most of the channels that a pattern brings need neither. */
  #registration: ChannelRegistration | undefined;
  #outbox: PublishQueue<PublishItem> | undefined;
  /** Null where the channel is not on this thread; undefined until that was asked. */
  #near: NearPublishes | null | undefined;
  #stub: ChannelStub | undefined;
  /** Questions that wait for their answer. */
  #asking = 0;

  constructor(channel: string, host: LinkHost) {
    this.#channel = channel;
    this.#host = host;
    this.cursor = new Cursor({
      channel,
      handler: host.handler,
      hasAnySubscriber: () => host.interest().hasAnySubscriber(channel),
      listensSince: () => host.listensSince(channel),
      now: () => host.platform.clock.now(),
      registration: () => this.registration.id,
      read: (after, until) => {
        const request = encode(ReadRequestSchema, { after: BigInt(after), until: BigInt(until) });
        return this.ask(async (stub) => readAnswer(ReadResponseSchema, await stub.read(request)));
      },
      head: async () => (await this.ask((stub) => historyOf(stub, { limit: 0 }))).position,
      presence: (limit) => this.ask((stub) => presenceOf(stub, limit)),
      warn: host.platform.logger.warn,
    });
  }

  get registration(): ChannelRegistration {
    const { cursor } = this;
    this.#registration ??= new ChannelRegistration(this.#host, {
      name: this.#channel,
      get epoch() {
        return cursor.epoch;
      },
      register: (request) => this.#call((stub) => stub.register(request)),
      beginning: () => cursor.reset(),
      registered: (head, first) => cursor.registered(head, first),
      confirmed: (head) => this.#lookFor(head),
    });
    return this.#registration;
  }

  /**
   * Publishes, in the order of the calls.
   *
   * @throws MessagingError what the channel says of it, and UNAVAILABLE when it does not answer in time
   */
  publish(publish: NearPublish): Promise<PublishResult> {
    const near = this.#nearPublishes;
    // What waits for the channel comes before it.
    const isNear = near !== undefined && this.#outbox?.idle !== false;
    return isNear ? near.push(publish) : this.#queue.push(publish.item);
  }

  get #nearPublishes(): NearPublishes | undefined {
    if (this.#near === undefined) {
      const channel = this.#host.calls.near?.(this.#channel);
      const { turn } = this.#host;
      this.#near =
        channel === undefined
          ? null
          : new NearPublishes({
              turn,
              take: (all) => channel.publish(all, this.#heardBy, (run) => this.#takeNear(run)),
              wait: ({ item }) => this.#queue.push(item),
            });
    }
    return this.#near ?? undefined;
  }

  get #queue(): PublishQueue<PublishItem> {
    const link = this;
    this.#outbox ??= publishQueue(
      {
        publish: (request) => this.#publish(request),
        get registration() {
          return link.#heardBy;
        },
        unanswered: (until) => {
          if (until === undefined || !this.#has(until)) this.registration.doubt();
        },
      },
      this.#host,
    );
    return this.#outbox;
  }

  /**
   * The registration by which the answer to a publish may bring what the channel delivers, else empty: where that is lost,
   * this gateway has to know that something is missing.
   */
  get #heardBy(): string {
    const { cursor } = this;
    const hears =
      cursor.position !== undefined && this.#host.interest().hasDirectSubscriber(this.#channel);
    return (hears && this.registration.id) || "";
  }

  /** Whether everything up to a place has arrived here. */
  #has({ epoch, offset }: Position): boolean {
    const { position } = this.cursor;
    return position?.epoch === epoch && position.offset >= offset;
  }

  /** Takes what the answer brings, also of one that comes too late for the publishers. */
  async #publish(request: Uint8Array): Promise<PublishResponse> {
    const answer = readPublished(await this.#call((stub) => stub.publish(request)));
    if (answer.delivery !== undefined) {
      this.#host.take(answer.delivery)?.catch(() => this.registration.doubt());
    }
    return answer;
  }

  /** Takes what is handed over with a publish. Returns whether that is done. */
  #takeNear(run: NearRun): boolean {
    const taken = this.#host.takeRun(this.#channel, { ...run, presence: [], presenceLost: false });
    taken?.catch(() => this.registration.doubt());
    return taken === undefined;
  }

  /** Everything up to a head has to have arrived here. */
  #lookFor(head: Position): void {
    const { cursor } = this;
    const { epoch, offset } = head;
    if (cursor.position?.epoch !== epoch || this.#has(head)) return;
    const taken = cursor.take({
      registration: "",
      epoch,
      prev: offset,
      entries: [],
      presence: [],
      presenceLost: false,
      undeliveredTime: 0,
    });
    taken?.catch(() => this.registration.doubt());
  }

  /** Bytes of publishes that can be added now. */
  get room(): number {
    return this.#outbox?.room ?? MAX_QUEUED_BYTES;
  }

  /** Whether publishes wait for their acknowledgement. */
  get publishing(): boolean {
    return this.#outbox?.idle === false || this.#near?.idle === false;
  }

  /** Whether nothing waits and nothing is in flight. */
  get idle(): boolean {
    return !this.publishing && this.#registration?.idle !== false && this.#asking === 0;
  }

  /**
   * A question to the channel, repeated until it is answered.
   *
   * @throws MessagingError UNAVAILABLE when the channel does not answer in time.
   */
  async ask<T>(call: (stub: ChannelStub) => Promise<T>): Promise<T> {
    this.#asking += 1;
    try {
      const { channelTrouble, platform, questions } = this.#host;
      return await questions.run(() =>
        retrying(() => this.#call(call), toChannel(platform, channelTrouble)),
      );
    } finally {
      this.#asking -= 1;
    }
  }

  /** Asks the channel where its log is, and steps into it where it is another one. */
  async lookAtLog(): Promise<void> {
    const { position } = await this.ask((stub) => historyOf(stub, { limit: 0 }));
    this.cursor.registered(position, false);
  }

  /** One stub while it works: calls on one stub keep their order. */
  async #call<T>(call: (stub: ChannelStub) => Promise<T>): Promise<T> {
    this.#stub ??= this.#host.calls.channel(this.#channel);
    const stub = this.#stub;
    try {
      return await call(stub);
    } catch (error) {
      if (this.#stub === stub) this.#stub = undefined;
      throw error;
    }
  }
}
