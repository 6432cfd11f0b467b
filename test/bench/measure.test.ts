/** What a generation does with targets that do not start, or fail before they are measured. */
import { expect, test } from "vitest";
import { measureGroup } from "../../bench/measure.ts";
import type { Group, Measurement, Row } from "../../bench/row.ts";
import type { Target } from "../../bench/target.ts";

test.each([
  ["does not start", { stops: 2 }],
  ["fails while it warms up", { stops: 3 }],
])("a target that %s fails in each row, and the others are measured", async (how, { stops }) => {
  const cost = { cost: 1 } as Measurement;
  const row: Row = { name: "r", question: "?", unit: "deliveries", measure: async () => cost };
  const stopped: string[] = [];
  const target = (name: string): Target => ({
    name,
    dialect: {} as Target["dialect"],
    start: async () => {
      if (name === "broken" && how === "does not start") throw new Error("it broke");
      return {
        port: 0,
        pids: [],
        stop: async () => {
          stopped.push(name);
        },
      };
    },
  });
  const targets = ["one", "broken", "two"].map(target);
  const rows = [row, { ...row, name: "s" }];
  const warm: Group["warm"] = async ({ target: { name } }) => {
    if (name === "broken") throw new Error("it broke");
  };
  const group = { host: "server", warm, rows } as unknown as Group;
  const said: string[] = [];
  await measureGroup(group, {
    targets,
    rows,
    generations: 2,
    seconds: 0,
    saturate: false,
    measured: ({ name }, { name: on }, measurement) => {
      said.push(`${name} ${on} ${measurement instanceof Error ? measurement.message : "measured"}`);
    },
  });
  const once = ["r", "s"].flatMap((name) => [
    `${name} broken it broke`,
    `${name} one measured`,
    `${name} two measured`,
  ]);
  expect(said.toSorted()).toEqual([...once, ...once].toSorted());
  expect(stopped.length).toBe(2 * stops);
  expect(new Set(stopped).size).toBe(stops);
});
