/** What a generation does with targets that do not start. */
import { expect, test } from "vitest";
import { measureGroup } from "../../bench/measure.ts";
import type { Group, Measurement, Row } from "../../bench/row.ts";
import type { Target } from "../../bench/target.ts";

test("a target that does not start fails in each row, and the others are measured", async () => {
  const cost = { cost: 1 } as Measurement;
  const row: Row = { name: "r", question: "?", unit: "deliveries", measure: async () => cost };
  const stopped: string[] = [];
  const target = (name: string): Target => ({
    name,
    dialect: {} as Target["dialect"],
    start: async () => {
      if (name === "broken") throw new Error("a setting is unknown");
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
  const group = { host: "server", warm: async () => {}, rows } as unknown as Group;
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
    `${name} broken a setting is unknown`,
    `${name} one measured`,
    `${name} two measured`,
  ]);
  expect(said.toSorted()).toEqual([...once, ...once].toSorted());
  expect(stopped.toSorted()).toEqual(["one", "one", "two", "two"]);
});
