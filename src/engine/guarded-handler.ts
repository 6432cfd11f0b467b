/** The wall between a broker and the sessions that it serves. */
import type { BrokerHandler } from "./ports/broker.ts";

/**
 * A handler that never throws, as brokers are promised: what goes wrong in handing over is told to
 * `failed`, with what was handed over, and goes no further.
 */
export function guardedHandler(
  handler: BrokerHandler,
  failed: (what: string, error: unknown) => void,
): BrokerHandler {
  const guard = <A extends unknown[]>(what: string, action: (...all: A) => void) => {
    return (...all: A): void => {
      try {
        action(...all);
      } catch (error) {
        failed(what, error);
      }
    };
  };
  return {
    publications: guard("publications", (...all) => handler.publications(...all)),
    gap: guard("gap", (...all) => handler.gap(...all)),
    patternGap: guard("gap of a pattern", (...all) => handler.patternGap(...all)),
    presence: guard("presence", (...all) => handler.presence(...all)),
    presenceLost: guard("members", (...all) => handler.presenceLost(...all)),
  };
}
