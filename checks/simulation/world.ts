/**
 * Gateways, channels and pattern indexes in regions, as the objects of `src/objects/`, with what lies between them: calls
 * take the time of the network and of both ends, and each is counted.
 */
import { made } from "../../src/channels/maps.ts";
import type { ChannelRules } from "../../src/channels/rules.ts";
import type { Logger } from "../../src/engine/ports/platform.ts";
import { ChannelObject } from "../../src/objects/channel/object.ts";
import { PatternIndexObject } from "../../src/objects/pattern-index/object.ts";
import type {
  ChannelStub,
  GatewayStub,
  ObjectCalls,
  PatternStub,
} from "../../src/objects/ports/calls.ts";
import type { Region } from "../../src/worker/placement.ts";
import { Agenda } from "./agenda.ts";
import { CountedGateway } from "./gateway.ts";
import { Judge } from "./judge.ts";
import { type Life, Machine } from "./machine.ts";
import { oneWay } from "./network.ts";
import { Place, type PlaceHost } from "./place.ts";
import { Relay } from "./relay.ts";
import { CountedChannelStore, CountedPatternStore } from "./stores.ts";
import type { TurnTimes } from "./turn-times.ts";

/** After how long a call to or from a region that is lost fails, in milliseconds. */
const LOST_MS = 5_000;

export interface WorldOptions {
  readonly rules: ChannelRules;
  readonly times: TurnTimes;
  /** Whether each region has a relay for each channel. */
  readonly relays: boolean;
}

/** Counted since the beginning. */
export interface WorldCounts {
  /** By method, such as "channel.publish". */
  readonly calls: Readonly<Record<string, number>>;
  readonly alarms: number;
  /** Alarms that were set are among them. */
  readonly rowsWritten: number;
  /** Of all objects together. */
  readonly awakeMs: number;
  readonly comers: number;
  readonly messages: number;
}

/** What a call goes to. */
interface Target<T> {
  readonly machine: Machine;
  readonly life: Life;
  readonly object: T;
}

export class World {
  readonly agenda = new Agenda();
  readonly judge = new Judge(this.agenda);
  readonly options: WorldOptions;
  /** What was logged, and how often. */
  readonly warnings = new Map<string, number>();
  /** Regions that nothing reaches. */
  readonly lost = new Set<Region>();
  /** Gateways that say that they have taken what they have not. */
  readonly deaf = new Set<string>();
  readonly logger: Logger = {
    warn: (message) => {
      this.warnings.set(message, (this.warnings.get(message) ?? 0) + 1);
    },
  };
  /** Clients that have come, or come back. */
  comers = 0;
  /** Messages that clients have published. */
  messages = 0;
  readonly #machines: Machine[] = [];
  readonly #channels = new Map<string, Place<ChannelObject>>();
  readonly #indexes = new Map<string, Place<PatternIndexObject>>();
  readonly #gateways = new Map<string, CountedGateway>();
  readonly #relays = new Map<string, Relay>();
  readonly #calls = new Map<string, number>();
  #alarms = 0;
  #rowsWritten = 0;
  #epochs = 0;
  #uuids = 0;

  constructor(options: WorldOptions) {
    this.options = options;
  }

  get counts(): WorldCounts {
    return {
      calls: Object.fromEntries(this.#calls),
      alarms: this.#alarms,
      rowsWritten: this.#rowsWritten,
      awakeMs: this.#machines.reduce((sum, { awakeMs }) => sum + awakeMs, 0),
      comers: this.comers,
      messages: this.messages,
    };
  }

  get gateways(): Iterable<CountedGateway> {
    return this.#gateways.values();
  }

  /** Channels that live in a region. */
  channelsIn(region: Region): Iterable<Place<ChannelObject>> {
    return [...this.#channels.values()].filter(({ machine }) => machine.region === region);
  }

  readonly wrote = (): void => {
    this.#rowsWritten += 1;
  };

  uuid(): string {
    this.#uuids += 1;
    return `uuid-${this.#uuids}`;
  }

  /** A gateway, which begins in its region. */
  gateway(name: string, region: Region): CountedGateway {
    return made(this.#gateways, name, () => new CountedGateway(name, this.#machine(region), this));
  }

  /** A channel, which begins near its first caller. */
  channel(name: string, near: Region): Place<ChannelObject> {
    return made(this.#channels, name, () => {
      const disk = new CountedChannelStore(this.wrote);
      return new Place<ChannelObject>(
        this.#machine(near),
        this.placeHost,
        (life, storage) =>
          new ChannelObject({
            name,
            rules: () => this.options.rules,
            store: () => disk,
            storage,
            calls: this.callsOf(life),
            reports: false,
            random: { epoch: () => this.#epoch() },
            platform: life.platform,
          }),
      );
    });
  }

  /** What channels and indexes need of the world. */
  readonly placeHost: PlaceHost = {
    logger: this.logger,
    alarmSet: this.wrote,
    alarmCame: () => {
      this.#alarms += 1;
    },
  };

  #index(name: string, near: Region): Place<PatternIndexObject> {
    return made(this.#indexes, name, () => {
      const disk = new CountedPatternStore(this.wrote);
      return new Place<PatternIndexObject>(
        this.#machine(near),
        this.placeHost,
        (life, storage) =>
          new PatternIndexObject({
            store: () => disk,
            storage,
            calls: this.callsOf(life),
            platform: life.platform,
          }),
      );
    });
  }

  #machine(region: Region): Machine {
    const machine = new Machine(this.agenda, region);
    this.#machines.push(machine);
    return machine;
  }

