/**
 * A random life on a host: publishers publish, and publish again, subscribers come, go and come back with
 * their last position, and things happen to the host. After every hundred steps all that is owed has
 * 15 s to arrive; then everything seen so far is judged. The choices follow from the seed; their
 * interleaving is the host's.
 */
import { sleep } from "../support/eventually.ts";
import { type SeededRandom, seededRandom } from "../support/random.ts";
import { unawaited } from "../support/unawaited.ts";
import { Auditor } from "./auditor.ts";
import { listeners, writers } from "./cast.ts";
import { HistoryChecker } from "./checker.ts";
import type { EventSpec, Fact, Place } from "./facts.ts";
import { Happenings } from "./happenings.ts";
import type { HostEvent, LifeHost } from "./host.ts";
import { Listener } from "./listener.ts";
import { Writer } from "./writer.ts";

/** Steps between two judgements. */
const ROUND = 100;
/** Within this time everything owed must arrive, in milliseconds. */
const OWED_MS = 15_000;
/** How long to wait before looking again, in milliseconds. */
const LOOK_MS = 4;
/** How long a publish without an answer waits until it is sent again, in milliseconds. */
const AGAIN_MS = 100;
/** Events that may be published again, of each channel. */
const RECENT = 40;
const SCALE = 10_000;
/** Events of a storm, and the bytes of each: together more than is held back for one subscriber. */
const STORM = 40;
const STORM_PADDING = 30_000;

export interface LifeOptions {
  readonly host: LifeHost;
  readonly steps: number;
  readonly seed: number;
}

export interface LifeReport {
  /** How often each kind of fact and of verdict was seen. */
  readonly counts: Readonly<Record<string, number>>;
  /** How often each thing happened to the host. */
  readonly events: Readonly<Record<string, number>>;
}

/** What every life of 10,000 steps has seen, on whatever host. */
export const SEEN_BY_ALL: readonly string[] = [
  "recovered all",
  "recovered head_trimmed",
  "recovered expired",
  "recovered epoch_changed",
  "recovered limit",
  "recovered unavailable",
  "published again",
  "unknown",
  "replay",
  "page",
  "pattern recovered all",
  "pattern unsubscribed",
];

/** @throws Error with seed and step, and what led to the first problems. */
export async function live(options: LifeOptions): Promise<LifeReport> {
  const life = new Life(options);
  return await life.run();
}

class Life {
  readonly #options: LifeOptions;
  readonly #host: LifeHost;
  readonly #checker: HistoryChecker;
  readonly #listeners: readonly Listener[];
  readonly #writers: readonly Writer[];
  readonly #channels: readonly string[];
  readonly #recent = new Map<string, EventSpec[]>();
  readonly #named = new Map<string, EventSpec>();
  readonly #happenings: Happenings;
  readonly #complaints: string[] = [];
  readonly #choices: readonly (readonly [number, (random: SeededRandom) => void | Promise<void>])[];
  #events = 0;
  #step = 0;

