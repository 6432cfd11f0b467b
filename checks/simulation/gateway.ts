/**
 * A gateway of the simulation: the broker of `src/objects/gateway/` with its registrations, cursors and queues, and what
 * sessions read by when they come back. Its sockets are counted.
 */
import { create } from "@bufbuild/protobuf";
import { made } from "../../src/channels/maps.ts";
import type { BrokerHandler, Interest, LogGap, Position } from "../../src/engine/ports/broker.ts";
import { DEFAULT_SETTINGS } from "../../src/engine/settings/settings.ts";
import { budgetOf, type RecoveryResult } from "../../src/engine/subscription/recovery/found.ts";
import { type LogReader, recover } from "../../src/engine/subscription/recovery/recovery.ts";
import { SharedReads } from "../../src/engine/subscription/recovery/shared-reads.ts";
import { Turns } from "../../src/engine/turns.ts";
import { STAYS } from "../../src/objects/calls/gateway-calls.ts";
import { readDelivery } from "../../src/objects/calls/internal-reader.ts";
import { ObjectBroker } from "../../src/objects/gateway/broker.ts";
import { Turn } from "../../src/objects/gateway/turn.ts";
import type { ChannelRegistrationRow } from "../../src/objects/ports/registrations.ts";
import {
  type Entry,
  EntryBodySchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  MemoryPatternRegistrations,
  MemoryRegistrations,
} from "../../src/threads/objects/memory-stores.ts";
import { REGIONS } from "../../src/worker/placement.ts";
import type { Cohort } from "./cohort.ts";
import type { Life, Machine } from "./machine.ts";
import { Place } from "./place.ts";
import type { Relay } from "./relay.ts";
import { CountedRegistrations } from "./stores.ts";
import type { World } from "./world.ts";

/** Bytes of an event. */
const EVENT_BYTES = 200;

export class CountedGateway {
  readonly name: string;
  /** Relays that are a part of it, by channel. */
  readonly relays = new Map<string, Relay>();
  readonly #place: Place<GatewayLife>;

  constructor(name: string, machine: Machine, world: World) {
    this.name = name;
    const rows = new CountedRegistrations<ChannelRegistrationRow>(world.wrote);
    this.#place = new Place<GatewayLife>(
      machine,
      world.placeHost,
      (life) => new GatewayLife(this, life, rows, world),
    );
  }

  get machine(): Machine {
    return this.#place.machine;
  }

  get life(): Life {
    return this.#place.life;
  }

  get object(): GatewayLife {
    return this.#place.object;
  }

  /** It ends as by a deploy: its sockets are cut. Returns their subscribers. */
  restart(): Cohort[] {
    const cohorts = [...this.object.cohorts];
    for (const cohort of cohorts) {
      cohort.state = "away";
      cohort.held = [];
    }
    this.#place.reset();
    return cohorts;
  }
}

class GatewayLife {
  readonly #gateway: CountedGateway;
  readonly #life: Life;
  readonly #world: World;
  readonly #broker: ObjectBroker;
  readonly #reader: LogReader;
  readonly #cohorts = new Map<string, Cohort[]>();

