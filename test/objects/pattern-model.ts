/**
 * Channels, an index and gateways in one isolate and in a time of their own, with calls that take their
 * time, fail or come twice, and objects that are reset. Every message and every subscribe is written down, so that what reached a
 * gateway can be held against what had to.
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { LogRow } from "../../src/channels/log-store.ts";
import { matches } from "../../src/channels/patterns.ts";
import { background } from "../../src/engine/background.ts";
import { SharedAlarm } from "../../src/objects/alarm.ts";
import type { PatternInterest } from "../../src/objects/calls/pattern-interest.ts";
import { ChannelFanOut } from "../../src/objects/channel/fan-out.ts";
import { ChannelLease } from "../../src/objects/channel/lease.ts";
import { PatternIndex } from "../../src/objects/pattern-index/life.ts";
import { DeliverRequestSchema } from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MemoryPatternStore } from "../../src/threads/objects/memory-stores.ts";
import { delay, platform } from "../support/platform.ts";
import type { SeededRandom } from "../support/random.ts";

const SILENT = { warn: () => {} };

export interface ModelOptions {
  readonly leaseMs: number;
  readonly marginMs: number;
  /** How likely a call fails, before it arrives or before its answer does. */
  readonly failing: number;
  /** The longest time that a call takes, in milliseconds. */
  readonly slow: number;
}

export class PatternModel {
  readonly options: ModelOptions;
  readonly random: SeededRandom;
  readonly channels = new Map<string, ModelChannel>();
  readonly gateways = new Map<string, ModelGateway>();
  /** Channels that answer nobody but publishers. */
  readonly deaf = new Set<string>();
  index: PatternIndex;
  /** Messages that were missed, and calls that were made. */
  readonly missed: string[] = [];
  leases = 0;
  readonly #store = new MemoryPatternStore();

  constructor(random: SeededRandom, options: ModelOptions) {
    this.random = random;
    this.options = options;
    this.index = this.#open();
  }

  /** The index is reset: what was asked of it before is not answered. */
  resetIndex(): void {
    this.index = this.#open();
  }

  channel(name: string): ModelChannel {
    let channel = this.channels.get(name);
    if (channel === undefined) {
      channel = new ModelChannel(name, this);
      this.channels.set(name, channel);
    }
    return channel;
  }

  /** The channel is reset, or evicted. Its log stays. */
  resetChannel(name: string): void {
    const head = this.channels.get(name)?.head ?? 0;
    this.channels.set(name, new ModelChannel(name, this, head));
  }

  gateway(name: string): ModelGateway {
    let gateway = this.gateways.get(name);
    if (gateway === undefined) {
      gateway = new ModelGateway(name, this);
      this.gateways.set(name, gateway);
    }
    return gateway;
  }

  /** A call to the index, made again until it is answered. The first tries may come late, all the same. */
  async ask<T>(call: (index: PatternIndex) => T | Promise<T>): Promise<T> {
    for (;;) {
      const outcome = await this.#tried(call);
      if (outcome !== undefined) return outcome.value;
      await delay(this.random.int(5));
    }
  }

  async #tried<T>(
    call: (index: PatternIndex) => T | Promise<T>,
  ): Promise<{ value: T } | undefined> {
    await this.lag();
    if (this.random.chance(this.options.failing)) {
      // It arrives when nobody waits for it any more.
      const late = delay(this.random.int(30)).then(async () => await call(this.index));
      background(late, SILENT, "a call that nobody waits for");
      return undefined;
    }
    const asked = this.index;
    const value = await call(asked);
    await this.lag();
    return asked === this.index && !this.random.chance(this.options.failing)
      ? { value }
      : undefined;
  }

  async lag(): Promise<void> {
    await delay(this.random.int(this.options.slow + 1));
  }

  #open(): PatternIndex {
    const { leaseMs, marginMs, failing } = this.options;
    return new PatternIndex({
      platform,
      store: this.#store,
      clock: { now: () => Date.now() },
      alarm: new SharedAlarm({ setAlarm: () => {} }, platform),
      terms: { leaseMs, marginMs },
      tellInterest: async (channel, interest) => {
        await this.lag();
        if (this.deaf.has(channel)) await new Promise(() => {});
        if (this.random.chance(failing)) throw new Error("fault: not told");
        const told = this.channels.get(channel);
        told?.addInterest(interest);
        await this.lag();
        if (this.random.chance(failing)) throw new Error("fault: not confirmed");
        if (told !== this.channels.get(channel)) throw new Error("fault: reset");
      },
    });
  }
}

