/**
 * The packages that this entry alone needs, and that whoever uses it installs beside `messageloop`. They are loaded before
 * it is there, since most of what it exports is synchronous; without them it is there all the same, and what needs a
 * missing one says so.
 */
import { MessagingError } from "../../protocol/errors.ts";

const events = import("#cloudevents").catch(missing("cloudevents"));
const messages = import("./generated.ts").catch(missing("@bufbuild/protobuf"));
const [loadedEvents, loadedMessages] = [await events, await messages];

/** The part of the `cloudevents` package that is used. */
export interface CloudEvents {
  readonly CloudEvent: new () => { toJSON(): Record<string, unknown> };
  /** Some bundlers give what CommonJS exports here alone. */
  readonly default?: CloudEvents;
}

/**
 * The `cloudevents` package.
 *
 * @throws MessagingError UNIMPLEMENTED where it is not installed
 */
export function cloudEvents(): CloudEvents {
  const loaded = found<CloudEvents>(loadedEvents);
  return loaded.default ?? loaded;
}

/**
 * What is about messages of the generated schema.
 *
 * @throws MessagingError UNIMPLEMENTED where `@bufbuild/protobuf` is not installed
 */
export function generated(): typeof import("./generated.ts") {
  return found(loadedMessages);
}

function missing(name: string): (cause: unknown) => MessagingError {
  const text = `messageloop/v0 needs the package ${name}: npm install ${name}`;
  return (cause) => new MessagingError("UNIMPLEMENTED", text, { cause });
}

function found<Module>(loaded: Module | MessagingError): Module {
  if (!(loaded instanceof MessagingError)) return loaded;
  // Another one each time, which shows who has asked.
  throw new MessagingError(loaded.code, loaded.message, { cause: loaded.cause });
}
