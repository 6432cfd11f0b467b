/**
 * The Durable Object of a pattern index: one of a fixed number, each for the channels whose first word
 * hashes to it. What happens is decided in its index; this shell reads what comes in, calls that, and
 * answers. Every method takes and returns messages of `messageloop.internal.v1`.
 */
import { DurableObject } from "cloudflare:workers";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { background } from "../../engine/background.ts";
import { SharedAlarm } from "../../objects/alarm.ts";
import { LEASE_TERMS } from "../../objects/calls/lease-terms.ts";
import { interestMessage, interestOf } from "../../objects/calls/pattern-calls.ts";
import { PatternIndex } from "../../objects/pattern-index/life.ts";
import { nextTurn } from "../../objects/timers.ts";
import {
  ActiveRequestSchema,
  ActiveResponseSchema,
  HearRequestSchema,
  LeaseRequestSchema,
  LeaseResponseSchema,
  PatternSubscribeRequestSchema,
  PatternSubscribeResponseSchema,
  PatternUnsubscribeRequestSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { clock, consoleLogger, platform, timers } from "../platform.ts";
import { checkedSql } from "../sql/checked-sql.ts";
import { SqlPatternStore } from "./store.ts";

export class PatternDurableObject extends DurableObject<Env> {
  readonly #alarm: SharedAlarm;
  #openIndex: PatternIndex | undefined;
  #turn: Promise<void> | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#alarm = new SharedAlarm(ctx.storage, platform);
    // Which alarm is stored is known before anything asks for another.
    const found = async (): Promise<void> => this.#alarm.found(await ctx.storage.getAlarm());
    background(ctx.blockConcurrencyWhile(found), consoleLogger, "reading the alarm");
  }

  /**
   * Registers a pattern of a gateway. Takes a PatternSubscribeRequest, answers a
   * PatternSubscribeResponse when every channel that it is for has confirmed or its lease has run out.
   */
  async subscribe(request: Uint8Array): Promise<Uint8Array> {
    const { gateway, version, pattern, presence } = fromBinary(
      PatternSubscribeRequestSchema,
      request,
    );
    const row = { gateway, version: Number(version), pattern, presence };
    const time = BigInt(await this.#index.subscribe(row));
    const response = create(PatternSubscribeResponseSchema, { time });
    return toBinary(PatternSubscribeResponseSchema, response);
  }

  /** Takes a PatternUnsubscribeRequest. */
  unsubscribe(request: Uint8Array): void {
    const { gateway, version, pattern } = fromBinary(PatternUnsubscribeRequestSchema, request);
    this.#index.unsubscribe(gateway, Number(version), pattern);
  }

  /** Grants a channel a lease. Takes a LeaseRequest, answers a LeaseResponse. */
  async lease(request: Uint8Array): Promise<Uint8Array> {
    // Leases of one turn are written together: where hundreds of channels begin, each write is a wait.
    this.#turn ??= nextTurn(timers).finally(() => {
      this.#turn = undefined;
    });
    await this.#turn;
    const { channel, gone } = fromBinary(LeaseRequestSchema, request);
    const interests = this.#index.lease(channel, gone.map(interestOf));
    const response = create(LeaseResponseSchema, { gateways: interests.map(interestMessage) });
    return toBinary(LeaseResponseSchema, response);
  }

  /** Channels in which something may have happened. Takes an ActiveRequest, answers an ActiveResponse. */
  active(request: Uint8Array): Uint8Array {
    const { pattern, since, limit } = fromBinary(ActiveRequestSchema, request);
    const { channels, gap } = this.#index.active(pattern, Number(since), limit);
    const response = create(ActiveResponseSchema, { channels: [...channels], gap: gap ?? "" });
    return toBinary(ActiveResponseSchema, response);
  }

  override async alarm(): Promise<void> {
    await this.#alarm.come(async () => {
      if (!this.#index.alarm()) return;
      // Whoever calls next finds an empty database.
      this.#openIndex = undefined;
      this.#alarm.found(undefined);
      await Promise.all([this.ctx.storage.deleteAlarm(), this.ctx.storage.deleteAll()]);
    });
  }

  /** Opened at the first call, for an object that has deleted itself begins anew. */
  get #index(): PatternIndex {
    const { storage, exports } = this.ctx;
    this.#openIndex ??= new PatternIndex({
      store: new SqlPatternStore(checkedSql(storage.sql, platform)),
      clock,
      alarm: this.#alarm,
      terms: LEASE_TERMS,
      platform,
      tellInterest: async (channel, interest) => {
        const request = create(HearRequestSchema, { gateway: interestMessage(interest) });
        const stub = exports.ChannelDurableObject.getByName(channel);
        await stub.hear(toBinary(HearRequestSchema, request));
      },
    });
    return this.#openIndex;
  }
}
