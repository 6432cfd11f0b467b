/**
 * Gateways, channels, pattern indexes and the directory of one process: the objects of `src/objects/` over stores
 * in memory, with an engine on each gateway, and calls that copy bytes and come a turn later. Nothing is scripted but
 * what becomes of a call.
 */
import { type ChannelRules, DEFAULT_CHANNEL_RULES } from "../../src/channels/rules.ts";
import type { LogFields } from "../../src/engine/ports/platform.ts";
import { nextTurn } from "../../src/engine/ports/timers.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../src/engine/settings/settings.ts";
import { ChannelObject } from "../../src/objects/channel/object.ts";
import { StatsObject } from "../../src/objects/directory/stats.ts";
import { UserObject } from "../../src/objects/directory/user.ts";
import { PatternIndexObject } from "../../src/objects/pattern-index/object.ts";
import type {
  ChannelStub,
  GatewayStub,
  ObjectCalls,
  PatternStub,
  StatsStub,
  UserStub,
} from "../../src/objects/ports/calls.ts";
import type { ObjectPlatform } from "../../src/objects/ports/platform.ts";
import {
  MemoryChannelStore,
  MemoryPatternStore,
  MemoryReportStore,
  MemoryUserStore,
} from "../../src/threads/objects/memory-stores.ts";
import { Gateway } from "./gateway.ts";
import { type Life, NO_ALARM, Place } from "./place.ts";
import { Time } from "./time.ts";

/** Lost before it was carried out, carried out and its answer lost, or never settled. */
export type Fate = "carried" | "lost" | "unanswered" | "hanging";

/** Where the gateways and the counters of the cluster are. */
export const REGIONS: readonly [string, string] = ["east", "west"];

type Answer = Uint8Array | undefined;
type Call = (request: Uint8Array) => unknown;
type Found<T> = T & Pick<typeof NO_ALARM, "found">;

export class Cluster {
  readonly time = new Time();
  readonly warnings: string[] = [];
  /** Calls in the order in which they were carried out, such as "room publish". */
  readonly calls: string[] = [];
  /** What becomes of a call; by default it is carried. */
  fate: (object: string, method: string) => Fate = () => "carried";
  /** The most calls that ever were under way by which one gateway published to a channel, or one channel delivered to a gateway. */
  most = 0;
  readonly platform: ObjectPlatform = {
    clock: this.time,
    timers: this.time,
    logger: {
      warn: (message: string, fields?: LogFields) => {
        this.warnings.push(`${message} ${fields?.["error"] ?? ""}`);
      },
    },
  };
  /** Whether users are found and channels are listed. */
  keepsDirectory: boolean;
  /** Of gateways that are made from now on. */
  settings: Settings = DEFAULT_SETTINGS;
  readonly #rules: ChannelRules;
  readonly #channels = new Map<string, Place<ChannelObject>>();
  readonly #indexes = new Map<string, Place<PatternIndexObject>>();
  readonly #users = new Map<string, Place<Found<UserObject>>>();
  readonly #userDisks = new Map<string, MemoryUserStore>();
  readonly #stats = new Map<string, Place<StatsObject>>();
  readonly #statsDisks = new Map<string, MemoryReportStore>();
  readonly #gateways = new Map<string, Gateway>();
  readonly #disks = new Map<string, MemoryChannelStore>();
  readonly #underWay = new Map<string, number>();
  #epochs = 0;

  constructor(rules: Partial<ChannelRules> = {}, keepsDirectory = false) {
    this.keepsDirectory = keepsDirectory;
    this.#rules = { ...DEFAULT_CHANNEL_RULES, ...rules };
  }

