/** What a stream of events says, and what a client that comes back with the id of any event gets. */
import { expect, test } from "vitest";
import { readEventId } from "../../src/http/events/event-id.ts";
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import type { EventReader } from "../support/event-reader.ts";
import { type SeededRandom, seed, seededRandom, steps } from "../support/random.ts";
import { EventWorld } from "./event-world.ts";

/** Everything that a reader got, one word an event. */
function told({ events }: EventReader): string[] {
  return events.map(({ event, data }) => {
    if (event === "message") return data.payload?.text_data ?? "";
    return event === "gap" ? `gap ${data.channel} ${data.reason}` : event;
  });
}

/** Only the beginning of a reader: what had come when it was cut. */
function idAfter({ events }: EventReader, count: number): string {
  return events[count - 1]?.id ?? "";
}

test("a stream begins with a byte, says where it begins, and names each message by its id", async () => {
  const world = new EventWorld();
  await world.publish("a", "before");
  const { frames, reader, session } = await world.open("a");
  await world.publish("a", "one\nline ✓");
  await world.settle();
  const [first, second] = frames.map(({ data }) => data);
  expect(first).toBe(":\n");
  expect(second).toMatch(/^event: subscribed\nretry: 2500\ndata: \{.*\}\nid: (ep\w+)-1\n\n$/);
  const [subscribed, message] = reader.events;
  expect(subscribed?.data.session_id).toBe(session.id);
  expect(subscribed?.data.subscriptions).toEqual([
    { channel: "a", position: { epoch: expect.any(String), offset: "1" } },
  ]);
  const { epoch } = subscribed?.data.subscriptions?.[0]?.position ?? {};
  expect(message).toMatchObject({ event: "message", id: `${epoch}-2`, retry: undefined });
  expect(message?.data).toMatchObject({
    id: `${epoch}-2`,
    channel: "a",
    offset: "2",
    payload: { spec_version: "1.0", source: "/s", type: "t", text_data: "one\nline ✓" },
  });
});

test("subscribers of a channel get one text, and the id of any event resumes behind it", async () => {
  const world = new EventWorld();
  const [one, two] = [await world.open("a"), await world.open("a")];
  await world.publish("a", "1");
  await world.publish("a", "2");
  await world.settle();
  expect(one.frames.at(-1)).toBe(two.frames.at(-1));
  for (const { cut } of [one, two]) cut();
  await world.publish("a", "3");
  for (const [count, missed] of [
    [1, ["1", "2", "3"]],
    [2, ["2", "3"]],
    [3, ["3"]],
  ] as const) {
    const again = await world.open("a", idAfter(one.reader, count));
    expect(told(again.reader)).toEqual(["subscribed", ...missed]);
    expect(idAfter(again.reader, 1)).toBe(idAfter(one.reader, count));
    again.cut();
  }
});

test("a hole is told by one event before what lies behind it, wherever the client is cut again", async () => {
  const world = new EventWorld({ historySize: 3 });
  const first = await world.open("a");
  first.cut();
  for (const text of ["1", "2", "3", "4", "5"]) await world.publish("a", text);
  const id = idAfter(first.reader, 1);
  const again = await world.open("a", id);
  expect(told(again.reader)).toEqual(["subscribed", "gap a head_trimmed", "3", "4", "5"]);
  const [, gap] = again.reader.events;
  const { epoch } = gap?.data.until ?? {};
  expect(gap?.data).toMatchObject({ after: { epoch }, until: { offset: "2" } });
  expect(gap?.id).toMatch(/-2$/);
  const rest = ["subscribed", "gap a head_trimmed", "3", "4", "5"];
  for (let count = 1; count <= 5; count++) {
    const third = await world.open("a", idAfter(again.reader, count));
    // Where the client has the gap's event it is not told again.
    expect(told(third.reader)).toEqual(["subscribed", ...rest.slice(count)]);
    third.cut();
  }
});

test("a log that began anew, and a position that nobody has, are gaps", async () => {
  const world = new EventWorld();
  const [old, fresh] = [await new EventWorld().open("a"), await world.open("a")];
  await world.publish("a", "1");
  const epochless = idAfter(old.reader, 1).replace(/x/, "y");
  expect(told((await world.open("a", epochless)).reader)).toEqual([
    "subscribed",
    "gap a epoch_changed",
    "1",
  ]);
  const beyond = idAfter(fresh.reader, 1).replace(/-\d+$/, "-99999999999999999999");
  expect(told((await world.open("a", beyond)).reader)).toEqual(["subscribed", "gap a unavailable"]);
  const ahead = idAfter(fresh.reader, 1).replace(/-\d+$/, "-9007199254740993");
  expect(told((await world.open("a", ahead)).reader)).toEqual([
    "subscribed",
    "gap a epoch_changed",
  ]);
});

