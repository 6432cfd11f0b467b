/** What stands above a configuration. What is no table where one should be stays, so that a check finds it. */
import { isTable } from "../engine/settings/table.ts";

/**
 * A configuration with another one laid over it: tables key by key, and everything else, lists too, as a whole.
 *
 * @param under undefined for none
 * @param over undefined for none
 * @example
 * layered({ limits: { channels: 10 } }, { limits: { message_bytes: 2_048 } });
 */
export function layered(under: unknown, over: unknown): unknown {
  if (over === undefined) return under;
  if (!isTable(under) || !isTable(over)) return over;
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    merged[key] = Object.hasOwn(under, key) ? layered(under[key], value) : value;
  }
  return merged;
}

/**
 * A configuration with another value at one path.
 *
 * @example
 * replaced(config, ["api", "keys"], { secret: "API_KEYS" });
 */
export function replaced(config: unknown, path: readonly string[], value: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (!isTable(config ?? {})) return config;
  const table: Record<string, unknown> = { ...(config as object | undefined) };
  // The other name of an address would contradict it.
  if (key === "addr") delete table["address"];
  return { ...table, [key]: replaced(table[key], rest, value) };
}
