/**
 * Applications with clients of the SDK live a random life on a host, through a proxy that fails as networks do, while things
 * happen to the host. After every few hundred steps faults are healed, all that is owed has its time to arrive, and the
 * history checker judges what the applications saw.
 */
import { isPattern } from "../../src/channels/names.ts";
import { protobuf } from "../../src/client/protobuf/index.ts";
import type { TransportFactory } from "../../src/index.ts";
import { Auditor } from "../../test/history/auditor.ts";
import { HistoryChecker } from "../../test/history/checker.ts";
import type { EventSpec, Fact, Place } from "../../test/history/facts.ts";
import { Happenings } from "../../test/history/happenings.ts";
import type { LifeReport } from "../../test/history/life.ts";
import { sleep } from "../../test/support/eventually.ts";
import { FaultProxy } from "../../test/support/fault-proxy.ts";
import { ownTime } from "../../test/support/own-time.ts";
import { type SeededRandom, seededRandom } from "../../test/support/random.ts";
import { Application, type Court, isExcused } from "./application.ts";
import { FAULTS, Faults } from "./faults.ts";
import type { SdkHost } from "./hosts.ts";
import { pacedClock } from "./paced-clock.ts";
import { type Way, WEB_SOCKETS } from "./ways.ts";

export interface SdkLifeOptions {
  readonly host: SdkHost;
  readonly steps: number;
  readonly seed: number;
  /** Steps between two judgements. */
  readonly round: number;
  /** Loses a frame now and then, which has to be found. */
  readonly plant?: boolean;
  /** The ways to the server that clients have, of which one can do more than read. Default WebSockets, of Node and of `ws`. */
  readonly ways?: readonly Way[];
  /** Whether clients subscribe to patterns as well. Default not. */
  readonly patterns?: boolean;
  /** Within this time everything owed must arrive, and every promise settle, in milliseconds. Default a minute. */
  readonly owedMs?: number;
}

export interface SdkLifeReport extends LifeReport {
  /** How often each fault has struck. */
  readonly faults: Readonly<Record<string, number>>;
  /** Connections that clients have tried to make. */
  readonly tries: number;
  /** Promises that have settled, by how. */
  readonly promises: Readonly<Record<string, number>>;
  /** Codes that connections were closed with. */
  readonly codes: readonly number[];
}

/** Of which one is lost where that is planted. */
const FRAMES = 50;

const USERS = ["ann", "ann", "bob", "cid", "dan", "dan"];
/** A user that publishes and asks in any case, whatever the others can do. */
const WRITER = "ann";
const PATTERNS = ["life.*", "life.**"];
/** How many times faster the clients' time passes than the machine's: a life does not wait 36 s for a pong. */
const PACE = 10;
const OWED_MS = 60_000;
const LOOK_MS = 10;
const SCALE = 10_000;
/** More than fits into what is held back for one subscriber. */
const LARGE_BYTES = 30_000;

/** What every life of 10,000 steps has seen, on whatever host. */
export const SEEN_BY_ALL: readonly string[] = [
  "application subscribed",
  "application message",
  "application replay",
  "application gap head_trimmed",
  "application gap limit",
  "application ended",
  "published",
  "published again",
  "unknown",
  "unsent",
  "page",
];

/** @throws Error with seed and step, and what led to the first problems */
export async function liveBySdk(options: SdkLifeOptions): Promise<SdkLifeReport> {
  const { host } = options;
  const places = new Map<string, number>();
  const proxy = await FaultProxy.to((who) => host.port(places.get(who) ?? 0));
  const life = new SdkLife(options, proxy, places);
  const unhandled = (error: unknown): void => life.complain(`nobody has seen: ${error}`);
  process.on("unhandledRejection", unhandled);
  try {
    return await life.run();
  } finally {
    process.off("unhandledRejection", unhandled);
    life.end();
    await proxy.close();
  }
}

/** Transports whose frames do not all come. */
function lossy(way: Way): Way {
  let frames = 0;
  return {
    ...way,
    transport(url) {
      const { name, open } = way.transport(url);
      return {
        name,
        open: (address, subprotocol, events) =>
          open(address, subprotocol, {
            ...events,
            frame(frame) {
              frames += 1;
              if (frames % FRAMES !== 0) events.frame(frame);
            },
          }),
      };
    },
  };
}