const BAD_IDS = [
  "x",
  "?",
  "é-1",
  "a b-1",
  "-1",
  "a-",
  "a-b",
  "%zz-1",
  "%-1",
  "*a-1",
  "a-1,b=c-1",
  "x".repeat(3_000),
  "a-111111111111111111111",
];
test.each(BAD_IDS)(
  "the id %j of a channel is none of ours: nobody knows what is missing",
  async (id) => {
    const world = new EventWorld();
    await world.publish("a", "1");
    const { reader } = await world.open("a", id);
    const [subscribed, gap] = reader.events;
    expect(told(reader)).toEqual(["subscribed", "gap a unavailable"]);
    // Cut in between it is told again.
    expect(readEventId("a", subscribed?.id ?? "")).toBe("lost");
    expect(told((await world.open("a", gap?.id)).reader)).toEqual(["subscribed"]);
  },
);

test.each([
  "a-1",
  "*",
  "*e",
  "*e-1,",
  "*e-1,c.a",
  "*e-1,c.a=e",
  "*e-1,c.a=e-1,c.a=e-2",
  "*e-1,other=e-1",
  "*e-1,c.**=e-1",
  "*e-1,c..a=e-1",
  "*e-1,=e-1",
  "*?x,c.a=e-1",
  `*e-1${Array.from({ length: 33 }, (_, i) => `,c.${i}=e-1`).join("")}`,
])("the id %j of a pattern is none of ours", async (id) => {
  const world = new EventWorld();
  await world.publish("c.a", "1");
  await world.settle();
  const { reader } = await world.open("c.*", id);
  expect(told(reader)).toEqual(["subscribed", "gap c.* unavailable"]);
  expect(told((await world.open("c.*", reader.lastEventId)).reader)).toEqual(["subscribed"]);
});

test("who has had no position begins, with - as with none", async () => {
  const world = new EventWorld();
  await world.publish("a", "1");
  for (const id of ["", "-"]) {
    expect(told((await world.open("a", id)).reader)).toEqual(["subscribed"]);
  }
});

test("by a pattern every channel goes on behind its own last event, and a new one from its first", async () => {
  const world = new EventWorld();
  for (const channel of ["c.a", "c.é=,%", "c.old"]) await world.publish(channel, "before");
  await world.settle();
  const first = await world.open("c.*");
  await world.publish("c.a", "a1");
  await world.publish("c.é=,%", "é1");
  await world.settle();
  expect(told(first.reader)).toEqual(["subscribed", "a1", "é1"]);
  expect(first.reader.lastEventId).toMatch(/^\*ep\w+-\d+,c\.%C3%A9%3D%2C%25=ep\w+-2,c\.a=ep\w+-2$/);
  first.cut();
  await world.publish("c.é=,%", "é2");
  await world.publish("c.new", "n1");
  await world.publish("c.a", "a2");
  const again = await world.open("c.*", first.reader.lastEventId);
  expect(told(again.reader).toSorted()).toEqual(["a2", "n1", "subscribed", "é2"]);
  await world.publish("c.new", "n2");
  await world.settle();
  again.cut();
  const third = await world.open("c.*", again.reader.lastEventId);
  expect(told(third.reader)).toEqual(["subscribed"]);
});

/** Where a client of random cuts stands: what it has of each channel, and what it was told. */
class Ledger {
  readonly got = new Map<string, number[]>();
  readonly gaps: string[] = [];

  take(reader: EventReader, count: number): void {
    for (const { event, data } of reader.events.slice(0, count)) {
      const { channel = "" } = data;
      if (event === "gap") this.gaps.push(channel);
      if (event !== "message") continue;
      const list = this.got.get(channel) ?? [];
      list.push(Number(data.payload?.text_data));
      this.got.set(channel, list);
    }
  }
}

/**
 * A life of one client that is cut at any event and comes back.
 *
 * @returns what it has, and how many messages each channel has
 */
