/** The dialects by name. A new one is a line here. */
import type { Dialect, DialectSpec } from "../dialect.ts";
import { bareDialect } from "./bare.ts";
import { type MessageLoopOptions, messageLoopDialect } from "./messageloop.ts";

const DIALECTS: Readonly<Record<string, (options: unknown) => Dialect>> = {
  messageloop: (options) => messageLoopDialect(options as MessageLoopOptions),
  bare: bareDialect,
};

/** @throws Error when there is no such dialect */
export function dialectOf({ name, options }: DialectSpec): Dialect {
  const make = DIALECTS[name];
  if (make === undefined) throw new Error(`there is no dialect "${name}"`);
  return make(options);
}
