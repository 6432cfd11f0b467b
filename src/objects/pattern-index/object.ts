/**
 * The object of a pattern index: one of a fixed number, each for the channels whose first word hashes to it.
 * What happens is decided in its life; here requests are read, and answers written.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { nextTurn } from "../../engine/ports/timers.ts";
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
import { SharedAlarm } from "../alarm.ts";
import { encode } from "../calls/encode.ts";
import { LEASE_TERMS } from "../calls/lease-terms.ts";
import { interestMessage, interestOf } from "../calls/pattern-calls.ts";
import type { Called, ObjectCalls, PatternStub } from "../ports/calls.ts";
import type { PatternStore } from "../ports/pattern-store.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import type { ObjectStorage } from "../ports/storage.ts";
import { PatternIndex } from "./life.ts";

/** What a pattern index needs from its host. */
export interface PatternIndexHost {
  /** What the index keeps, opened for a life that begins. */
  store(): PatternStore;
  readonly storage: ObjectStorage;
  readonly calls: Pick<ObjectCalls, "channel">;
  readonly platform: ObjectPlatform;
}

export class PatternIndexObject implements Called<PatternStub> {
  readonly #host: PatternIndexHost;
  readonly #alarm: SharedAlarm;
  #openIndex: PatternIndex | undefined;
  #turn: Promise<void> | undefined;

  constructor(host: PatternIndexHost) {
    this.#host = host;
    this.#alarm = new SharedAlarm(host.storage, host.platform);
  }

  /** Sets the time of the stored alarm. Comes before the first call: calls ask for alarms. */
  found(at: number | null): void {
    this.#alarm.found(at);
  }

  async subscribe(request: Uint8Array): Promise<Uint8Array> {
    const { gateway, version, pattern, presence } = fromBinary(
      PatternSubscribeRequestSchema,
      request,
    );
    const row = { gateway, version: Number(version), pattern, presence };
    const time = BigInt(await this.#index.subscribe(row));
    return encode(PatternSubscribeResponseSchema, { time });
  }

  unsubscribe(request: Uint8Array): void {
    const { gateway, version, pattern } = fromBinary(PatternUnsubscribeRequestSchema, request);
    this.#index.unsubscribe(gateway, Number(version), pattern);
  }

  async lease(request: Uint8Array): Promise<Uint8Array> {
    // Leases of one turn are written together: where hundreds of channels begin, each write is a wait.
    this.#turn ??= nextTurn(this.#host.platform.timers).finally(() => {
      this.#turn = undefined;
    });
    await this.#turn;
    const { channel, gone } = fromBinary(LeaseRequestSchema, request);
    const interests = this.#index.lease(channel, gone.map(interestOf));
    return encode(LeaseResponseSchema, { gateways: interests.map(interestMessage) });
  }

  active(request: Uint8Array): Uint8Array {
    const { pattern, since, limit } = fromBinary(ActiveRequestSchema, request);
    const { channels, gap } = this.#index.active(pattern, Number(since), limit);
    return encode(ActiveResponseSchema, { channels: [...channels], gap: gap ?? "" });
  }

  /** A gateway is no more, and neither are its sessions. For hosts that know it. */
  gatewayEnded(gateway: string): void {
    this.#openIndex?.gatewayEnded(gateway);
  }

  /** The alarm has come. */
  async alarm(): Promise<void> {
    await this.#alarm.come(async () => {
      if (!this.#index.alarm()) return;
      // The next caller finds an empty store.
      this.#openIndex = undefined;
      this.#alarm.found(undefined);
      await this.#host.storage.forget();
    });
  }

  /** Opened at the first call: an index that was deleted begins empty. */
  get #index(): PatternIndex {
    const { calls, platform } = this.#host;
    this.#openIndex ??= new PatternIndex({
      store: this.#host.store(),
      clock: platform.clock,
      alarm: this.#alarm,
      terms: LEASE_TERMS,
      platform,
      tellInterest: async (channel, interest) => {
        const gateway = interestMessage(interest);
        await calls.channel(channel).hear(encode(HearRequestSchema, { gateway }));
      },
    });
    return this.#openIndex;
  }
}
