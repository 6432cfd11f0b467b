/** What is kept of a tail, and of an hour. */
import { expect, test } from "vitest";
import { type Point, Samples } from "../../../src/http/console/samples.ts";
import { MOST_TAILED, TailBuffer } from "../../../src/http/console/tail-buffer.ts";

test("a tail keeps the newest messages, and counts what it leaves out", () => {
  const buffer = new TailBuffer();
  buffer.look(0);
  for (let offset = 1; offset <= 10_000; offset++)
    buffer.add({ channel: "c", id: `e-${offset}`, offset });
  const { came, leftOut, messages, rate } = buffer.look(2_000);
  expect([came, leftOut, messages.length, rate]).toEqual([
    10_000,
    10_000 - MOST_TAILED,
    MOST_TAILED,
    5_000,
  ]);
  expect([messages[0]?.offset, messages.at(-1)?.offset]).toEqual([10_000, 10_001 - MOST_TAILED]);
  expect(buffer.look(60_000).rate).toBeLessThan(200);
  buffer.clear();
  expect(buffer.look(61_000)).toMatchObject({ came: 0, leftOut: 0, messages: [] });
});

const node = (name: string, publications: number) => ({ name, publications: `${publications}` });
const values = (points: readonly Point[]) => points.map(({ value }) => value);

test("rates are what nodes have counted between two looks, and none where no node was seen twice", () => {
  const samples = new Samples();
  const add = (at: number, ...nodes: readonly ReturnType<typeof node>[]): void =>
    samples.add({ as_of: `${at}`, nodes });
  add(1_000, node("a", 10), node("b", 100));
  add(3_000, node("a", 30), node("b", 100));
  // One of them has begun again under another name.
  add(4_000, node("a", 31), node("c", 500));
  add(4_000, node("a", 99));
  add(5_000, node("another", 1));
  add(6_000, node("another", 4));
  expect(values(samples.rates("publications"))).toEqual([10, 1, undefined, 3]);
  expect(values(samples.levels("publications"))).toEqual([110, 130, 531, 1, 4]);
  expect(values(samples.shared("publications"))).toEqual([100, 100, 500, 1, 4]);
  expect([samples.rate("another", "publications"), samples.rate("a", "publications")]).toEqual([
    3,
    undefined,
  ]);
  samples.failed("the server cannot be reached");
  expect([samples.problem, samples.page?.as_of]).toEqual(["the server cannot be reached", "6000"]);
});

test("where no node is known rates are none, and an hour is kept", () => {
  const samples = new Samples();
  for (let at = 0; at <= 2 * 3_600_000; at += 5_000) samples.add({ as_of: `${at}` });
  expect(samples.levels("publications")).toHaveLength(721);
  expect(samples.rates("publications").every(({ value }) => value === 0)).toBe(true);
});
