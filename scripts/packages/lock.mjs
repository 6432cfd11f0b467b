/** The part of package-lock.json that a package needs: what npm installs for it, of the versions that are tested here. */
import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { root } from "../run.mjs";

/** What an entry says of its place in this tree, which is another one elsewhere. */
const PLACED = new Set(["dev", "devOptional", "optional", "peer", "extraneous"]);

/**
 * A lock file for a package, as `npm ci` and `npm sbom` read it.
 *
 * @param manifest its package.json
 * @param own what it depends on that is made here and not in package-lock.json: entries of a lock file, by name
 */
export function lockOf(manifest, own = {}) {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  /** Path in node_modules to whether something cannot do without it. */
  const reached = new Map();

  /** Where a package finds another one: as Node looks for it, from the inside outwards. */
  const found = (from, name) => {
    for (let place = from; ; place = posix.dirname(place)) {
      const path = posix.join(place, "node_modules", name);
      if (path in packages) return path;
      if (place === "" || place === ".") return undefined;
    }
  };
  const follow = (from, { dependencies, optionalDependencies, ...others }, isNeeded) => {
    const { peerDependencies = {}, peerDependenciesMeta = {} } = others;
    const peers = Object.keys(peerDependencies).filter(
      (name) => peerDependenciesMeta[name]?.optional !== true,
    );
    for (const name of [...Object.keys(dependencies ?? {}), ...peers]) reach(from, name, isNeeded);
    for (const name of Object.keys(optionalDependencies ?? {})) reach(from, name, false);
  };
  const reach = (from, name, isNeeded) => {
    const path = name in own ? posix.join("node_modules", name) : found(from, name);
    if (path === undefined) {
      if (isNeeded) throw new Error(`package-lock.json has no ${name}, which ${from} needs`);
      return;
    }
    if (reached.get(path) ?? (!isNeeded && reached.has(path))) return;
    reached.set(path, isNeeded);
    follow(name in own ? "" : path, own[name] ?? packages[path], isNeeded);
  };

  const { devDependencies, ...lasting } = manifest;
  follow("", lasting, true);
  follow("", { dependencies: devDependencies }, true);
  const entries = [...reached].sort(([one], [other]) => (one < other ? -1 : 1));
  return {
    name: manifest.name,
    version: manifest.version,
    lockfileVersion: 3,
    requires: true,
    packages: {
      "": manifest,
      ...Object.fromEntries(
        entries.map(([path, isNeeded]) => {
          const entry = own[posix.relative("node_modules", path)] ?? packages[path];
          const lasting = Object.entries(entry).filter(([key]) => !PLACED.has(key));
          return [
            path,
            { ...Object.fromEntries(lasting), ...(isNeeded ? {} : { optional: true }) },
          ];
        }),
      ),
    },
  };
}
