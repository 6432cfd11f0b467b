/** What a checked upgrade agrees on: the encoding, and the header that says so. */
import { type Encoding, negotiate } from "../protocol/codec.ts";

export interface Handshake {
  readonly encoding: Encoding;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * @param request with what its client offers in `Sec-WebSocket-Protocol`
 * @example
 * handshake(new Request(url, { headers: { "Sec-WebSocket-Protocol": "messageloop+proto" } })).encoding; // "proto"
 */
export function handshake(request: Request): Handshake {
  const offers = request.headers.get("Sec-WebSocket-Protocol")?.split(",") ?? [];
  const { subprotocol, encoding } = negotiate(offers.map((offer) => offer.trim()));
  return {
    encoding,
    headers: subprotocol === undefined ? {} : { "Sec-WebSocket-Protocol": subprotocol },
  };
}
