/** The suite as tests: one for each run of a case. */
import { afterAll, describe, expect, test } from "vitest";
import type { Case } from "./case.ts";
import type { Host } from "./host.ts";
import { type Lane, lanes, measuring } from "./lanes.ts";
import { obstacle, oneOf, plan, run, Servers } from "./runner.ts";

/** All cases but those that measure. */
export function conformance(host: Host): void {
  tests(host, lanes(plan(host)));
}

/** The cases that measure. */
export function measurements(host: Host): void {
  tests(host, [measuring(plan(host))]);
}

/**
 * Certain cases alone, but those that measure, one server after the other. A case is run once, the kinds of clients in turn, so
 * that all are there: the other runs differ in nothing that the host has of its own.
 */
export function casesOf(host: Host, cases: readonly Case[]): void {
  const planned = plan(host).filter(({ server }) => server !== "load");
  const chosen = cases.flatMap((one, index) => {
    const runs = planned.filter((run) => run.case === one);
    return oneOf(runs, index);
  });
  tests(host, [planned.filter((run) => chosen.includes(run))]);
}

function tests(host: Host, beside: readonly Lane[]): void {
  afterAll(() => host.stop?.());
  describe(`${host.capabilities?.name}`, { concurrent: false }, () => {
    for (const [i, lane] of beside.entries()) {
      describe.concurrent(`lane ${i + 1}`, () => inTurn(host, lane));
    }
  });
}

function inTurn(host: Host, lane: Lane): void {
  const servers = new Servers(host);
  afterAll(() => servers.stop());
  for (const variant of new Set(lane.map(({ server }) => server))) {
    describe(`server ${variant}`, { concurrent: false }, () => {
      for (const one of lane.filter(({ server }) => server === variant)) {
        test(one.name, async () => {
          // On a host of our own nothing may be passed over.
          expect(obstacle(host, one)).toBeUndefined();
          await run(host, await servers.get(one.server), one);
        });
      }
    });
  }
}
