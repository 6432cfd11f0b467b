/**
 * A gateway's cursor while answers, deliveries and registrations overtake each other: what it decided before
 * it waited does not hold afterwards (C10, C11).
 */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Position, PresenceSnapshot } from "../../src/engine/ports/broker.ts";
import type { Run } from "../../src/objects/calls/gateway-calls.ts";
import { Cursor } from "../../src/objects/gateway/cursor.ts";
import { unavailable } from "../../src/protocol/errors.ts";
import {
  type ReadResponse,
  ReadResponseSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { type SeededRandom, seed, seededRandom, steps } from "../support/random.ts";

/** Promises that may follow from one another before the next thing happens. */
const HOPS = 20;

async function hops(): Promise<void> {
  for (let i = 0; i < HOPS; i++) await undefined;
}

/** A question that is on its way: the channel answers it at one moment, and the answer arrives later. */
interface Question {
  answer(): void;
  arrive(): void;
  answered: boolean;
}

class Channel {
  readonly told: string[] = [];
  /** What was handed over of each epoch. */
  readonly handed = new Map<string, number[]>();
  readonly questions: Question[] = [];
  readonly cursor: Cursor;
  epoch = "A";
  head = 0;
  /** Offset of the oldest entry that the log holds. */
  first = 1;
  failing = false;
  registration = "r1";
  /** Since when a session here hears it through a pattern. */
  listensSince = 0;
  /** When its entries were taken. */
  time = 0;

  constructor() {
    const position = () => ({ epoch: this.epoch, offset: this.head });
    this.cursor = new Cursor({
      channel: "c",
      registration: () => this.registration,
      hasAnySubscriber: () => true,
      listensSince: () => this.listensSince,
      now: () => Date.now(),
      head: () => this.#asked(position),
      read: (after, until) => this.#asked(() => this.#read(after, until)),
      presence: () =>
        this.#asked(
          (): PresenceSnapshot => ({
            epoch: this.epoch,
            members: [],
            total: 0,
            generation: 9,
          }),
        ),
      warn: () => {},
      handler: () => ({
        publications: (_, epoch, entries) => {
          const offsets = entries.map(({ offset }) => Number(offset));
          this.told.push(...offsets.map((offset) => `${epoch}-${offset}`));
          this.handed.set(epoch, [...(this.handed.get(epoch) ?? []), ...offsets]);
        },
        gap: (_, { reason, after, until }) =>
          this.told.push(
            `${reason} ${after?.epoch}-${after?.offset}..${until.epoch}-${until.offset}`,
          ),
        transients: () => {},
        patternGap: () => {},
        presence: () => {},
        presenceLost: (_, epoch) => this.told.push(`members of ${epoch}`),
      }),
    });
  }

  /** A log with another epoch takes the place of the one before. */
  restart(epoch: string, head: number): void {
    Object.assign(this, { epoch, head, first: 1 });
  }

  run(prev: number, until: number, more: Partial<Run> = {}): Run {
    return {
      registration: this.registration,
      epoch: this.epoch,
      prev,
      entries: entries(prev, until, this.time),
      presence: [],
      presenceLost: false,
      undeliveredTime: 0,
      ...more,
    };
  }

  /** The channel answers what waits, and the answers arrive. */
  async answer(): Promise<void> {
    for (const question of this.questions.splice(0)) {
      question.answer();
      question.arrive();
    }
    await hops();
  }

  async quiet(): Promise<void> {
    for (await hops(); this.questions.length > 0; ) await this.answer();
  }

  #read(after: number, until: number): ReadResponse {
    if (this.failing) throw unavailable("down");
    const from = Math.max(after, this.first - 1);
    return create(ReadResponseSchema, {
      epoch: this.epoch,
      entries: entries(from, Math.min(until, this.head), this.time),
    });
  }

  #asked<T>(answer: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let settle = (): void => {};
    const question: Question = {
      answered: false,
      answer: () => {
        question.answered = true;
        try {
          const value = answer();
          settle = () => resolve(value);
        } catch (error) {
          settle = () => reject(error);
        }
      },
      arrive: () => settle(),
    };
    this.questions.push(question);
    return promise;
  }
}

function entries(after: number, until: number, time = 0) {
  const count = Math.max(until - after, 0);
  return Array.from({ length: count }, (_, i) => ({
    $typeName: "messageloop.internal.v1.Entry" as const,
    offset: BigInt(after + 1 + i),
    time: BigInt(time),
  }));
}

