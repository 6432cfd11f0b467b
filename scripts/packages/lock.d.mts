/** A package.json, or an entry of a lock file. */
export interface Entry {
  readonly [field: string]: unknown;
}

/** A lock file for a package: of what package-lock.json has, and of `own` by name. */
export function lockOf(manifest: Entry, own?: Readonly<Record<string, Entry>>): Entry;
