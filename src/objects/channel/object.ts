/**
 * The object of one channel: the single writer of its log and the shard that fans out to gateways. What
 * happens is decided in its life; here requests are read, and answers written.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { Appended } from "../../channels/log.ts";
import type { ChannelRules } from "../../channels/rules.ts";
import { background } from "../../engine/background.ts";
import type { PublishResult } from "../../engine/ports/broker.ts";
import { nextTurn } from "../../engine/ports/timers.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  type Entry,
  type EntryBody,
  GatewaysResponseSchema,
  HearRequestSchema,
  HistoryRequestSchema,
  PresenceRequestSchema,
  PresenceResponseSchema,
  type PublishItem,
  type PublishRequest,
  ReadRequestSchema,
  RegisterRequestSchema,
  RegisterResponseSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_BATCH_ENTRIES } from "../../protocol/limits.ts";
import { SharedAlarm } from "../alarm.ts";
import { encode } from "../calls/encode.ts";
import { deliverTo } from "../calls/gateway-calls.ts";
import { encodeHistory, encodePublished, encodeReadResponse } from "../calls/internal-codec.ts";
import { readPublishes } from "../calls/internal-reader.ts";
import { indexOf, LEASE_TERMS } from "../calls/lease-terms.ts";
import { interestOf, leaseOf } from "../calls/pattern-calls.ts";
import type { Called, ChannelStub, ObjectCalls } from "../ports/calls.ts";
import type { ChannelStore } from "../ports/channel-store.ts";
import type { NearPublish, NearRun } from "../ports/near-channel.ts";
import type { ObjectStorage } from "../ports/storage.ts";
import type { Answering } from "./fan-out-gateway.ts";
import { type ChannelHost, ChannelLife } from "./life.ts";

/** What a channel needs from its host. */
export interface ChannelObjectHost
  extends Pick<ChannelHost, "hearer" | "name" | "platform" | "random" | "reports"> {
  /** Asked for at the beginning of each life. */
  rules(): ChannelRules;
  /** What the channel keeps, opened for a life that begins. */
  store(): ChannelStore;
  readonly storage: ObjectStorage;
  readonly calls: Pick<ObjectCalls, "gateway" | "index" | "stats">;
}

export class ChannelObject implements Called<ChannelStub> {
  readonly #host: ChannelObjectHost;
  readonly #alarm: SharedAlarm;
  #openLife: ChannelLife | undefined;
  #flush: { readonly life: ChannelLife; readonly done: Promise<void> } | undefined;

  constructor(host: ChannelObjectHost) {
    this.#host = host;
    this.#alarm = new SharedAlarm(host.storage, host.platform);
  }

  /** Sets the time of the stored alarm. Comes before the first call: calls ask for alarms. */
  found(at: number | null): void {
    this.#alarm.found(at);
  }

  /** Makes sure that the alarm comes by a time, Unix milliseconds. */
  alarmBy(at: number): void {
    this.#alarm.by(at);
  }

