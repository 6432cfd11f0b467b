/**
 * What a server and a client agree on about permessage-deflate (RFC 7692). Neither side keeps anything from one
 * message to the next: a frame is compressed once for all who agreed, and no connection has a window of its own.
 */

const NAME = "permessage-deflate";
const TERMS = [NAME, "server_no_context_takeover", "client_no_context_takeover"];
/** The window of what the server sends, which is the same for all. */
const WINDOW_BITS = "15";

/** A parameter with its value, if it has one. */
const PARAMETER = /^([\w!#$%&'*+\-.^`|~]+)(?:=("?)([\w!#$%&'*+\-.^`|~]+)\2)?$/;

/**
 * The answer to what a client offers in `Sec-WebSocket-Extensions`: the first offer that the server can keep to.
 * Undefined where there is none, and then nothing is compressed.
 *
 * @param offers the header's value
 * @example
 * agreement("permessage-deflate; client_max_window_bits");
 * // "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
 */
export function agreement(offers: string): string | undefined {
  for (const offer of offers.split(",")) {
    const [name, ...parameters] = offer.split(";").map((part) => part.trim());
    const answer = name === NAME ? answerTo(parameters) : undefined;
    if (answer !== undefined) return answer;
  }
  return undefined;
}

/** Undefined where the offer has to be declined: for what it asks, and for what is no parameter. */
function answerTo(parameters: readonly string[]): string | undefined {
  const asked = new Map<string, string | undefined>();
  for (const parameter of parameters) {
    const [, name, , value] = PARAMETER.exec(parameter) ?? [];
    if (name === undefined || asked.has(name) || !isMet(name, value)) return undefined;
    asked.set(name, value);
  }
  const window = asked.get("server_max_window_bits");
  return [...TERMS, ...(window === undefined ? [] : [`server_max_window_bits=${window}`])].join(
    "; ",
  );
}

function isMet(name: string, value: string | undefined): boolean {
  switch (name) {
    case "server_no_context_takeover":
    case "client_no_context_takeover":
      return value === undefined;
    case "server_max_window_bits":
      return value === WINDOW_BITS;
    case "client_max_window_bits":
      // Whatever window a client has, the largest reads it.
      return value === undefined || /^(?:[89]|1[0-5])$/.test(value);
    default:
      return false;
  }
}