/** A transport whose tries are told. */
function told({ name, open }: TransportFactory, tried: (at: number) => void): TransportFactory {
  return {
    name,
    open(...terms) {
      tried(performance.now());
      return open(...terms);
    },
  };
}

class SdkLife implements Court {
  readonly #options: SdkLifeOptions;
  readonly #host: SdkHost;
  readonly #proxy: FaultProxy;
  /** Which of the host's places each client is led to. */
  readonly #places: Map<string, number>;
  readonly #checker: HistoryChecker;
  readonly #happenings: Happenings;
  readonly #faults: Faults;
  readonly #ways: readonly Way[];
  readonly #channels: readonly string[];
  /** The same, and patterns where subscribers of them take part. */
  readonly #names: readonly string[];
  readonly #byName = new Map<string, Application>();
  readonly #complaints: string[] = [];
  /** What has not settled, and since when. */
  readonly #pending = new Map<Promise<unknown>, string>();
  readonly #promises: Record<string, number> = {};
  readonly #choices: readonly (readonly [number, (random: SeededRandom) => void | Promise<void>])[];
  #cast: Application[] = [];
  #events = 0;
  #clients = 0;
  #step = 0;

  constructor(options: SdkLifeOptions, proxy: FaultProxy, places: Map<string, number>) {
    const { host } = options;
    const { life } = host;
    this.#options = options;
    this.#host = host;
    this.#proxy = proxy;
    this.#places = places;
    this.#channels = [...life.channels.keys()];
    const { ways = WEB_SOCKETS, plant = false, patterns = false } = options;
    this.#names = [...this.#channels, ...(patterns ? PATTERNS : [])];
    this.#ways = plant ? ways.map(lossy) : ways;
    this.#checker = new HistoryChecker({
      channels: life.channels,
      grades: new Map(),
      recoveryMessages: life.recoveryMessages,
      // The SDK publishes again what had no answer.
      repeatsInside: true,
    });
    this.#happenings = new Happenings(
      life,
      (fact) => this.note(fact),
      (problem) => this.complain(problem),
    );
    this.#faults = new Faults(proxy, PACE);
    proxy.attempted = ({ who, at, line }) => {
      // One try of a client that has event streams is several of them.
      if (line === "websocket" || line === "connect-stream") this.#byName.get(who)?.tried(at);
    };
    this.#choices = [
      [4_800, (random) => this.#publish(random, 1 + random.int(2))],
      [60, (random) => this.#publish(random, 15 + random.int(40))],
      [40, (random) => this.#publish(random, 3, LARGE_BYTES)],
      [500, (random) => this.#subscribe(random)],
      [350, (random) => this.#one(random).unsubscribe(random)],
      [700, (random) => this.#writer(random).ask(random, random.pick(this.#channels))],
      // Without anybody to authenticate no token is brought.
      [life.authenticates ? 50 : 0, (random) => this.#writer(random).refresh()],
      [60, (random) => this.#replace(this.#one(random), random)],
      [30, (random) => this.#one(random).page.online()],
      ...FAULTS.map(
        ([name, often]) =>
          [
            often,
            (random: SeededRandom) => this.#faults.strike(name, this.#one(random), random),
          ] as const,
      ),
      ...[...life.events].map(
        ([name, { often }]) =>
          [often, (random: SeededRandom) => this.#happen(name, random)] as const,
      ),
    ];
  }

  note(fact: Fact): void {
    this.#checker.note(fact, this.#host.life.now());
  }

  complain(problem: string): void {
    this.#complaints.push(`step ${this.#step}: ${problem}`);
  }

  settles(what: string, promise: Promise<unknown>): void {
    this.#pending.set(promise, `${what}, since step ${this.#step}`);
    promise.then(
      () => this.#settled(promise, "resolved"),
      (error: unknown) => {
        const { code = "gave up" } = error as { code?: string };
        this.#settled(promise, code);
        if (!isExcused(error)) this.complain(`${what} rejects with ${error}`);
      },
    );
  }

  /** Closes all clients. */
  end(): void {
    for (const { client } of this.#byName.values()) client.close().catch(() => {});
  }

  async run(): Promise<SdkLifeReport> {
    const { steps, seed, round } = this.#options;
    const of = (step: number, salt: number) =>
      seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(step + salt, 0x85ebca6b));
    const total = this.#choices.reduce((sum, [often]) => sum + often, 0);
    const first = of(0, 0);
    for (const user of USERS) this.#come(user, first);
    for (this.#step = 0; this.#step < steps; this.#step++) {
      const random = of(this.#step, 1);
      let choice = random.next() * Math.max(total, SCALE);
      const chosen = this.#choices.find(([often]) => {
        choice -= often;
        return choice < 0;
      });
      await chosen?.[1](random);
      for (const [name, { every }] of this.#host.life.events) {
        if (every !== undefined && this.#step % every === every >> 1) {
          await this.#happen(name, random);
        }
      }
      if (random.chance(0.5)) await this.#host.life.turn();
      if ((this.#step + 1) % round === 0) await this.#judge(random);
    }
    await this.#happenings.over();
    await this.#judge(of(steps, 2));
    for (const application of this.#cast.splice(0)) application.close();
    await this.#inTime((isOver) => this.#quiet(of(steps, 3), isOver));
    this.#blame();
    return {
      counts: this.#checker.counts,
      events: this.#happenings.counts,
      faults: this.#faults.counts,
      tries: this.#proxy.attempts.length,
      promises: this.#promises,
      codes: [...this.#faults.codes].toSorted((a, b) => a - b),
    };
  }

  #settled(promise: Promise<unknown>, how: string): void {
    this.#pending.delete(promise);
    this.#promises[how] = (this.#promises[how] ?? 0) + 1;
  }

  /** One of them that has not ended. */
  #one(random: SeededRandom, among = this.#cast): Application {
    const application = random.pick(among);
    return application.closed ? this.#next(application, random) : application;
  }

  #writer(random: SeededRandom): Application {
    const one = this.#one(random);
    return one.readsOnly
      ? this.#one(
          random,
          this.#cast.filter(({ user }) => user === WRITER),
        )
      : one;
  }

  /** @param before whose place it takes, and where that one has got to */
  #come(user: string, random: SeededRandom, before?: Application): Application {
    this.#clients += 1;
    const name = `${user}-${this.#clients}`;
    const { life } = this.#host;
    const place = random.int(life.places);
    this.#places.set(name, place);
    const writes = this.#ways.filter(({ readsOnly }) => !readsOnly);
    const { readsOnly, transport } = random.pick(user === WRITER ? writes : this.#ways);
    const url = this.#proxy.url(name, this.#host.path(place));
    // The first one is no return.
    const tried = (at: number): void => this.#byName.get(name)?.tried(at);
    const application = new Application({
      name,
      user,
      url,
      court: this,
      authenticated: life.authenticates,
      readsOnly,
      client: {
        ...(random.chance(0.5) ? { token: user } : { getToken: () => this.#token(user, random) }),
        encoding: readsOnly || random.chance(0.5) ? "json" : protobuf,
        transport: readsOnly ? told(transport(url), tried) : transport(url),
        clock: pacedClock(PACE),
      },
    });
    this.#byName.set(name, application);
    this.#cast.push(application);
    for (const channel of this.#names) {
      if (!random.chance(isPattern(channel) ? 0.2 : 0.5)) continue;
      const since = random.chance(0.5) ? before?.place(channel) : undefined;
      application.subscribe(channel, random, since);
    }
    return application;
  }

  async #token(user: string, random: SeededRandom): Promise<string> {
    await sleep(random.int(5));
    if (random.chance(0.05)) throw new Error("no token now");
    return user;
  }

  /** It is closed, and the user comes again. */
  #replace(application: Application, random: SeededRandom): void {
    application.farewells.clear();
    application.close(random.chance(0.3));
    this.#next(application, random);
  }

  #next(application: Application, random: SeededRandom): Application {
    this.#cast = this.#cast.filter((other) => other !== application);
    return this.#come(application.user, random, application);
  }

  #publish(random: SeededRandom, count: number, padding = 0): void {
    const application = this.#writer(random);
    const channel = random.pick(this.#channels);
    for (let i = 0; i < count; i++) {
      this.#events += 1;
      const n = this.#events;
      const { user } = application;
      const [source, id, text] = [`/life/${n % 2}`, `e${n}`, `${n}`];
      const event: EventSpec = { channel, user, source, id, text, named: true, padding };
      application.publish(event, random.chance(0.02) ? random.int(30) : undefined);
    }
  }

  #subscribe(random: SeededRandom): void {
    this.#one(random).subscribe(random.pick(this.#names), random);
  }

  async #happen(name: string, random: SeededRandom): Promise<void> {
    const { life } = this.#host;
    const event = life.events.get(name);
    if (event === undefined) return;
    const channel = random.pick(this.#channels);
    await this.#happenings.happen(name, event, channel, random.int(life.places));
  }

  /** Waits until everything owed must have arrived, and judges all that was seen. */
  async #judge(random: SeededRandom): Promise<void> {
    await this.#inTime(async (isOver) => {
      await this.#quiet(random, isOver);
      await this.#audit(random, isOver);
    });
    this.#blame();
  }

  /**
   * @param wait is given what says that the time is over in which everything owed arrives. It does not pass while this process
   * does not run: nothing of a minute in which the machine did something else is owed.
   */
  async #inTime(wait: (isOver: () => boolean) => Promise<void>): Promise<void> {
    const time = ownTime();
    try {
      await wait(() => time.ms() > (this.#options.owedMs ?? OWED_MS));
    } finally {
      time.stop();
    }
  }

  #blame(): void {
    const problems = [...this.#complaints, ...this.#checker.check().map(({ text }) => text)];
    if (problems.length === 0) return;
    const { seed } = this.#options;
    const told = [...this.#complaints.slice(0, 10), this.#checker.describe(3)].join("\n");
    throw new Error(`seed ${seed}, step ${this.#step}: ${problems.length} problems\n${told}`);
  }

  /** Every client is connected, or has ended for a reason and has a successor, and every promise has settled. */
  async #quiet(random: SeededRandom, isOver: () => boolean): Promise<void> {
    for (;;) {
      this.#faults.heal();
      for (const application of this.#cast) {
        application.page.show();
        if (application.closed) this.#next(application, random);
      }
      const busy = this.#cast.filter(({ quiet }) => !quiet);
      if (busy.length === 0 && this.#pending.size === 0) return;
      if (isOver()) {
        const names = busy.map(({ name, client }) => `${name} is ${client.state}`);
        const unsettled = [...this.#pending.values()].slice(0, 10);
        this.complain(`not quiet in time: ${[...names, ...unsettled].join("; ")}`);
        return;
      }
      await sleep(LOOK_MS);
    }
  }

  async #audit(random: SeededRandom, isOver: () => boolean): Promise<void> {
    for (;;) {
      const failure = await this.#look(random, isOver).catch(String);
      if (failure === undefined) return;
      if (isOver()) {
        this.complain(`the log cannot be looked at: ${failure}`);
        return;
      }
      await sleep(LOOK_MS);
    }
  }

  async #look(random: SeededRandom, isOver: () => boolean): Promise<string | undefined> {
    const { life } = this.#host;
    const auditor = await Auditor.come(life, random.int(life.places));
    try {
      for (const channel of this.#channels) {
        const settled = await this.#head(auditor, channel, isOver);
        this.note({ kind: "settled", channel, head: settled });
      }
      const channel = random.pick(this.#channels);
      this.note({ kind: "page", channel, page: await auditor.read(channel) });
      return undefined;
    } finally {
      auditor.leave();
    }
  }

  async #head(auditor: Auditor, channel: string, isOver: () => boolean): Promise<Place> {
    for (;;) {
      const head = await auditor.head(channel);
      this.#checker.check();
      if (this.#checker.owed(channel, head).length === 0 || isOver()) return head;
      await sleep(LOOK_MS);
    }
  }
}