  register(request: Uint8Array): Uint8Array {
    const { position, generation } = this.#life.register(
      fromBinary(RegisterRequestSchema, request),
    );
    const { epoch, offset } = position;
    return encode(RegisterResponseSchema, {
      position: { epoch, offset: BigInt(offset) },
      generation: BigInt(generation),
    });
  }

  publish(request: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const publishes = readPublishes(request);
    return this.#life.isReady() ? this.#publish(publishes) : this.#publishLater(publishes);
  }

  async #publishLater(publishes: PublishRequest): Promise<Uint8Array> {
    try {
      // After the wait the object may hold another life of the channel.
      for (let wait = this.#life.ready(); wait !== undefined; wait = this.#life.ready()) await wait;
    } catch (refusal) {
      const error = this.#stated(refusal);
      return encodePublished(
        "",
        publishes.items.map(() => error),
        undefined,
      );
    }
    return await this.#publish(publishes);
  }

  /** Publishes while the life is ready. */
  #publish({ items, region, registration }: PublishRequest): Uint8Array | Promise<Uint8Array> {
    const life = this.#life;
    const answering = life.answering(registration);
    const failed = (error: unknown): never => {
      if (answering !== undefined) life.withoutAnswer(answering);
      throw error;
    };
    try {
      const results = items.map((item) => this.#taken(life, item, answering));
      if (items.some(({ transient }) => !transient)) life.published(region);
      const answer = (): Uint8Array =>
        encodePublished(life.position.epoch, results, answering && life.answer(answering));
      // A full batch needs no others, and what can leave now need not wait for others. The next turn may be far off: sockets
      // that have something to read put it off.
      if (items.length < MAX_BATCH_ENTRIES && life.delivering) {
        return this.#flushed(life).then(answer).catch(failed);
      }
      life.flush();
      return answer();
    } catch (error) {
      return failed(error);
    }
  }

  /**
   * The same in one step, for a gateway on this thread: what it lacks is handed over in it.
   *
   * @param region of the gateway
   */
  publishNear(
    publishes: readonly NearPublish[],
    region: string,
    registration: string,
    take: (run: NearRun) => boolean,
  ): readonly (PublishResult | MessagingError)[] | undefined {
    const life = this.#life;
    if (!life.isReady()) return undefined;
    const { epoch } = life.position;
    const answering = life.answering(registration);
    const entries: Entry[] = [];
    try {
      const results = publishes.map(({ item, body }) => {
        const taken = this.#taken(life, item, answering);
        if (taken instanceof Error) return taken;
        const { duplicate, offset, time } = taken;
        if (!duplicate && !item.transient) entries.push(entryOf(offset, time, body));
        return { position: { epoch, offset }, duplicate };
      });
      if (publishes.some(({ item }) => !item.transient)) life.published(region);
      life.flush();
      if (answering !== undefined) life.handOver(answering, entries, take);
      return results;
    } catch (error) {
      if (answering !== undefined) life.withoutAnswer(answering);
      throw error;
    }
  }

  /** Has the channel take an item, or says why it does not. */
  #taken(
    life: ChannelLife,
    item: PublishItem,
    answering: Answering | undefined,
  ): Appended | MessagingError {
    try {
      if (!item.transient) return life.publish(item, answering);
      life.transmit(item);
      return { offset: 0, time: 0, duplicate: false };
    } catch (error) {
      return this.#stated(error);
    }
  }

  hear(request: Uint8Array): void {
    const { gateway } = fromBinary(HearRequestSchema, request);
    // A life that has not begun holds no lease, and will ask the index.
    if (gateway !== undefined) this.#openLife?.addInterest(interestOf(gateway));
  }

  read(request: Uint8Array): Uint8Array {
    const { after, until } = fromBinary(ReadRequestSchema, request);
    const life = this.#life;
    return encodeReadResponse(life.position.epoch, life.read(Number(after), Number(until)));
  }

  history(request: Uint8Array): Uint8Array {
    return encodeHistory(this.#life.history(fromBinary(HistoryRequestSchema, request)));
  }

  removeHistory(): void {
    this.#life.removeHistory();
  }

  presence(request: Uint8Array): Uint8Array {
    const life = this.#life;
    const { limit } = fromBinary(PresenceRequestSchema, request);
    const { members, total, generation } = life.presence(limit);
    return encode(PresenceResponseSchema, {
      members: members.map((member) => ({ ...member, time: BigInt(member.time) })),
      total,
      generation: { epoch: life.position.epoch, number: BigInt(generation) },
    });
  }

  async gateways(): Promise<Uint8Array> {
    for (let wait = this.#life.ready(); wait !== undefined; wait = this.#life.ready()) await wait;
    return encode(GatewaysResponseSchema, { gateways: [...this.#life.gateways] });
  }

  /** Gateways are no more, and neither are their sessions. For hosts that know it. */
  gatewayEnded(gateway: string): void {
    this.#openLife?.gatewayEnded(gateway);
  }

  /** What its index has granted counts no more: it has lost what it knew. For hosts whose indexes can. */
  indexEnded(): void {
    this.#openLife?.indexEnded();
  }

  /** Lets go of what is too old. For hosts that pay for memory. */
  trim(): void {
    this.#openLife?.trim();
  }

  /** Lets go of history, the oldest first, until so many bytes are free. For hosts that pay for memory. */
  shed(bytes: number): void {
    this.#openLife?.shed(bytes);
  }

  /** The alarm has come. */
  async alarm(): Promise<void> {
    await this.#alarm.come(async () => {
      const life = this.#life;
      const { hearer } = this.#host;
      await life.alarm();
      hearer?.wake();
      if (hearer?.due !== undefined) this.#alarm.by(hearer.due);
      if (!life.forgettable || hearer?.due !== undefined) return;
      await life.reportEnd();
      // Looked at in the step that forgets: something may have been published while the alarm waited.
      if (!life.forgettable || hearer?.due !== undefined) {
        life.watchEnd();
        return;
      }
      // The next call finds an empty store and begins a new log.
      life.end();
      this.#openLife = undefined;
      this.#alarm.found(undefined);
      const forgotten = this.#host.storage.forget();
      hearer?.forgotten();
      await forgotten;
    });
  }

  /** Delivery is under way of everything that was published in this turn of the event loop. */
  async #flushed(life: ChannelLife): Promise<void> {
    if (this.#flush?.life !== life) {
      const done = nextTurn(this.#host.platform.timers).then(() => {
        if (this.#flush?.life === life) this.#flush = undefined;
        life.flush();
      });
      this.#flush = { life, done };
    }
    await this.#flush.done;
  }

  /** Opened at the first call: an object that was deleted begins a new log. */
  get #life(): ChannelLife {
    if (this.#openLife !== undefined) return this.#openLife;
    const { calls, name, platform } = this.#host;
    const life = new ChannelLife({
      ...this.#host,
      rules: this.#host.rules(),
      store: this.#host.store(),
      clock: platform.clock,
      alarm: this.#alarm,
      terms: LEASE_TERMS,
      lease: (gone) => leaseOf(calls.index(indexOf(name)), name, gone),
      deliver: (gateway, request) => deliverTo(calls.gateway(gateway), request),
    });
    this.#openLife = life;
    const opened = Promise.resolve().then(() => life.opened());
    background(opened, platform.logger, "the beginning of a channel");
    return life;
  }

  /** The answer for an item that the channel refuses. */
  #stated(error: unknown): MessagingError {
    const known = MessagingError.from(error);
    if (known !== error) {
      this.#host.platform.logger.warn("a publish failed", { error: String(error) });
    }
    return known;
  }
}

function entryOf(offset: number, time: number, body: EntryBody | undefined): Entry {
  const places = { offset: BigInt(offset), time: BigInt(time) };
  return {
    $typeName: "messageloop.internal.v1.Entry",
    ...places,
    ...(body === undefined ? {} : { body }),
  };
}
