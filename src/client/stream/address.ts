/** Where a server's calls over HTTP are. */
import { MessagingError } from "../../protocol/errors.ts";

/**
 * The address of a path beside the one that a client was given: a proxy may have put all of them below a prefix.
 *
 * @param url such as `wss://example.com/ws`; in a page also a path
 * @returns such as `https://example.com/` and the path
 * @throws MessagingError BAD_REQUEST for a URL that is none, or of another kind
 */
export function beside(url: string, path: string): URL {
  try {
    const address = new URL(path, new URL(url, globalThis.location?.href));
    address.protocol = address.protocol.replace("ws", "http");
    if (/^https?:$/.test(address.protocol)) return address;
  } catch {
    // Told below.
  }
  throw new MessagingError("BAD_REQUEST", `${url} is no URL of ws, wss, http or https`);
}
