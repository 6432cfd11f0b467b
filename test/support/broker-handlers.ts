/** What hosts' own brokers call, for tests that bring what only a broker can bring. */
import type { Broker, BrokerHandler } from "../../src/engine/ports/broker.ts";

const handlers = new WeakMap<Broker, BrokerHandler>();

/** From now on `handlerOf` knows the brokers of this class. */
export function rememberHandlers({ prototype }: { readonly prototype: Broker }): void {
  const { start } = prototype;
  prototype.start = function (handler, interest) {
    handlers.set(this, handler);
    start.call(this, handler, interest);
  };
}

/** What an engine has given to its broker. */
export function handlerOf(broker: Broker): BrokerHandler {
  const handler = handlers.get(broker);
  if (handler === undefined) throw new Error("nobody remembers handlers of this broker's class");
  return handler;
}