  /** What one life of an object calls others by. Nobody keeps a directory. */
  callsOf(life: Life): ObjectCalls {
    const near = life.machine.region;
    return {
      channel: (name) => this.#channelStub(life, () => this.channel(name, near)),
      gateway: (name): GatewayStub => {
        const call = this.caller(life, "gateway", () => this.#gateways.get(name) as CountedGateway);
        return {
          deliver: call("deliver", (gateway, request) => gateway.deliver(request)),
          call: notCalled,
        };
      },
      index: (name): PatternStub => {
        const call = this.caller(life, "index", () => this.#index(name, near));
        return {
          lease: call("lease", (index, request) => index.lease(request)),
          subscribe: notCalled,
          unsubscribe: notCalled,
          active: notCalled,
        };
      },
      user: notCalled,
      stats: notCalled,
    };
  }

  /**
   * The same for a gateway. Where there are relays it registers with that of its region, and the relay with the channel.
   */
  callsOfGateway(life: Life): ObjectCalls {
    const calls = this.callsOf(life);
    if (!this.options.relays) return calls;
    return {
      ...calls,
      channel: (name) => {
        const call = this.caller(life, "relay", () => this.relay(name, life.machine.region));
        return {
          ...calls.channel(name),
          register: call("register", (relay, request) => relay.register(request)),
        };
      },
    };
  }

  /** The relay of a channel in a region, which is a part of the region's first gateway. */
  relay(channel: string, region: Region): Relay {
    return made(this.#relays, `${channel} ${region}`, () => {
      const gateway = this.gateway(`${region}-0`, region);
      const relay = new Relay(channel, gateway, this);
      gateway.relays.set(channel, relay);
      return relay;
    });
  }

  #channelStub(life: Life, at: () => Place<ChannelObject>): ChannelStub {
    const call = this.caller(life, "channel", at);
    return {
      register: call("register", (channel, request) => channel.register(request)),
      publish: call("publish", (channel, request) => channel.publish(request)),
      read: call("read", (channel, request) => channel.read(request)),
      history: call("history", (channel, request) => channel.history(request)),
      presence: notCalled,
      hear: notCalled,
      removeHistory: notCalled,
      gateways: notCalled,
    };
  }

  /** How a life calls an object of a class. */
  caller<T>(from: Life, className: string, to: () => Target<T>) {
    return (
      method: string,
      run: (object: T, request: Uint8Array) => Uint8Array | Promise<Uint8Array>,
    ): ((request: Uint8Array) => Promise<Uint8Array>) => {
      const name = `${className}.${method}`;
      return (request) => this.#call(from, name, to, (object) => run(object, request));
    };
  }

  #call<T>(
    from: Life,
    name: string,
    to: () => Target<T>,
    run: (object: T) => Uint8Array | Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const { machine } = from;
    if (from.over) return new Promise(() => {});
    this.#calls.set(name, (this.#calls.get(name) ?? 0) + 1);
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const { step } = this.options.times;
    machine.work(step);
    machine.wait();
    /** The caller hears of it when it has done what it has taken. */
    const answer = (time: number, settle: () => void): void => {
      this.agenda.at(time, () => {
        if (from.over) return;
        machine.take(0, () => {
          if (from.over) return;
          machine.heard();
          ended();
          settle();
        });
      });
    };
    const ended = from.onEnd(() => machine.heard());
    const target = to();
    const way = oneWay(machine.region, target.machine.region);
    const isLost = (): boolean =>
      this.lost.has(machine.region) || this.lost.has(target.machine.region);
    const fail = (): void => answer(this.agenda.time + LOST_MS, () => reject(lost()));
    this.agenda.at(machine.busyUntil + way, () => {
      if (isLost()) {
        fail();
        return;
      }
      target.machine.take(step, () => {
        const { life, object } = to();
        const { machine: at } = target;
        at.wait();
        let open = true;
        const taken = life.onEnd(() => {
          open = false;
          at.heard();
          answer(this.agenda.time + way, () => reject(lost()));
        });
        const leave = (settle: () => void): void => {
          if (!open) return;
          taken();
          at.heard();
          if (isLost()) fail();
          else answer(Math.max(this.agenda.time, at.busyUntil) + way, settle);
        };
        started(() => run(object)).then(
          (value) => leave(() => resolve(value)),
          (error: unknown) => leave(() => reject(Object.assign(error as Error, { remote: true }))),
        );
      });
    });
    return promise;
  }

  #epoch(): string {
    this.#epochs += 1;
    return `e${this.#epochs}`;
  }
}

async function started<T>(run: () => T | Promise<T>): Promise<T> {
  return await run();
}

function lost(): Error {
  return new Error("the connection was lost");
}

function notCalled(): never {
  throw new Error("nothing here calls that");
}
