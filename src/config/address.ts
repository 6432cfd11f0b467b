/** Where a listener listens, written as in Go: `host:port`, or `:port` for every interface. */
export interface Address {
  /** Undefined means every interface. */
  readonly host: string | undefined;
  /** 0 takes a free one. */
  readonly port: number;
}

/** Reads an address; undefined for anything else. IPv6 stands in brackets. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([\da-fA-F:.]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  const host = match[1] ?? match[2] ?? "";
  return { host: host === "" ? undefined : host, port };
}

/** For logs: the address as it was written. */
export function formatAddress({ host, port }: Address): string {
  if (host === undefined) return `:${port}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
