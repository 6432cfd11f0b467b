/** The dialects by name. A new one is a line here. */
import type { Dialect, DialectSpec } from "../dialect.ts";
import { bareDialect } from "./bare.ts";
import { type CentrifugoOptions, centrifugoDialect } from "./centrifugo.ts";
import { type MessageLoopOptions, messageLoopDialect } from "./messageloop.ts";
import { socketIoDialect } from "./socketio.ts";

const DIALECTS: Readonly<Record<string, (options: unknown) => Dialect>> = {
  messageloop: (options) => messageLoopDialect(options as MessageLoopOptions),
  bare: bareDialect,
  "socket.io": socketIoDialect,
  centrifugo: (options) => centrifugoDialect(options as CentrifugoOptions),
};

/** @throws Error when there is no such dialect */
export function dialectOf({ name, options }: DialectSpec): Dialect {
  const make = DIALECTS[name];
  if (make === undefined) throw new Error(`there is no dialect "${name}"`);
  return make(options);
}