  constructor(
    gateway: CountedGateway,
    life: Life,
    channelRegistrations: CountedRegistrations<ChannelRegistrationRow>,
    world: World,
  ) {
    this.#gateway = gateway;
    this.#life = life;
    this.#world = world;
    const { platform, machine } = life;
    const turn = new Turn(platform.timers);
    this.#broker = new ObjectBroker({
      gateway: gateway.name,
      calls: world.callsOfGateway(life),
      channelRegistrations,
      patternRegistrations: new MemoryPatternRegistrations(),
      userRegistrations: new MemoryRegistrations(),
      keepsDirectory: false,
      region: machine.region,
      regions: REGIONS,
      isGateway: () => false,
      random: { uuid: () => world.uuid() },
      turn,
      platform,
    });
    this.#broker.start(this.#handler, this.#interest);
    this.#reader = {
      broker: this.#broker,
      logger: platform.logger,
      turns: new Turns(platform.clock, (callback) => turn.soon(callback)),
      reads: new SharedReads(),
      over: () => life.over,
    };
    // As a gateway does that wakes.
    this.sweep();
  }

  get cohorts(): Iterable<Cohort> {
    return [...this.#cohorts.values()].flat();
  }

  /** Whether somebody here hears a channel. */
  hears(channel: string): boolean {
    return (this.#cohorts.get(channel)?.length ?? 0) > 0;
  }

  /** Compares its registrations with the subscribers that are here. */
  sweep(): void {
    this.#broker.sweep().catch((error: unknown) => this.#world.logger.warn(String(error)));
  }

  /** Entries of a channel, from it or from a relay. */
  deliver(request: Uint8Array): Uint8Array | Promise<Uint8Array> {
    if (this.#world.deaf.has(this.#gateway.name)) return STAYS;
    const { relays } = this.#gateway;
    const relay = relays.size > 0 ? relays.get(readDelivery(request).channel) : undefined;
    return relay === undefined ? this.take(request) : relay.deliver(request);
  }

  /** Entries for those who are here. */
  take(request: Uint8Array): Uint8Array | Promise<Uint8Array> {
    return this.#broker.deliver(request);
  }

  /** A client here publishes. */
  publish(channel: string): void {
    const { judge, options } = this.#world;
    const number = judge.sends();
    this.#world.messages += 1;
    this.#life.machine.take(options.times.step, () => {
      if (this.#life.over) return;
      const event = new Uint8Array(EVENT_BYTES);
      new DataView(event.buffer).setUint32(0, number);
      const body = create(EntryBodySchema, { event });
      this.#broker.publish(channel, { key: `key-${number}`, body }).then(
        ({ position }) => judge.acknowledges(channel, number, position),
        () => {
          judge.refused += 1;
        },
      );
    });
  }

  /**
   * Subscribers come, or come back. Resolves with whether they are here: with false they have to come again.
   */
  async join(cohort: Cohort): Promise<boolean> {
    const { channel, count } = cohort;
    const { machine } = this.#life;
    this.#world.comers += count;
    await new Promise<void>((resolve) =>
      machine.take(this.#world.options.times.connect * count, resolve),
    );
    if (this.#life.over) return false;
    const here = made(this.#cohorts, channel, () => []);
    here.push(cohort);
    cohort.state = "asking";
    try {
      const { position } = await this.#broker.subscribe(channel);
      const since = cohort.place;
      cohort.place ??= position;
      if (since !== undefined) await this.#recover(cohort, since, position);
      cohort.state = "live";
      const { held } = cohort;
      cohort.held = [];
      for (const item of held) {
        if ("gap" in item) this.#miss(cohort, item.gap);
        else this.#give([cohort], item.epoch, item.entries, true);
      }
      this.#join(here);
      return true;
    } catch {
      const at = here.indexOf(cohort);
      if (at >= 0) here.splice(at, 1);
      cohort.state = "away";
      cohort.held = [];
      return false;
    }
  }

  /** Each of them asks for what it has missed. */
  async #recover(cohort: Cohort, since: Position, until: Position): Promise<void> {
    cohort.state = "recovering";
    const { channel, count } = cohort;
    const results = await Promise.all(
      Array.from({ length: count }, () =>
        recover(
          this.#reader,
          channel,
          { since, rewind: 0 },
          until,
          budgetOf(DEFAULT_SETTINGS),
          true,
        ),
      ),
    );
    const [first, ...others] = results.map((result) => ({ result, key: verdict(result) }));
    // Those who get something else than the first come again, and have the same place until then.
    const alike = 1 + others.filter(({ key }) => key === first?.key).length;
    if (first === undefined || alike < count) throw new Error("they are not alike");
    const { entries, gap } = first.result;
    if (gap !== undefined) this.#miss(cohort, gap);
    this.#give([cohort], until.epoch, entries, true);
  }

  readonly #handler: BrokerHandler = {
    publications: (channel, epoch, entries) => {
      const here = this.#cohorts.get(channel) ?? [];
      for (const { held, state } of here) if (state !== "live") held.push({ epoch, entries });
      const live = here.filter(({ state }) => state === "live");
      this.#give(live, epoch, entries, false);
    },
    gap: (channel, gap) => {
      for (const cohort of this.#cohorts.get(channel) ?? []) {
        if (cohort.state === "live") this.#miss(cohort, gap);
        else cohort.held.push({ gap });
      }
    },
    patternGap: unexpected,
    transients: unexpected,
    presence: unexpected,
    presenceLost: unexpected,
  };

  readonly #interest: Interest = {
    hasDirectSubscriber: (channel) => this.hears(channel),
    hasAnySubscriber: (channel) => this.hears(channel),
    hasActiveSubscriber: (channel) =>
      this.#cohorts.get(channel)?.some(({ state }) => state !== "asking") === true,
    hasPresenceFollower: () => false,
    members: () => [],
    hasPattern: () => false,
    hasPatternPresenceFollower: () => false,
    patterns: () => [],
  };

  /** Writes what is new to each of them to their sockets. */
  #give(
    cohorts: readonly Cohort[],
    epoch: string,
    entries: readonly Entry[],
    replayed: boolean,
  ): void {
    const { judge, options } = this.#world;
    const { machine } = this.#life;
    const { socket, further } = options.times;
    for (const cohort of cohorts) {
      const { place } = cohort;
      const known = place?.epoch === epoch ? place.offset : 0;
      const fresh = entries.filter(({ offset }) => Number(offset) > known);
      if (fresh.length === 0) continue;
      const begins = Math.max(machine.busyUntil, machine.agenda.time);
      machine.work(cohort.count * (socket + further * (fresh.length - 1)));
      for (const { offset, body } of fresh) {
        const at = { epoch, offset: Number(offset) };
        const written = replayed ? undefined : ([begins, machine.busyUntil] as const);
        judge.takes(cohort, at, numberOf(body?.event), written);
        cohort.place = at;
      }
    }
    this.#join(this.#cohorts.get(cohorts[0]?.channel ?? "") ?? []);
  }

  #miss(cohort: Cohort, { reason, until }: LogGap): void {
    const { place } = cohort;
    if (place?.epoch === until.epoch && place.offset >= until.offset) return;
    this.#world.judge.misses(cohort, reason, until);
    cohort.place = until;
  }

  /** Those who have the same are one cohort. */
  #join(here: Cohort[]): void {
    if (here.length < 2) return;
    const by = new Map<string, Cohort>();
    const others: Cohort[] = [];
    for (const cohort of here) {
      if (cohort.state !== "live") {
        others.push(cohort);
        continue;
      }
      const same = made(by, `${cohort.place?.epoch} ${cohort.place?.offset}`, () => cohort);
      if (same !== cohort) same.count += cohort.count;
    }
    here.splice(0, here.length, ...by.values(), ...others);
  }
}

function verdict({ entries, gap }: RecoveryResult): string {
  return `${entries[0]?.offset} ${entries.length} ${gap?.reason} ${gap?.until.offset}`;
}

function numberOf(event: Uint8Array | undefined): number {
  if (event === undefined) throw new Error("an entry has no event");
  return new DataView(event.buffer, event.byteOffset, event.byteLength).getUint32(0);
}

function unexpected(): never {
  throw new Error("nothing here has presence, patterns or messages outside of logs");
}
