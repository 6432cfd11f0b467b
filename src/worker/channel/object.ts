/**
 * The Durable Object of one channel: the single writer of its log and the shard that fans out to
 * gateways. What happens is decided in its life; this shell reads what comes in, calls that, and
 * answers. Every method takes and returns messages of `messageloop.internal.v1`.
 */
import { DurableObject } from "cloudflare:workers";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { background } from "../../engine/background.ts";
import { SharedAlarm } from "../../objects/alarm.ts";
import { encodeHistory, encodeReadResponse } from "../../objects/calls/internal-codec.ts";
import { indexOf, LEASE_TERMS } from "../../objects/calls/lease-terms.ts";
import { interestOf, leaseOf } from "../../objects/calls/pattern-calls.ts";
import { ChannelLife } from "../../objects/channel/life.ts";
import { nextTurn } from "../../objects/timers.ts";
import { MessagingError } from "../../protocol/errors.ts";
import {
  DeliverResponseSchema,
  HearRequestSchema,
  HistoryRequestSchema,
  PresenceRequestSchema,
  PresenceResponseSchema,
  PublishRequestSchema,
  PublishResponseSchema,
  ReadRequestSchema,
  RegisterRequestSchema,
  RegisterResponseSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_BATCH_ENTRIES } from "../../protocol/limits.ts";
import { clock, consoleLogger, platform, shortId, timers } from "../platform.ts";
import { settingsOf } from "../settings.ts";
import { checkedSql } from "../sql/checked-sql.ts";
import { SqlChannelStore } from "./store.ts";

export class ChannelDurableObject extends DurableObject<Env> {
  readonly #alarm: SharedAlarm;
  #openLife: ChannelLife | undefined;
  #flush: { readonly life: ChannelLife; readonly done: Promise<void> } | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#alarm = new SharedAlarm(ctx.storage, platform);
    // Which alarm is stored is known before anything asks for another.
    const found = async (): Promise<void> => this.#alarm.found(await ctx.storage.getAlarm());
    background(ctx.blockConcurrencyWhile(found), consoleLogger, "reading the alarm");
  }

  /** What has changed at a gateway. Takes a RegisterRequest, answers a RegisterResponse. */
  register(request: Uint8Array): Uint8Array {
    const { position, generation } = this.#life.register(
      fromBinary(RegisterRequestSchema, request),
    );
    const { epoch, offset } = position;
    const response = create(RegisterResponseSchema, {
      position: { epoch, offset: BigInt(offset) },
      generation: BigInt(generation),
    });
    return toBinary(RegisterResponseSchema, response);
  }

  /**
   * Appends a batch. Takes a PublishRequest, answers a PublishResponse once delivery is under way of what
   * was appended. Each item that was not has its error there.
   */
  async publish(request: Uint8Array): Promise<Uint8Array> {
    const { items } = fromBinary(PublishRequestSchema, request);
    try {
      // Whoever was woken may find another life of the channel.
      for (let wait = this.#life.ready(); wait !== undefined; wait = this.#life.ready()) await wait;
    } catch (refusal) {
      const error = stated(refusal);
      const refused = { results: items.map(() => ({ error })) };
      return toBinary(PublishResponseSchema, create(PublishResponseSchema, refused));
    }
    const life = this.#life;
    const results = items.map((item) => {
      try {
        const { offset, duplicate } = life.publish(item);
        return { offset: BigInt(offset), duplicate };
      } catch (error) {
        return { error: stated(error) };
      }
    });
    // A full batch needs no others. The next turn may be far off: sockets that have something to read put it off.
    if (items.length >= MAX_BATCH_ENTRIES) life.flush();
    else await this.#flushed(life);
    const response = create(PublishResponseSchema, { epoch: life.position.epoch, results });
    return toBinary(PublishResponseSchema, response);
  }

  /** Delivery is under way of everything that was published in this turn of the event loop. */
  async #flushed(life: ChannelLife): Promise<void> {
    if (this.#flush?.life !== life) {
      const done = nextTurn(timers).then(() => {
        if (this.#flush?.life === life) this.#flush = undefined;
        life.flush();
      });
      this.#flush = { life, done };
    }
    await this.#flush.done;
  }

  /** One more gateway hears the channel by a pattern. Takes a HearRequest. */
  hear(request: Uint8Array): void {
    const { gateway } = fromBinary(HearRequestSchema, request);
    // A life that has not begun holds no lease, and will ask the index.
    if (gateway !== undefined) this.#openLife?.addInterest(interestOf(gateway));
  }

  /** Stored entries. Takes a ReadRequest, answers a ReadResponse of at most one batch. */
  read(request: Uint8Array): Uint8Array {
    const { after, until } = fromBinary(ReadRequestSchema, request);
    const life = this.#life;
    return encodeReadResponse(life.position.epoch, life.read(Number(after), Number(until)));
  }

  /** A page of history. Takes a HistoryRequest, answers a HistoryResponse of at most one batch. */
  history(request: Uint8Array): Uint8Array {
    return encodeHistory(this.#life.history(fromBinary(HistoryRequestSchema, request)));
  }

  /** Takes every entry out of history. */
  removeHistory(): void {
    this.#life.removeHistory();
  }

  /** Who is present. Takes a PresenceRequest, answers a PresenceResponse. */
  presence(request: Uint8Array): Uint8Array {
    const life = this.#life;
    const { limit } = fromBinary(PresenceRequestSchema, request);
    const { members, total, generation } = life.presence(limit);
    const response = create(PresenceResponseSchema, {
      members: members.map((member) => ({ ...member, time: BigInt(member.time) })),
      total,
      generation: { epoch: life.position.epoch, number: BigInt(generation) },
    });
    return toBinary(PresenceResponseSchema, response);
  }

  override async alarm(): Promise<void> {
    await this.#alarm.come(async () => {
      const life = this.#life;
      await life.alarm();
      // Looked at in the step that forgets: something may have been published while the alarm waited.
      if (!life.forgettable) return;
      // Whoever calls next finds an empty database and begins a new log.
      life.end();
      this.#openLife = undefined;
      this.#alarm.found(undefined);
      await Promise.all([this.ctx.storage.deleteAlarm(), this.ctx.storage.deleteAll()]);
    });
  }

  /** Opened at the first call, for an object that has deleted itself begins anew. */
  get #life(): ChannelLife {
    const { ctx, env } = this;
    if (this.#openLife !== undefined) return this.#openLife;
    const name = ctx.id.name ?? "";
    const life = new ChannelLife({
      name,
      rules: settingsOf(env).rules.of(name),
      store: new SqlChannelStore(checkedSql(ctx.storage.sql, platform)),
      clock,
      random: { epoch: shortId },
      alarm: this.#alarm,
      terms: LEASE_TERMS,
      lease: (gone) => {
        const index = ctx.exports.PatternDurableObject.getByName(indexOf(name));
        return leaseOf(index, name, gone);
      },
      deliver: async (gateway, request) => {
        const stub = ctx.exports.GatewayDurableObject.getByName(gateway);
        return fromBinary(DeliverResponseSchema, await stub.deliver(request));
      },
      platform,
    });
    this.#openLife = life;
    const opened = Promise.resolve().then(() => life.opened());
    background(opened, consoleLogger, "the beginning of a channel");
    return life;
  }
}

/** What a gateway is told of an item that was not taken. */
function stated(error: unknown) {
  const known = MessagingError.from(error);
  if (known !== error) consoleLogger.warn("a publish failed", { error: String(error) });
  return known.toMessage();
}