/** A gateway that has heard a log up to its second entry; then another log takes its place. */
function renewed(head: number): Channel {
  const channel = new Channel();
  channel.cursor.registered({ epoch: "A", offset: 2 }, true);
  channel.restart("B", head);
  return channel;
}

for (const head of [0, 3]) {
  test(`a log that a registration enters, with ${head} entries, is not entered again by a delivery that waits`, async () => {
    const channel = renewed(head);
    channel.head = head + 1;
    const taken = channel.cursor.take(channel.run(head, head + 1, { registration: "old" }));
    await hops();
    channel.cursor.registered({ epoch: "B", offset: head }, false);
    await channel.quiet();
    await taken;
    const all = entries(0, head + 1).map(({ offset }) => `B-${offset}`);
    expect(channel.told).toEqual(["epoch_changed A-2..B-0", ...all]);
  });

  test(`a log with ${head} entries that a delivery enters first is handed over from its start`, async () => {
    for (const registration of ["old", "r1"]) {
      const channel = renewed(head);
      channel.head = head + 1;
      const taken = channel.cursor.take(channel.run(head, head + 1, { registration }));
      await channel.quiet();
      await taken;
      const all = entries(0, head + 1).map(({ offset }) => `B-${offset}`);
      expect(channel.told).toEqual(["epoch_changed A-2..B-0", ...all]);
    }
  });
}

test("the answer that a log has ended does not hold once a registration has entered a later one", async () => {
  const channel = renewed(3);
  const taken = channel.cursor.take(channel.run(2, 3, { registration: "old" }));
  await hops();
  const [asked] = channel.questions.splice(0);
  asked?.answer();
  channel.restart("C", 1);
  channel.cursor.registered({ epoch: "C", offset: 1 }, false);
  asked?.arrive();
  await channel.quiet();
  await taken;
  expect(channel.told).toEqual(["epoch_changed A-2..C-0"]);
});

const HOLES = {
  "was read": () => {},
  "was trimmed": (channel: Channel) => Object.assign(channel, { first: 4 }),
  "is nowhere": (channel: Channel) => Object.assign(channel, { first: 9 }),
  "cannot be read": (channel: Channel) => Object.assign(channel, { failing: true }),
};

for (const [name, prepare] of Object.entries(HOLES)) {
  test(`a hole that ${name} is of no use once a registration has entered another log`, async () => {
    const channel = new Channel();
    channel.cursor.registered({ epoch: "A", offset: 2 }, true);
    channel.head = 6;
    prepare(channel);
    const fail = async (): Promise<void> => {
      const taken = channel.cursor.take(channel.run(5, 6));
      await channel.quiet();
      await expect(taken).rejects.toThrow();
    };
    // A hole becomes a gap after three failures.
    if (channel.failing) await fail().then(fail);
    const taken = channel.cursor.take(channel.run(5, 6));
    await hops();
    const [asked] = channel.questions.splice(0);
    asked?.answer();
    channel.restart("B", 2);
    channel.failing = false;
    channel.cursor.registered({ epoch: "B", offset: 2 }, false);
    asked?.arrive();
    await channel.quiet();
    await taken;
    const after = channel.cursor.take(channel.run(2, 2));
    await channel.quiet();
    await after;
    expect(channel.told).toEqual(["epoch_changed A-2..B-0", "B-1", "B-2"]);
  });
}

test("members of a log that has ended meanwhile are asked for again", async () => {
  const channel = new Channel();
  channel.cursor.registered({ epoch: "A", offset: 0 }, true);
  const taken = channel.cursor.take(channel.run(0, 0, { presenceLost: true }));
  await hops();
  const [asked] = channel.questions.splice(0);
  asked?.answer();
  channel.restart("B", 0);
  channel.cursor.registered({ epoch: "B", offset: 0 }, false);
  asked?.arrive();
  await channel.quiet();
  await taken;
  expect(channel.told).toEqual(["epoch_changed A-0..B-0", "members of B"]);
});

/** What makes a head known to a session here. */
const HEADS: Readonly<Record<string, (channel: Channel) => void>> = {
  registration: ({ cursor, epoch, head: offset }) => cursor.registered({ epoch, offset }, false),
  question: ({ cursor, epoch, head: offset }) => cursor.tell({ epoch, offset }),
};

