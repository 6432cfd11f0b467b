/** Name resolution for connections to backends: what is checked is what is connected to. */
import { type LookupAddress, type LookupOptions, lookup } from "node:dns";
import type { LookupFunction } from "node:net";
import type { AddressGuard } from "../../proxy/addresses.ts";

type Resolve = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** A name that has no address that may be connected to. Its text is for the log. */
export class RefusedAddress extends Error {
  override readonly name = "RefusedAddress";
}

/**
 * A `lookup` for `net.connect` and clients that pass it on, which gives only addresses that a guard lets pass. Addresses
 * that are written out never come here: the configuration has checked them.
 *
 * @param resolve default: as the machine resolves names
 */
export function guardedLookup(guard: AddressGuard, resolve: Resolve = lookup): LookupFunction {
  return (hostname, { all, ...options }, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) {
        callback(error, "");
        return;
      }
      const problems = found.map(({ address }) => guard.problem(address));
      const passed = found.filter((_, index) => problems[index] === undefined);
      const [first] = passed;
      if (first === undefined) {
        const problem = problems.find((one) => one !== undefined) ?? "no address";
        callback(new RefusedAddress(`the host of the backend has ${problem}`), "");
      } else if (all === true) callback(null, passed);
      else callback(null, first.address, first.family);
    });
  };
}
