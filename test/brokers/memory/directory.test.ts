/** The directory of a single process: the shared cases, how long channels are listed, and how long one look takes. */
import { expect, test } from "vitest";
import { MemoryBroker } from "../../../src/brokers/memory/broker.ts";
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../../src/channels/rules.ts";
import { clock, timers } from "../../../src/server/platform.ts";
import { directoryOf, directorySuite, names, page, published } from "../directory-suite.ts";

function newBroker(now = clock.now, nextTurn: (callback: () => void) => void = setImmediate) {
  const rules = new RuleBook([
    { pattern: "brief.**", rules: { ...DEFAULT_CHANNEL_RULES, positionTtlMs: 1_000 } },
  ]);
  let epochs = 0;
  const epoch = (): string => `e${++epochs}`;
  return new MemoryBroker({ clock: { now }, timers, nextTurn, random: { epoch }, rules });
}

directorySuite("the directory in memory", async (body) => {
  const broker = newBroker();
  broker.start({
    publications: () => {},
    transients: () => {},
    gap: () => {},
    patternGap: () => {},
    presence: () => {},
    presenceLost: () => {},
  });
  await body({ nodes: [broker, broker], word: "word" });
});

test("a channel is listed for its position ttl after the last publish and the last subscriber", async () => {
  let now = 1_700_000_000_000;
  const broker = newBroker(() => now);
  await published(broker, "brief.a");
  await broker.subscribe("brief.b");
  now += 999;
  expect(await names(broker, "brief.*", 2)).toEqual(["brief.a", "brief.b"]);
  now += 1;
  expect(await names(broker, "brief.*", 1)).toEqual(["brief.b"]);
  broker.unsubscribe("brief.b");
  expect(await names(broker, "brief.*", 1)).toEqual(["brief.b"]);
  now += 1_000;
  expect(await names(broker, "brief.*", 0)).toEqual([]);
});

test("however many channels there are, a list of them holds up nobody for long", async () => {
  let turns = 0;
  const broker = newBroker(clock.now, (callback) => {
    turns += 1;
    setImmediate(callback);
  });
  for (let i = 0; i < 21_000; i++) await broker.subscribe(`many.c${i}`);
  turns = 0;
  const { channels, next } = await page(broker, { pattern: "many.*", limit: 2 });
  expect(channels.map(({ channel }) => channel)).toEqual(["many.c0", "many.c1"]);
  expect(next).toBe("many.c1");
  expect(turns).toBe(4);
  expect(await directoryOf(broker).sessions("nobody")).toEqual([]);
});
