/** Apart from what runs Workers, which need not load all of wrangler. */
import { join } from "node:path";
import { unstable_readConfig } from "wrangler";
import type { Compatibility } from "./workerd.ts";

/** What the wrangler.toml of a tree says of its Worker. */
export interface WranglerTerms {
  /** Names of its Durable Object classes. */
  readonly objects: readonly string[];
  readonly terms: Compatibility;
}

export function wranglerOf(tree: string): WranglerTerms {
  const { compatibility_date, compatibility_flags, exports } = unstable_readConfig({
    config: join(tree, "wrangler.toml"),
  });
  if (compatibility_date === undefined) throw new Error(`${tree} has no compatibility date`);
  return {
    objects: Object.keys(exports ?? {}),
    terms: { compatibilityDate: compatibility_date, compatibilityFlags: compatibility_flags },
  };
}