  constructor(options: LifeOptions) {
    this.#options = options;
    const { host } = options;
    this.#host = host;
    this.#channels = [...host.channels.keys()];
    const cast = listeners(host.patterns ?? true);
    this.#checker = new HistoryChecker({
      channels: host.channels,
      grades: new Map(cast.map(({ name, grade }) => [name, grade])),
      recoveryMessages: host.recoveryMessages,
      repeatsInside: host.repeatsInside,
    });
    const complain = (problem: string): void => {
      this.#complaints.push(problem);
    };
    this.#happenings = new Happenings(host, (fact) => this.#note(fact), complain);
    this.#listeners = cast.map(
      (part) =>
        new Listener({
          ...part,
          host,
          complain,
          note: (channel, fact) => this.#note({ kind: "seen", who: part.name, channel, fact }),
          notePattern: (pattern, fact) =>
            this.#note({ kind: "pattern", who: part.name, pattern, fact }),
          dropped: () => this.#note({ kind: "drop", who: part.name }),
        }),
    );
    this.#writers = writers().map(
      (part) => new Writer({ ...part, host, complain, note: (fact) => this.#note(fact) }),
    );
    this.#choices = [
      [4_500, (random) => this.#publish(random, 1 + random.int(2))],
      [60, (random) => this.#publish(random, 10 + random.int(40))],
      [10, (random) => this.#storm(random)],
      [900, (random) => this.#repeat(random)],
      [400, (random) => this.#twins(random)],
      [host.authenticates ? 200 : 0, (random) => this.#namesake(random)],
      [700, (random) => this.#subscribe(random)],
      [150, (random) => random.pick(this.#connected).catchUp(random.pick(this.#channels))],
      [100, (random) => this.#togglePattern(random)],
      [350, (random) => random.pick(this.#connected).unsubscribe(random.pick(this.#channels))],
      [800, (random) => random.pick(this.#listeners).drop(random.chance(0.6))],
      [1_000, (random) => this.#comeBack(random.pick(this.#listeners), random)],
      [150, (random) => random.pick(this.#writers).drop(random.chance(0.6))],
      [300, (random) => unawaited(random.pick(this.#writers).come(random.int(host.places)))],
      ...[...host.events].map(
        ([name, event]) =>
          [event.often, (random: SeededRandom) => this.#happen(name, event, random)] as const,
      ),
    ];
  }

  async run(): Promise<LifeReport> {
    const { steps, seed } = this.#options;
    const of = (step: number, salt: number) =>
      seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(step + salt, 0x85ebca6b));
    const total = this.#choices.reduce((sum, [often]) => sum + often, 0);
    await this.#gather(of(0, 0));
    for (this.#step = 0; this.#step < steps; this.#step++) {
      const random = of(this.#step, 1);
      let choice = random.next() * Math.max(total, SCALE);
      const chosen = this.#choices.find(([often]) => {
        choice -= often;
        return choice < 0;
      });
      await chosen?.[1](random);
      for (const [name, event] of this.#host.events) {
        const { every } = event;
        if (every !== undefined && this.#step % every === every >> 1) {
          await this.#happen(name, event, random);
        }
      }
      if (random.chance(0.5)) await this.#host.turn();
      if ((this.#step + 1) % ROUND === 0) await this.#judge(random);
    }
    await this.#judge(of(steps, 2), true);
    for (const person of [...this.#listeners, ...this.#writers]) person.drop(true);
    return { counts: this.#checker.counts, events: this.#happenings.counts };
  }

  /** Those who can be asked something; all, where there are none. */
  get #connected(): readonly Listener[] {
    const connected = this.#listeners.filter((listener) => listener.connected);
    return connected.length > 0 ? connected : this.#listeners;
  }

  #note(fact: Fact): void {
    this.#checker.note(fact, this.#host.now());
  }

  async #gather(random: SeededRandom): Promise<void> {
    for (const writer of this.#writers) await writer.come(random.int(this.#host.places));
    for (const listener of this.#listeners) await this.#comeBack(listener, random);
  }

  #publish(random: SeededRandom, count: number): void {
    const writer = random.pick(this.#writers);
    const channel = random.pick(this.#channels);
    for (let i = 0; i < count; i++) {
      writer.publish(
        writer.extended
          ? this.#event(channel, writer, random.chance(0.03))
          : this.#plain(channel, writer),
      );
    }
  }

  /** More than may be held back is published while somebody comes back. */
  async #storm(random: SeededRandom): Promise<void> {
    const listener = random.pick(this.#listeners.filter(({ grade }) => grade === "recovery"));
    const channel = random.pick(this.#channels);
    const writer = random.pick(this.#writers.filter(({ extended }) => extended));
    listener.drop(true);
    const coming = this.#comeBack(listener, random);
    for (let i = 0; i < STORM; i++) {
      writer.publish({ ...this.#event(channel, writer, false), padding: STORM_PADDING });
      if (i % 10 === 0) await this.#host.turn();
    }
    await coming;
  }

  /** One of the last events once more, by one who is the same user. */
  #repeat(random: SeededRandom): void {
    const event = this.#known(random);
    const writers = this.#writers.filter(({ user, extended }) => extended && user === event?.user);
    if (event !== undefined && writers.length > 0) random.pick(writers).publish(event);
  }

  /** One event at once from all who are the same user. */
  #twins(random: SeededRandom): void {
    const first = random.pick(this.#writers.filter(({ extended }) => extended));
    const event = this.#event(random.pick(this.#channels), first, false);
    for (const writer of this.#writers) {
      if (writer.extended && writer.user === first.user) writer.publish(event);
    }
  }

  /** An event that only its publisher tells from another one. */
  #namesake(random: SeededRandom): void {
    const event = this.#known(random);
    const others = this.#writers.filter(({ user, extended }) => extended && user !== event?.user);
    if (event === undefined) return;
    const writer = random.pick(others);
    this.#events += 1;
    const namesake = { ...event, user: writer.user, text: `${this.#events} namesake` };
    // Of the namesakes of one event by one user all but the first are repetitions of the first.
    writer.publish(this.#named.get(nameOf(namesake)) ?? this.#remember(namesake));
  }

  #known(random: SeededRandom): EventSpec | undefined {
    const recent = this.#recent.get(random.pick(this.#channels)) ?? [];
    return recent.length > 0 ? random.pick(recent) : undefined;
  }

  #event(channel: string, { user }: Writer, nameless: boolean): EventSpec {
    this.#events += 1;
    const n = this.#events;
    // Without an id an event is never taken for a repeated one.
    const named = !nameless;
    const id = named ? `e${n}` : "";
    const event = { channel, user, source: `/life/${n % 2}`, id, text: `${n}`, named, padding: 0 };
    return named ? this.#remember(event) : event;
  }

  /** As the examples of v0.1.1 publish: always the same id. */
  #plain(channel: string, { user }: Writer): EventSpec {
    this.#events += 1;
    const text = `${this.#events} plain`;
    return { channel, user, source: "/life/0", id: "fixed", text, named: false, padding: 0 };
  }

  #remember(event: EventSpec): EventSpec {
    const recent = this.#recent.get(event.channel) ?? [];
    recent.push(event);
    if (recent.length > RECENT) recent.shift();
    this.#named.set(nameOf(event), event);
    this.#recent.set(event.channel, recent);
    return event;
  }

  #subscribe(random: SeededRandom): void {
    const listener = random.pick(this.#connected);
    const channel = random.pick(this.#channels);
    if (listener.channels.includes(channel)) return;
    const rewinds =
      listener.grade === "recovery" && listener.pattern === undefined && random.chance(0.4);
    const rewind = rewinds ? 1 + random.int(30) : 0;
    listener.subscribe(channel, { recover: false, since: undefined, rewind });
  }

  /** Most of the time it is subscribed. */
  #togglePattern(random: SeededRandom): void {
    const those = this.#listeners.filter(({ pattern }) => pattern !== undefined);
    if (those.length === 0) return;
    const listener = random.pick(those);
    if (!listener.hasPattern || random.chance(0.25)) listener.togglePattern();
  }

  async #comeBack(listener: Listener, random: SeededRandom): Promise<void> {
    const forgotten = random.pick([0, 0, 0, 0, 0, 0, 0, 0.3, 0.6, 1]);
    const distort = (name: string, place: Place | undefined) => {
      const untold = name !== listener.pattern && !listener.channels.includes(name);
      if (untold && random.chance(forgotten)) return undefined;
      if (!random.chance(0.06)) return place;
      if (name !== listener.pattern) return distorted(place, random);
      return place && random.chance(0.5) ? { ...place, epoch: "elsewhere" } : undefined;
    };
    await listener.come(random.int(this.#host.places), random.chance(0.6), distort);
  }

  async #happen(name: string, event: HostEvent, random: SeededRandom): Promise<void> {
    const channel = random.pick(this.#channels);
    await this.#happenings.happen(name, event, channel, random.int(this.#host.places));
  }

  /** Waits until everything owed must have arrived, and judges all that was seen. */
  async #judge(random: SeededRandom, everything = false): Promise<void> {
    if (everything) await this.#happenings.over();
    const away = this.#listeners.filter(({ here }) => !here && random.chance(0.3));
    const deadline = Date.now() + OWED_MS;
    await this.#quiet(random, everything ? [] : away, deadline);
    await this.#audit(random, everything, deadline);
    const problems = [...this.#complaints, ...this.#checker.check().map(({ text }) => text)];
    if (problems.length === 0) return;
    const { seed } = this.#options;
    const told = [...this.#complaints.slice(0, 10), this.#checker.describe(3)].join("\n");
    throw new Error(
      `MESSAGELOOP_TEST_SEED=${seed}, step ${this.#step}: ${problems.length} problems\n${told}`,
    );
  }

  /** Everybody is back, and nobody waits for an answer. */
  async #quiet(random: SeededRandom, away: readonly Listener[], deadline: number): Promise<void> {
    let again = Date.now() + AGAIN_MS;
    for (;;) {
      for (const writer of this.#writers) unawaited(writer.come(random.int(this.#host.places)));
      for (const listener of this.#listeners) {
        if (!away.includes(listener)) unawaited(this.#comeBack(listener, random));
      }
      const busy = [
        ...this.#writers.filter((one) => !one.connected || !one.idle || one.unsettled.length > 0),
        ...this.#listeners.filter((one) => !(one.idle || (away.includes(one) && !one.here))),
      ];
      if (busy.length === 0) return;
      if (Date.now() > deadline) {
        this.#complaints.push(`no answer in time: ${busy.map(({ name }) => name).join(", ")}`);
        return;
      }
      if (Date.now() > again) {
        again = Date.now() + AGAIN_MS;
        for (const writer of this.#writers) {
          for (const event of writer.unsettled) writer.publish(event);
        }
      }
      await sleep(LOOK_MS);
    }
  }

  async #audit(random: SeededRandom, everything: boolean, deadline: number): Promise<void> {
    const read = everything ? this.#channels : [random.pick(this.#channels)];
    for (;;) {
      const failure = await this.#look(read, random, deadline).catch(String);
      if (failure === undefined) return;
      if (Date.now() > deadline) {
        this.#complaints.push(`the log cannot be looked at: ${failure}`);
        return;
      }
      await sleep(LOOK_MS);
    }
  }

  async #look(
    read: readonly string[],
    random: SeededRandom,
    deadline: number,
  ): Promise<string | undefined> {
    const auditor = await Auditor.come(this.#host, random.int(this.#host.places));
    try {
      for (const channel of this.#channels) {
        let head = await auditor.head(channel);
        this.#checker.check();
        while (this.#checker.owed(channel, head).length > 0 && Date.now() < deadline) {
          await sleep(LOOK_MS);
          head = await auditor.head(channel);
          this.#checker.check();
        }
        this.#note({ kind: "settled", channel, head });
      }
      for (const channel of read) {
        this.#note({ kind: "page", channel, page: await auditor.read(channel) });
      }
      return undefined;
    } finally {
      auditor.leave();
    }
  }
}

function nameOf({ channel, user, source, id }: EventSpec): string {
  return JSON.stringify([channel, user, source, id]);
}

/** A position that the listener does not have: of no log, beyond the head, older, or none. */
function distorted(place: Place | undefined, random: SeededRandom): Place | undefined {
  const { epoch = "nowhere", offset = 0 } = place ?? {};
  switch (random.int(6)) {
    case 0:
      return { epoch: "elsewhere", offset };
    case 1:
      return { epoch: "elsewhere", offset: offset + 5 };
    case 2:
      return { epoch: "elsewhere", offset: 0 };
    case 3:
      return { epoch, offset: offset + 100_000 };
    case 4:
      return { epoch, offset: Math.max(0, offset - random.int(20)) };
    default:
      return undefined;
  }
}
