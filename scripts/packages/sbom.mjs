/** What a package is made of and depends on, as npm says it in CycloneDX. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { lockOf } from "./lock.mjs";

/**
 * A bill of materials: the package, and all that npm installs with it, with licenses and digests. The same package has the
 * same one at any time and on any machine, so it has neither a serial number nor a time, nor the version of npm.
 *
 * @param manifest the package.json of the package
 * @param own the package.json of packages that it depends on and that are published with it, by name
 * @param bundled packages that are part of its files, with their versions
 */
export function sbomOf(manifest, own, bundled) {
  const place = mkdtempSync(join(tmpdir(), "messageloop-sbom-"));
  // npm takes the name from the folder.
  const folder = join(place, manifest.name);
  try {
    // Programs that use an optional entry install what that needs: it does not come with the package.
    const { peerDependencies, peerDependenciesMeta, ...others } = manifest;
    const shipped = { ...others, dependencies: { ...manifest.dependencies, ...bundled } };
    mkdirSync(folder);
    writeFileSync(join(folder, "package.json"), JSON.stringify(shipped));
    writeFileSync(join(folder, "package-lock.json"), JSON.stringify(lockOf(shipped, own)));
    return `${JSON.stringify(lasting(npmSbom(folder)), null, 2)}\n`;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

function npmSbom(folder) {
  const args = ["sbom", "--package-lock-only", "--sbom-format", "cyclonedx"];
  const path = [dirname(process.execPath), process.env.PATH ?? ""].join(delimiter);
  const { status, stdout, stderr, error } = spawnSync("npm", [...args, "--sbom-type", "library"], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, PATH: path, npm_config_update_notifier: "false" },
  });
  if (status !== 0) throw new Error(`npm sbom failed: ${error ?? ""}\n${stdout}${stderr}`);
  return JSON.parse(stdout);
}

/** What does not change from one build to the next. */
function lasting({ serialNumber, metadata, ...bom }) {
  const { timestamp, tools, ...others } = metadata;
  const named = tools.map(({ vendor, name }) => ({ vendor, name }));
  const { $schema, bomFormat, specVersion, version, ...rest } = bom;
  return {
    $schema,
    bomFormat,
    specVersion,
    version,
    metadata: { ...others, tools: named },
    ...rest,
  };
}