async function cutAtRandom(
  name: string,
  channels: readonly string[],
  random: SeededRandom,
): Promise<{ ledger: Ledger; published: ReadonlyMap<string, number> }> {
  const world = new EventWorld();
  const ledger = new Ledger();
  const published = new Map<string, number>();
  const publish = async (): Promise<void> => {
    const channel = random.pick(channels);
    const next = (published.get(channel) ?? 0) + 1;
    published.set(channel, next);
    // Long enough apart, or not, to count as still under way.
    world.clock.time += random.pick([1, 100, 30_000, 100_000]);
    await world.publish(channel, `${next}`);
  };
  let id = "";
  for (let cut = 0; cut < 8; cut++) {
    const stream = await world.open(name, id);
    for (let left = random.int(6); left > 0; left--) await publish();
    await world.settle();
    stream.cut();
    const last = cut === 7;
    // What was written need not have arrived; the first event has, so that there is a position.
    const arrived = last ? Infinity : 1 + random.int(stream.reader.events.length);
    ledger.take(stream.reader, arrived);
    if (!last) id = idAfter(stream.reader, arrived);
    for (let left = random.int(6); left > 0 && !last; left--) await publish();
  }
  return { ledger, published };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

test.each([
  ["c.a", ["c.a"]],
  ["c.*", ["c.a", "c.b", "c.c", "c.d", "c.e", "c.f"]],
])("%s: cut at any event and resumed, a client gets everything once", async (name, channels) => {
  for (let round = 0; round < steps(20); round++) {
    const { ledger, published } = await cutAtRandom(name, channels, seededRandom(seed() + round));
    expect(ledger.gaps, `seed ${seed() + round}`).toEqual([]);
    for (const [channel, count] of published) {
      const why = `${channel}, seed ${seed() + round}`;
      expect(ledger.got.get(channel), why).toEqual(upTo(count));
    }
  }
});

test("with more channels than an id holds nothing comes twice, and nothing is missing without a word", async () => {
  // Of names of this length three fit.
  const channels = ["a", "b", "c", "d", "e", "f"].map((word) => `c.${word}${"é".repeat(100)}`);
  let whole = 0;
  for (let round = 0; round < steps(40); round++) {
    const random = seededRandom(seed() + round);
    const { ledger, published } = await cutAtRandom("c.*", channels, random);
    for (const [channel, count] of published) {
      const got = ledger.got.get(channel) ?? [];
      const why = `${channel}, seed ${seed() + round}`;
      expect(got, why).toEqual([...new Set(got)].toSorted((a, b) => a - b));
      if (got.length === count) whole += 1;
      else expect(ledger.gaps.includes(channel) || ledger.gaps.includes("c.*"), why).toBe(true);
    }
  }
  expect(whole).toBeGreaterThan(0);
});

test("the id of a pattern names the 32 channels heard last, in 2,048 bytes, whatever they are called", async () => {
  for (const [wide, most] of [
    [false, 32],
    [true, 2],
  ] as const) {
    const world = new EventWorld();
    const stream = await world.open("c.*");
    for (let i = 0; i < 40; i++) {
      await world.publish(wide ? `c.${i}${"é".repeat(120)}` : `c.${i}`, "x");
    }
    await world.settle();
    const id = stream.reader.lastEventId ?? "";
    expect(id.length).toBeLessThanOrEqual(2_048);
    expect(id.split(",").length - 1).toBe(most);
    expect(id).toContain(",c.39");
    expect(readEventId("c.*", id)).toMatchObject({ channels: expect.any(Map) });
  }
});

test("of channels that no longer fit into the id nobody says that nothing was missed", async () => {
  const world = new EventWorld();
  const stream = await world.open("c.*");
  const names = Array.from({ length: 50 }, (_, i) => `c.${i}`);
  for (const name of names) {
    // Long enough apart that none counts as still under way.
    world.clock.time += 10_000;
    await world.publish(name, `${name} 1`);
  }
  await world.settle();
  stream.cut();
  for (const name of ["c.0", "c.1", "c.49"]) await world.publish(name, `${name} 2`);
  const again = await world.open("c.*", stream.reader.lastEventId);
  expect(again.reader.texts.toSorted()).toEqual(["c.0 2", "c.1 2", "c.49 2"]);
  expect(again.reader.named("gap").map(({ data }) => `${data.channel} ${data.reason}`)).toEqual(
    expect.arrayContaining(["c.0 unavailable", "c.1 unavailable"]),
  );
  // Of those that were heard shortly before the last that was let go nobody can be sure either.
  const unsure = again.reader.named("gap").map(({ data }) => Number(data.channel?.slice(2)));
  expect(unsure.filter((channel) => channel > 17)).toEqual([]);
});

test("a long replay behind a hole is let out before its verdict, and never waits for more than 1 MiB", async () => {
  const world = new EventWorld({ historySize: 100 });
  const first = await world.open("a");
  first.cut();
  const body = "x".repeat(30_000);
  for (let i = 1; i <= 105; i++) await world.publish("a", `${i} ${body}`);
  const again = await world.open("a", first.reader.lastEventId);
  await world.settle();
  const said = told(again.reader).map((text) => text.split(" x")[0]);
  const replayed = Array.from({ length: 100 }, (_, i) => `${i + 6}`);
  expect(said).toEqual(["subscribed", "gap a unavailable", ...replayed]);
  expect(again.reader.events[1]?.data).toMatchObject({
    after: { epoch: expect.any(String) },
    until: { offset: "5" },
  });
});

test("a channel that was new and long by a pattern is no hole", async () => {
  const world = new EventWorld();
  const first = await world.open("c.*");
  first.cut();
  const body = "x".repeat(30_000);
  for (let i = 1; i <= 60; i++) await world.publish("c.a", `${i} ${body}`);
  const again = await world.open("c.*", first.reader.lastEventId);
  await world.settle();
  const said = told(again.reader).map((text) => text.split(" x")[0]);
  expect(said).toEqual(["subscribed", ...Array.from({ length: 60 }, (_, i) => `${i + 1}`)]);
});

test("the end says why, and when to come back, with the position that the client has", async () => {
  const world = new EventWorld();
  const stream = await world.open("a");
  await world.publish("a", "1");
  await world.settle();
  stream.session.close(DISCONNECTS.goingAway);
  await world.publish("a", "2");
  await world.settle();
  const [, message, end, ...more] = stream.reader.events;
  expect(more).toEqual([]);
  expect(end).toEqual({
    event: "disconnect",
    retry: 5_500,
    data: { code: 3512, reason: "server going away", reconnect: true, retry_after_ms: 5_500 },
    id: message?.id,
  });
});

test("what the server subscribes beside the channel arrives, and moves no position", async () => {
  const world = new EventWorld();
  const stream = await world.open("a");
  await world.engine.subscribe(stream.session.id, ["b"]);
  await world.publish("a", "a1");
  await world.publish("b", "b1");
  await world.settle();
  const { messages } = stream.reader;
  expect(messages.map(({ data }) => data.channel).toSorted()).toEqual(["a", "b"]);
  const [begun, of] = [
    stream.reader.events[0]?.id,
    messages.find(({ data }) => data.channel === "a")?.id,
  ];
  expect([begun, of]).toContain(messages.find(({ data }) => data.channel === "b")?.id);
  stream.cut();
  const pattern = await world.open("c.*");
  await world.engine.subscribe(pattern.session.id, ["b"]);
  await world.publish("b", "b2");
  await world.settle();
  expect(readEventId("c.*", pattern.reader.lastEventId ?? "")).toMatchObject({});
});

test("what is outside of the log arrives, and moves no position", async () => {
  const world = new EventWorld();
  for (const [name, channel] of [
    ["a", "a"],
    ["c.*", "c.a"],
  ] as const) {
    const stream = await world.open(name);
    await world.publish(channel, "1");
    await world.settle();
    await world.transmit(channel, "2");
    await world.settle();
    await world.publishToSession(stream.session.id, "3");
    await world.settle();
    expect(told(stream.reader)).toEqual(["subscribed", "1", "2", "3"]);
    const [, first, second, third] = stream.reader.events;
    expect([second?.id, third?.id]).toEqual([first?.id, first?.id]);
    stream.cut();
    await world.publish(channel, "4");
    const again = await world.open(name, third?.id);
    expect(told(again.reader)).toEqual(["subscribed", "4"]);
    again.cut();
  }
});

test("a subscription that is refused ends the stream with a code", async () => {
  const world = new EventWorld({}, { maxChannels: 1 });
  const first = await world.open("a");
  expect(first.closed).toBeUndefined();
  const second = await world.open("b");
  expect(second.closed?.code).toBe(1011);
  const [end] = second.reader.events;
  expect(end).toMatchObject({
    event: "disconnect",
    id: "-",
    data: { code: 1011, reconnect: true },
  });
});
