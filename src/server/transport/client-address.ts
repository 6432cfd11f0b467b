/**
 * The network address of a client, in one form for every listener and for every proxy before the
 * server: IPv4 as IPv4, never as IPv6, and without brackets, port and zone.
 */
import type { IncomingHttpHeaders } from "node:http";
import { BlockList, isIPv4, isIPv6, type Socket, SocketAddress } from "node:net";
import type { TLSSocket } from "node:tls";
import type { KeyPeer } from "../../http/keys/keys.ts";

/** A request, of either version of HTTP. */
interface PeerRequest {
  readonly socket: Socket;
  readonly headers: IncomingHttpHeaders;
}

/** Proxies whose word is taken, as addresses and networks such as `10.0.0.0/8`. */
export class TrustedProxies {
  readonly #networks = new BlockList();
  readonly #none: boolean;

  /** @param networks in the form that `isNetwork` accepts */
  constructor(networks: readonly string[] = []) {
    this.#none = networks.length === 0;
    for (const network of networks) {
      const [address = "", bits] = network.split("/", 2);
      const family = isIPv4(address) ? "ipv4" : "ipv6";
      if (bits === undefined) this.#networks.addAddress(address, family);
      else this.#networks.addSubnet(address, Number(bits), family);
    }
  }

  /**
   * Where a request comes from. Of what proxies say the address counts that stands farthest right and is
   * no proxy's: everything before it the client may have written itself.
   *
   * @param peer the other end of the connection, as the runtime names it
   * @returns empty where it is not known
   */
  clientOf(peer: string | undefined, headers: IncomingHttpHeaders): string {
    const direct = plainAddress(peer ?? "") ?? "";
    if (this.#none || !this.#trusts(direct)) return direct;
    const chains = [xForwardedFor(headers), forwarded(headers)].filter((chain) => chain.length > 0);
    const found = new Set(chains.map((chain) => this.#client(direct, chain)));
    // A proxy writes one of the two. Where both are there and differ, the client may have written the other.
    const [only = direct] = found;
    return found.size > 1 ? direct : only;
  }

  /** Whether what comes from there has been on no network that others could read. */
  vouchesFor(peer: string | undefined): boolean {
    const direct = plainAddress(peer ?? "") ?? "";
    return direct === "::1" || direct.startsWith("127.") || this.#trusts(direct);
  }

  /** The other end of a request that brings a key. */
  peerOf({ socket, headers }: PeerRequest): KeyPeer {
    const { remoteAddress } = socket;
    const encrypted = (socket as Partial<TLSSocket>).encrypted === true;
    const exposed = !encrypted && !this.vouchesFor(remoteAddress);
    return { address: this.clientOf(remoteAddress, headers), exposed };
  }

  #client(direct: string, chain: readonly string[]): string {
    let last = direct;
    for (const text of chain.toReversed()) {
      const address = plainAddress(text);
      // What cannot be read says nothing of what stands before it either.
      if (address === undefined) return last;
      if (!this.#trusts(address)) return address;
      last = address;
    }
    return last;
  }

  #trusts(address: string): boolean {
    if (isIPv4(address)) return this.#networks.check(address, "ipv4");
    return isIPv6(address) && this.#networks.check(address, "ipv6");
  }
}

/** An address in its one form; undefined for what is none. */
export function plainAddress(text: string): string | undefined {
  const [, inBrackets, withPort] =
    /^(?:\[([^\]]*)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+)$/.exec(text.trim()) ?? [];
  const [bare = ""] = (inBrackets ?? withPort ?? text.trim()).split("%", 1);
  if (isIPv4(bare)) return bare;
  if (!isIPv6(bare)) return undefined;
  const { address } = new SocketAddress({ address: bare, family: "ipv6" });
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address) ?? [];
  return mapped ?? address;
}

function xForwardedFor(headers: IncomingHttpHeaders): string[] {
  return listOf(headers["x-forwarded-for"]);
}

/** The parameter `for` of each hop. One that does not say it ends what is known. */
function forwarded(headers: IncomingHttpHeaders): string[] {
  return listOf(headers["forwarded"]).map((hop) => {
    const [, quoted, bare] = /(?:^|;)\s*for=(?:"([^"]*)"|([^;\s]*))/i.exec(hop) ?? [];
    return quoted ?? bare ?? "";
  });
}

function listOf(header: string | readonly string[] | undefined): string[] {
  const text = typeof header === "string" ? header : (header ?? []).join(",");
  return text === "" ? [] : text.split(",").map((part) => part.trim());
}