for (const [first, receive] of Object.entries(HEADS)) {
  for (const [second, receiveNext] of Object.entries(HEADS)) {
    test(`a gateway that knows no log leaves that of a ${first} with a gap, where a ${second} finds another`, async () => {
      const channel = new Channel();
      channel.head = 61;
      receive(channel);
      channel.restart("B", 0);
      receiveNext(channel);
      channel.head = 1;
      await channel.cursor.take(channel.run(0, 1));
      expect(channel.told).toEqual(["epoch_changed A-61..B-0", "B-1"]);
    });
  }
}

test("a head that a session receives while a gateway looks back is not forgotten", async () => {
  for (const [epoch, expected] of [
    ["A", ["epoch_changed A-3..B-0", "B-1", "B-2"]],
    ["B", ["B-1", "B-2"]],
  ] as const) {
    const channel = new Channel();
    channel.restart("B", 2);
    const undeliveredTime = Date.now();
    const taken = channel.cursor.take(channel.run(1, 2, { undeliveredTime }));
    await hops();
    const [asked] = channel.questions.splice(0);
    asked?.answer();
    channel.cursor.tell({ epoch, offset: epoch === "A" ? 3 : 0 });
    asked?.arrive();
    await channel.quiet();
    await taken;
    expect(channel.told).toEqual(expected);
  }
});

test("a head that one session receives hides nothing that another one lacks", async () => {
  const channel = new Channel();
  Object.assign(channel, { head: 5, time: Date.now() });
  channel.cursor.tell({ epoch: "A", offset: 4 });
  const taken = channel.cursor.take(channel.run(4, 5, { undeliveredTime: channel.time }));
  await channel.quiet();
  await taken;
  expect(channel.told).toEqual(["A-1", "A-2", "A-3", "A-4", "A-5"]);
});

test("a first registration begins after what a pattern lacks that has begun meanwhile", async () => {
  for (const told of [true, false]) {
    const channel = new Channel();
    Object.assign(channel, { head: 3, listensSince: told ? Number.POSITIVE_INFINITY : Date.now() });
    if (told) channel.cursor.tell({ epoch: "A", offset: 3 });
    channel.head = 5;
    channel.cursor.registered({ epoch: "A", offset: 5 }, true);
    await channel.cursor.take(channel.run(3, 5));
    expect(channel.told).toEqual(["A-4", "A-5"]);
  }
});

/** Anything that may happen between a channel and a gateway, in any order. */
async function life(random: SeededRandom): Promise<Channel> {
  const channel = new Channel();
  const sent: Run[] = [];
  const registered: (() => void)[] = [];
  channel.cursor.registered({ epoch: "A", offset: 0 }, true);
  let confirmed = 0;
  let lives = 0;
  let under = channel.registration;
  const events: (() => void)[] = [
    () => {
      channel.head += 1 + random.int(3);
    },
    () => {
      lives += 1;
      channel.restart(`L${lives}`, random.int(3));
      confirmed = 0;
    },
    // The channel registers the gateway, and its answer is on the way.
    () => {
      channel.registration = `r${random.int(1e6)}`;
      under = channel.registration;
      const { epoch, head: offset } = channel;
      registered.push(() => channel.cursor.registered({ epoch, offset }, false));
    },
    () => {
      registered.shift()?.();
    },
    // One delivery after the other leaves the channel; any of them may be late, and arrive again.
    () => {
      sent.push(channel.run(confirmed, channel.head, { registration: under }));
      confirmed = channel.head;
    },
    () => {
      const [run] = sent.splice(random.int(sent.length || 1), 1);
      if (run === undefined) return;
      channel.cursor.take(run)?.catch(() => {});
      if (random.chance(0.2)) sent.push(run);
    },
    () => {
      channel.questions.find(({ answered }) => !answered)?.answer();
    },
    () => {
      const at = channel.questions.findIndex(({ answered }) => answered);
      if (at >= 0) channel.questions.splice(at, 1)[0]?.arrive();
    },
  ];
  for (let i = 0; i < 60; i++) {
    random.pick(events)();
    if (random.chance(0.7)) await hops();
  }
  for (const arrive of registered) arrive();
  await channel.quiet();
  for (const run of sent) {
    const taken = channel.cursor.take(run);
    await channel.quiet();
    await taken?.catch(() => {});
  }
  // Last of all something is published, and delivered.
  channel.head += 1;
  const last = channel.cursor.take(channel.run(confirmed, channel.head, { registration: under }));
  await channel.quiet();
  await last;
  return channel;
}

