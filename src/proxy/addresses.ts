/**
 * Addresses that no backend has: those of the link, where clouds hand out credentials to any caller, and those
 * that are no single host's. An address of IPv4 is found in every form in which IPv6 carries one.
 */

/** The bytes of an address: 4, or 16. */
type Bytes = readonly number[];

interface Network {
  readonly bytes: Bytes;
  /** How many bits of it say that an address belongs to it. */
  readonly bits: number;
}

/** What may be connected to nowhere, and what it is. */
const REFUSED: readonly (readonly [network: string, what: string])[] = [
  ["0.0.0.0/8", "no host's address"],
  ["169.254.0.0/16", "a link-local address"],
  ["100.100.100.200", "a metadata service"],
  ["168.63.129.16", "a metadata service"],
  ["192.0.0.192", "a metadata service"],
  ["224.0.0.0/4", "a multicast address"],
  ["240.0.0.0/4", "no host's address"],
  ["::", "no host's address"],
  ["fe80::/10", "a link-local address"],
  ["ff00::/8", "a multicast address"],
  ["fd00:ec2::254", "a metadata service"],
  ["fd20:ce::254", "a metadata service"],
  ["fd00:42::42", "a metadata service"],
];

/** Networks of IPv6 whose addresses carry one of IPv4, and the byte at which it begins. */
const CARRIERS: readonly (readonly [network: string, at: number])[] = [
  ["::ffff:0:0/96", 12],
  ["::ffff:0:0:0/96", 12],
  ["::/96", 12],
  ["64:ff9b::/96", 12],
  ["64:ff9b:1::/48", 12],
  ["2002::/16", 2],
];

const refused = REFUSED.map(([text, what]) => ({ network: networkOf(text), what }));
const loopback = ["127.0.0.0/8", "::1"].map(networkOf);
const carriers = CARRIERS.map(([text, at]) => ({ network: networkOf(text), at }));

/** Decides which addresses a backend may have. */
export class AddressGuard {
  readonly #allowed: readonly Network[];

  /** @param allowed addresses and networks that may be connected to all the same, in the form that `isNetwork` accepts */
  constructor(allowed: readonly string[] = []) {
    this.#allowed = allowed.map(networkOf);
  }

  /**
   * What is wrong with an address of either family, without brackets; undefined where it may be connected to. What
   * is no address may not.
   *
   * @example
   * new AddressGuard().problem("::ffff:169.254.169.254"); // "a link-local address"
   */
  problem(address: string): string | undefined {
    const bytes = parseAddress(address.split("%", 1)[0] ?? "");
    if (bytes === undefined) return "no address";
    const forms = formsOf(bytes);
    if (forms.some((form) => this.#allowed.some((network) => holds(network, form)))) {
      return undefined;
    }
    for (const form of forms) {
      const found = refused.find(({ network }) => holds(network, form));
      if (found !== undefined) return found.what;
    }
    return undefined;
  }
}

/** Whether a text is an address or a network, such as `10.1.2.3`, `10.0.0.0/8` or `fd00::/8`. */
export function isNetwork(text: string): boolean {
  return parseNetwork(text) !== undefined;
}

/** Whether a text is an address of either family, without brackets. */
export function isAddress(text: string): boolean {
  return parseAddress(text) !== undefined;
}

/** Whether an address is this machine's own. */
export function isLoopback(address: string): boolean {
  const bytes = parseAddress(address);
  if (bytes === undefined) return false;
  return formsOf(bytes).some((form) => loopback.some((own) => holds(own, form)));
}

/** An address, and the one of IPv4 that it carries. */
function formsOf(bytes: Bytes): readonly Bytes[] {
  if (bytes.length === 4) return [bytes];
  const carried = carriers
    .filter(({ network }) => holds(network, bytes))
    .map(({ at }) => bytes.slice(at, at + 4));
  // The first addresses of all carry none: they stand for no host, and for this machine.
  const own = bytes.slice(0, 15).every((byte) => byte === 0);
  return own ? [bytes] : [bytes, ...carried];
}

function holds({ bytes, bits }: Network, address: Bytes): boolean {
  if (bytes.length !== address.length) return false;
  for (let at = 0; at * 8 < bits; at++) {
    const mask = 0xff & (0xff << Math.max(0, 8 - (bits - at * 8)));
    if (((bytes[at] ?? 0) & mask) !== ((address[at] ?? 0) & mask)) return false;
  }
  return true;
}

function networkOf(text: string): Network {
  const network = parseNetwork(text);
  if (network === undefined) throw new Error(`${text} is no network`);
  return network;
}

function parseNetwork(text: string): Network | undefined {
  const [, address = "", digits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const bytes = parseAddress(address);
  if (bytes === undefined) return undefined;
  const bits = digits === undefined ? bytes.length * 8 : Number(digits);
  return bits <= bytes.length * 8 ? { bytes, bits } : undefined;
}

function parseAddress(text: string): Bytes | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

function parseIpv4(text: string): Bytes | undefined {
  const parts = text.split(".");
  const valid = parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part));
  if (!valid || parts.some((part) => Number(part) > 255)) return undefined;
  return parts.map(Number);
}

function parseIpv6(text: string): Bytes | undefined {
  const [left = "", right, ...more] = text.split("::");
  if (more.length > 0) return undefined;
  const before = groupsOf(left, right === undefined);
  const after = right === undefined ? [] : groupsOf(right, true);
  if (before === undefined || after === undefined) return undefined;
  const missing = 16 - before.length - after.length;
  if (right === undefined ? missing !== 0 : missing < 2) return undefined;
  return [...before, ...new Array<number>(missing).fill(0), ...after];
}

/** The bytes of groups with colons between; the last may be an address of IPv4 where the text ends with it. */
function groupsOf(text: string, last: boolean): Bytes | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [index, group] of groups.entries()) {
    const ipv4 = last && index === groups.length - 1 ? parseIpv4(group) : undefined;
    if (ipv4 !== undefined) bytes.push(...ipv4);
    else if (/^[\da-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16);
      bytes.push(value >> 8, value & 0xff);
    } else return undefined;
  }
  return bytes;
}
