/** What the build reads of the bench for the calculator's page. */
import { readFileSync } from "node:fs";
import type { Results } from "../../bench/results.ts";
import type { Counted } from "./cost.ts";
import { countedBy } from "./counted.ts";

export interface Bench {
  readonly commit: string;
  readonly date: string;
  readonly counted: Counted;
}

export declare const data: Bench;

export default {
  load(): Bench {
    const file = new URL("../../bench/results.json", import.meta.url);
    const results = JSON.parse(readFileSync(file, "utf8")) as Results;
    const { commit, date } = results;
    return { commit, date, counted: countedBy(results) };
  },
};
