/** What is kept of a tail, and of an hour. */
import { expect, test } from "vitest";
import { Samples } from "../../../src/http/console/samples.ts";
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

const node = (publications: number, more: object = {}) => ({
  name: "n",
  publications: `${publications}`,
  ...more,
});

test("rates are what was counted between two looks, and none between two lives of a node", () => {
  const samples = new Samples();
  samples.add({ at: 1_000, node: node(10) });
  samples.add({ at: 3_000, node: node(30) });
  samples.add({ at: 5_000, node: { ...node(1), name: "another" } });
  samples.add({ at: 6_000, node: { ...node(4), name: "another" } });
  expect(samples.rates("publications").map(({ value }) => value)).toEqual([10, undefined, 3]);
  expect(samples.levels("publications").map(({ value }) => value)).toEqual([10, 30, 1, 4]);
});

test("an hour is kept, and gaps and slow consumers as they happen", () => {
  const samples = new Samples();
  for (let at = 0; at <= 2 * 3_600_000; at += 5_000) samples.add({ at, node: node(at) });
  expect(samples.levels("publications")).toHaveLength(721);
  expect(samples.incidents).toEqual([]);
  const at = 2 * 3_600_000 + 5_000;
  samples.add({ at, node: node(0, { slow_consumers: "2", gaps: { expired: "1" } }) });
  expect(samples.incidents).toEqual([
    { at, what: "gap: expired", count: 1 },
    { at, what: "slow consumer closed", count: 2 },
  ]);
});