  channel(name: string): Place<ChannelObject> {
    return found(
      this.#channels,
      name,
      () =>
        new Place<ChannelObject>(
          this.platform,
          (life, storage) =>
            new ChannelObject({
              name,
              rules: () => this.#rules,
              store: () => this.disk(name),
              storage,
              calls: this.callsOf(life, name),
              reports: this.keepsDirectory,
              random: { epoch: () => this.#epoch() },
              platform: life.platform,
            }),
          () => this.#disks.delete(name),
        ),
    );
  }

  /** What a channel keeps. */
  disk(channel: string): MemoryChannelStore {
    return found(this.#disks, channel, () => new MemoryChannelStore());
  }

  index(name: string): Place<PatternIndexObject> {
    return found(this.#indexes, name, () => {
      let disk = new MemoryPatternStore();
      return new Place<PatternIndexObject>(
        this.platform,
        (life, storage) =>
          new PatternIndexObject({
            store: () => disk,
            storage,
            calls: this.callsOf(life, name),
            platform: life.platform,
          }),
        () => {
          disk = new MemoryPatternStore();
        },
      );
    });
  }

  user(id: string): Place<Found<UserObject>> {
    return found(
      this.#users,
      id,
      () =>
        new Place<Found<UserObject>>(
          this.platform,
          (life, storage) => {
            const store = () => this.userDisk(id);
            const calls = this.callsOf(life, id);
            const user = new UserObject({ store, storage, calls, platform: life.platform });
            // It asks for its alarms anew, whatever is stored.
            return Object.assign(user, { found: NO_ALARM.found });
          },
          () => this.#userDisks.delete(id),
        ),
    );
  }

  /** What the object of a user keeps. */
  userDisk(id: string): MemoryUserStore {
    return found(this.#userDisks, id, () => new MemoryUserStore());
  }

  stats(region: string): Place<StatsObject> {
    return found(
      this.#stats,
      region,
      () =>
        new Place<StatsObject>(
          this.platform,
          (life, storage) =>
            new StatsObject({
              store: () => this.statsDisk(region),
              storage,
              platform: life.platform,
            }),
          () => this.#statsDisks.delete(region),
        ),
    );
  }

  /** What the counters of a region keep. */
  statsDisk(region: string): MemoryReportStore {
    return found(this.#statsDisks, region, () => new MemoryReportStore());
  }

  gateway(name: string): Gateway {
    return found(this.#gateways, name, () => new Gateway(name, this));
  }

  /** What one life of an object calls others by. */
  callsOf(life: Life, caller: string): ObjectCalls {
    const method = (object: string, name: string, call: Call) => (request: Uint8Array) =>
      life.hear(this.#carry(caller, object, name, call, request));
    const answered = (object: string, name: string, call: Call) =>
      method(object, name, call) as (request: Uint8Array) => Promise<Uint8Array>;
    const done = (object: string, name: string, call: Call) =>
      method(object, name, call) as (request: Uint8Array) => Promise<never>;
    return {
      channel: (name): ChannelStub => {
        const at = (): ChannelObject => this.channel(name).object;
        return {
          register: answered(name, "register", (request) => at().register(request)),
          publish: answered(name, "publish", (request) => at().publish(request)),
          read: answered(name, "read", (request) => at().read(request)),
          history: answered(name, "history", (request) => at().history(request)),
          presence: answered(name, "presence", (request) => at().presence(request)),
          hear: done(name, "hear", (request) => at().hear(request)),
          removeHistory: () =>
            done(name, "removeHistory", () => at().removeHistory())(new Uint8Array()),
          gateways: () => answered(name, "gateways", () => at().gateways())(new Uint8Array()),
        };
      },
      gateway: (name): GatewayStub => ({
        deliver: answered(name, "deliver", (request) => this.gateway(name).broker.deliver(request)),
        call: answered(name, "call", (request) => this.gateway(name).broker.call(request)),
      }),
      index: (name): PatternStub => {
        const at = (): PatternIndexObject => this.index(name).object;
        return {
          subscribe: answered(name, "subscribe", (request) => at().subscribe(request)),
          unsubscribe: done(name, "unsubscribe", (request) => at().unsubscribe(request)),
          lease: answered(name, "lease", (request) => at().lease(request)),
          active: answered(name, "active", (request) => at().active(request)),
        };
      },
      user: (id): UserStub => {
        const at = (): UserObject => this.user(id).object;
        const sessions = answered(id, "sessions", () => at().sessions());
        return {
          update: answered(id, "update", (request) => at().update(request)),
          revoke: done(id, "revoke", (request) => at().revoke(request)),
          sessions: () => sessions(new Uint8Array()),
        };
      },
      stats: (region): StatsStub => {
        const at = (): StatsObject => this.stats(region).object;
        return {
          report: done(region, "report", (request) => at().report(request)),
          list: answered(region, "list", (request) => at().list(request)),
          count: done(region, "count", (request) => at().count(request)),
          figures: answered(region, "figures", (request) => at().figures(request)),
        };
      },
    };
  }

  async #carry(
    caller: string,
    object: string,
    method: string,
    call: Call,
    request: Uint8Array,
  ): Promise<Answer> {
    const way = `${caller} ${object} ${method}`;
    this.#count(way, 1);
    try {
      const fate = this.fate(object, method);
      // Copied at once: who calls may do with its bytes what it likes.
      const bytes = request.slice();
      await nextTurn(this.time);
      if (fate === "hanging") return await new Promise<never>(() => {});
      if (fate === "lost") throw lost();
      this.calls.push(`${object} ${method}`);
      const answer = await call(bytes);
      await nextTurn(this.time);
      if (fate === "unanswered") throw lost();
      return answer instanceof Uint8Array ? answer.slice() : undefined;
    } catch (error) {
      throw error instanceof Error ? Object.assign(error, { remote: true }) : error;
    } finally {
      this.#count(way, -1);
    }
  }

  #epoch(): string {
    this.#epochs += 1;
    return `e${this.#epochs}`;
  }

  #count(way: string, change: number): void {
    const now = (this.#underWay.get(way) ?? 0) + change;
    this.#underWay.set(way, now);
    if (way.endsWith("deliver") || way.endsWith("publish")) this.most = Math.max(this.most, now);
  }
}

function lost(): Error {
  return new Error("the connection was lost");
}

function found<T>(map: Map<string, T>, name: string, make: () => T): T {
  let value = map.get(name);
  if (value === undefined) {
    value = make();
    map.set(name, value);
  }
  return value;
}