/** Where each session began that has received a head, and what had been handed over by then. */
type Begun = Position & { readonly at: number };

/**
 * A life of a gateway that knows no log, whose sessions receive heads by registrations and questions, each answered
 * before the next one is asked: what arrives late are deliveries.
 */
async function lifeOfUnknown(random: SeededRandom): Promise<Begun[]> {
  const channel = new Channel();
  const { cursor } = channel;
  channel.head = random.int(4);
  const begun: Begun[] = [];
  const sent: Run[] = [];
  let confirmed = channel.head;
  let lives = 0;
  const begin = ({ epoch, offset }: Position): void => {
    begun.push({ epoch, offset, at: channel.told.length });
  };
  const events: (() => unknown)[] = [
    () => {
      channel.head += 1 + random.int(3);
    },
    () => {
      lives += 1;
      channel.restart(`L${lives}`, random.int(3));
      confirmed = 0;
    },
    () => begin(cursor.registered({ epoch: channel.epoch, offset: channel.head }, false)),
    () => {
      const head = { epoch: channel.epoch, offset: channel.head };
      // Where the gateway is in another log, the session asks again.
      if (cursor.tell(head) || cursor.epoch === head.epoch) begin(head);
    },
    () => {
      sent.push(channel.run(confirmed, channel.head));
      confirmed = channel.head;
    },
    () => {
      const [run] = sent.splice(random.int(sent.length || 1), 1);
      if (run !== undefined) cursor.take(run)?.catch(() => {});
    },
    () => channel.answer(),
  ];
  for (let i = 0; i < 30; i++) {
    random.pick(events)();
    if (random.chance(0.7)) await hops();
  }
  await channel.quiet();
  for (const run of sent) {
    const taken = cursor.take(run);
    await channel.quiet();
    await taken?.catch(() => {});
  }
  channel.head += 1;
  const last = cursor.take(channel.run(confirmed, channel.head));
  await channel.quiet();
  await last;
  for (const one of begun) {
    const where = `${one.epoch}-${one.offset} at ${one.at} of ${channel.told.join(" ")}`;
    const end = followed(channel.told.slice(one.at), one, where);
    expect(end, where).toEqual({ epoch: channel.epoch, offset: channel.head });
  }
  return begun;
}

/** Where a session ends that began in one place and has all that it needs from there. */
function followed(told: readonly string[], from: Position, where: string): Position {
  let { epoch, offset } = from;
  for (const line of told) {
    const gap = /^epoch_changed .*\.\.(\w+)-(\d+)$/.exec(line);
    const entry = /^(\w+)-(\d+)$/.exec(line);
    const [, its = "", number = ""] = gap ?? entry ?? [];
    if (gap !== null) [epoch, offset] = [its, Number(number)];
    // Another session may need what this one has.
    if (entry === null || (its === epoch && Number(number) <= offset)) continue;
    expect(line, where).toBe(`${epoch}-${offset + 1}`);
    offset += 1;
  }
  return { epoch, offset };
}

test("each session of a gateway that knew no log has all after its head, or a gap", async () => {
  const count = steps(1_000);
  const first = seed();
  let begun = 0;
  for (let step = 0; step < count; step++) {
    const random = seededRandom(Math.imul(first, 0x9e3779b1) ^ Math.imul(step + 1, 0x85ebca6b));
    begun += (await lifeOfUnknown(random)).length;
  }
  expect(begun).toBeGreaterThan(count);
});

test("whatever overtakes what, each entry of a log comes once and in order, and the last log comes whole", async () => {
  const count = steps(400);
  const first = seed();
  for (let step = 0; step < count; step++) {
    const random = seededRandom(Math.imul(first, 0x9e3779b1) ^ Math.imul(step + 1, 0x85ebca6b));
    const { handed, epoch, head, told } = await life(random);
    const whole = entries(0, head).map(({ offset }) => Number(offset));
    const where = `MESSAGELOOP_TEST_SEED=${first}, step ${step}: ${told.join(" ")}`;
    expect(handed.get(epoch), where).toEqual(whole);
    for (const offsets of handed.values()) {
      expect(offsets, where).toEqual([...new Set(offsets)].sort((a, b) => a - b));
    }
    // All entries are in their logs, so that no hole within one is told.
    expect(told.filter((line) => /^(head_trimmed|unavailable) /.test(line))).toEqual([]);
  }
});
