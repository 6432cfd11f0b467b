/** A channel's life over a database of its own, with gateways, a clock and an alarm that tests move. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { vi } from "vitest";
import { type ChannelRules, DEFAULT_CHANNEL_RULES } from "../../src/channels/rules.ts";
import type { SubscribeResult } from "../../src/engine/ports/broker.ts";
import { SharedAlarm } from "../../src/objects/alarm.ts";
import { LEASE_TERMS } from "../../src/objects/calls/lease-terms.ts";
import type { PatternInterest } from "../../src/objects/calls/pattern-interest.ts";
import { ChannelLife } from "../../src/objects/channel/life.ts";
import {
  type DeliverRequest,
  DeliverRequestSchema,
  EntryBodySchema,
  HistoryRequestSchema,
  PublishItemSchema,
  RegisterRequestSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { SqlChannelStore } from "../../src/worker/channel/store.ts";
import { ManualClock } from "../conformance/log-store-suite.ts";
import { nextTurn, platform } from "../support/platform.ts";
import { type CountingSql, counted, withSql } from "./sql.ts";

const SILENT = { warn: () => {} };

export class LifeScene {
  readonly clock = new ManualClock();
  readonly sql: CountingSql;
  readonly rules: ChannelRules;
  life: ChannelLife;
  /** When the alarm comes, and how often it was stored. */
  alarmAt: number | undefined;
  alarms = 0;
  /** What each gateway was given, in order. */
  readonly delivered: (DeliverRequest & { readonly gateway: string })[] = [];
  /** Questions to the index, each with who was said to be gone, and what it answers. */
  readonly leases: (readonly PatternInterest[])[] = [];
  index: () => Promise<readonly PatternInterest[]> = async () => [];
  /** What a gateway answers; by default it takes everything. */
  answer: (gateway: string) => Promise<{ readonly gone: boolean }> = async () => ({ gone: false });
  #sequence = 0n;
  #keys = 0;
  #lives = 0;
  #alarm = this.#newAlarm();

  constructor(sql: CountingSql, rules: Partial<ChannelRules>) {
    this.sql = sql;
    this.rules = { ...DEFAULT_CHANNEL_RULES, ...rules };
    this.life = this.#open();
  }

  /** The object is evicted and called again. */
  reopen(): void {
    this.life = this.#open();
  }

  register(gateway: string, init: MessageInitShape<typeof RegisterRequestSchema>): SubscribeResult {
    this.#sequence += 1n;
    return this.life.register(
      create(RegisterRequestSchema, { gateway, sequence: this.#sequence, ...init }),
    );
  }

  /** Publishes texts, each under a key of its own, and has them delivered; whoever hears is known. */
  publish(...texts: readonly string[]): number[] {
    const offsets = texts.map((text) => {
      this.#keys += 1;
      return this.append(`k${this.#keys}`, text);
    });
    this.life.flush();
    return offsets;
  }

  append(key: string, text = ""): number {
    const event = new TextEncoder().encode(text);
    const body = toBinary(EntryBodySchema, create(EntryBodySchema, { event }));
    return this.life.publish(create(PublishItemSchema, { key, body })).offset;
  }

  history(init: MessageInitShape<typeof HistoryRequestSchema>) {
    return this.life.history(create(HistoryRequestSchema, init));
  }

  /** Lets the time of the alarm come. Returns whether the object may forget everything. */
  async alarm(): Promise<boolean> {
    if (this.alarmAt === undefined) throw new Error("there is no alarm");
    this.clock.time = Math.max(this.clock.time, this.alarmAt);
    this.alarmAt = undefined;
    this.#alarm.found(undefined);
    await this.life.alarm();
    return this.life.forgettable;
  }

  /** The index has been asked so often. */
  async asked(count: number): Promise<void> {
    await vi.waitUntil(() => this.leases.length >= count, { timeout: 10_000 });
    await settled();
  }

  /** What a gateway was given since the last question: `3` for an entry, `+ali` for a change. */
  async told(gateway: string): Promise<string[]> {
    await settled();
    const told = this.delivered
      .filter((one) => one.gateway === gateway)
      .flatMap(({ entries, presence, presenceLost }) => [
        ...entries.map(({ offset }) => `${offset}`),
        ...presence.map(
          ({ member, joined }) =>
            `${joined ? "+" : "-"}${member?.userId || member?.sessionId || "nobody"}`,
        ),
        ...(presenceLost ? ["lost"] : []),
      ]);
    const others = this.delivered.filter((one) => one.gateway !== gateway);
    this.delivered.splice(0, this.delivered.length, ...others);
    return told;
  }

  #newAlarm(): SharedAlarm {
    const storage = {
      setAlarm: (at: number) => {
        this.alarmAt = at;
        this.alarms += 1;
      },
    };
    return new SharedAlarm(storage, { clock: this.clock, logger: SILENT });
  }

  #open(): ChannelLife {
    this.#lives += 1;
    const epoch = `epoch${this.#lives}`;
    this.#alarm = this.#newAlarm();
    this.#alarm.found(this.alarmAt);
    const life = new ChannelLife({
      name: "room",
      rules: this.rules,
      store: new SqlChannelStore(this.sql),
      clock: this.clock,
      random: { epoch: () => epoch },
      alarm: this.#alarm,
      terms: LEASE_TERMS,
      lease: async (gone) => {
        this.leases.push(gone);
        return await this.index();
      },
      deliver: async (gateway, request) => {
        this.delivered.push({ ...fromBinary(DeliverRequestSchema, request), gateway });
        return await this.answer(gateway);
      },
      reports: false,
      calls: {
        stats: () => {
          throw new Error("a channel that does not report calls no counters");
        },
      },
      platform,
    });
    life.opened();
    return life;
  }
}

/** A member called like its session, or a session of a named one. */
export function one(sessionId: string, userId = "") {
  return { sessionId, userId, clientId: "" };
}

/** Calls that were answered at once have been dealt with. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await nextTurn();
}

export async function scene(
  run: (scene: LifeScene) => Promise<void>,
  rules: Partial<ChannelRules> = {},
): Promise<void> {
  await withSql((sql) => run(new LifeScene(counted(sql), rules)));
}
