/** The suite as tests: one for each run of a case. */
import { afterAll, describe, expect, test } from "vitest";
import type { Host } from "./host.ts";
import { obstacle, plan, run, Servers } from "./runner.ts";
import { VARIANTS, type Variant } from "./variants.ts";

/** The servers of cases that measure: nothing may run beside them. */
export const MEASURED: readonly Variant[] = ["load"];
/** All others. */
export const PLAIN: readonly Variant[] = (Object.keys(VARIANTS) as Variant[]).filter(
  (variant) => !MEASURED.includes(variant),
);

export function conformance(host: Host, variants: readonly Variant[]): void {
  const servers = new Servers(host);
  const planned = plan(host);
  afterAll(() => servers.stop());
  for (const variant of variants) {
    describe(`${host.capabilities?.name}, server ${variant}`, () => {
      for (const one of planned.filter(({ server }) => server === variant)) {
        test(one.name, async () => {
          // On a host of our own nothing may be passed over.
          expect(obstacle(host, one)).toBeUndefined();
          await run(host, await servers.get(one.server), one);
        });
      }
    });
  }
}