/** A channel as its object is made of it: a lease and a fan-out, over a log that is a number. */
export class ModelChannel {
  head: number;
  readonly #lease: ChannelLease;
  readonly #fanOut: ChannelFanOut;

  constructor(name: string, model: PatternModel, head = 0) {
    this.head = head;
    this.#fanOut = new ChannelFanOut(
      {
        channel: name,
        epoch: "e",
        transient: false,
        head: () => this.head,
        undelivered: () => 0,
        read: () => [],
        deliver: async (gateway, request) => {
          await model.lag();
          const answer = model.gateway(gateway).deliver(request);
          await model.lag();
          return answer;
        },
        saveGateway: () => {},
        dropGateway: () => {},
        left: () => {},
        now: () => Date.now(),
        alarmBy: () => {},
        platform,
      },
      [],
    );
    this.#lease = new ChannelLease({
      terms: model.options,
      now: () => Date.now(),
      ask: async () => {
        model.leases += 1;
        const gone = this.#fanOut.takeGone();
        return await model.ask((index) => index.lease(name, gone));
      },
      granted: (interests, round) => this.#fanOut.setInterests(interests, round),
      platform,
    });
  }

  addInterest(interest: PatternInterest): void {
    this.#fanOut.addInterest(interest, this.#lease.round);
  }

  async publish(): Promise<number> {
    for (let wait = this.#lease.take(); wait !== undefined; wait = this.#lease.take()) await wait;
    this.head += 1;
    const row: LogRow = { offset: this.head, key: "", time: 0, body: new Uint8Array() };
    this.#fanOut.append(row);
    this.#fanOut.flush();
    return this.head;
  }
}

/** A gateway: what it wants by patterns, and what it was given, each message as `channel:offset`. */
export class ModelGateway {
  readonly name: string;
  readonly given = new Set<string>();
  /** Patterns whose registration has been answered. */
  readonly granted = new Set<string>();
  /** How often each was left. */
  readonly left = new Map<string, number>();
  readonly #model: PatternModel;
  readonly #wanted = new Set<string>();
  #version = 0;

  constructor(name: string, model: PatternModel) {
    this.name = name;
    this.#model = model;
  }

  async subscribe(pattern: string): Promise<void> {
    this.#wanted.add(pattern);
    this.#version += 1;
    const row = { gateway: this.name, pattern, version: this.#version, presence: false };
    await this.#model.ask((index) => index.subscribe(row));
    if (this.#wanted.has(pattern)) this.granted.add(pattern);
  }

  /** The registration may be a later one by the time that the index hears of it. */
  async unsubscribe(pattern: string): Promise<void> {
    const version = this.#version;
    this.#wanted.delete(pattern);
    this.granted.delete(pattern);
    this.left.set(pattern, (this.left.get(pattern) ?? 0) + 1);
    await this.#model.ask((index) => index.unsubscribe(this.name, version, pattern));
  }

  hears(channel: string): boolean {
    return [...this.#wanted].some((pattern) => matches(pattern, channel));
  }

  /** Patterns that must bring the channel by now, each with how often it was left before. */
  owed(channel: string): [string, number][] {
    return [...this.granted]
      .filter((pattern) => matches(pattern, channel))
      .map((pattern) => [pattern, this.left.get(pattern) ?? 0]);
  }

  deliver(bytes: Uint8Array): { readonly gone: boolean } {
    const { channel, entries } = fromBinary(DeliverRequestSchema, bytes);
    if (!this.hears(channel)) return { gone: true };
    for (const { offset } of entries) this.given.add(`${channel}:${offset}`);
    return { gone: false };
  }
}
