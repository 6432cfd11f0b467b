/**
 * Divides what the compiler has built in dist/lib into the packages that are published, each complete in a
 * folder of dist/ with a package.json of its own. Of dist/lib they take what their entries reach, and they
 * depend on the packages that this imports: whatever nobody imports any more is left out by itself.
 *
 * Arguments: another folder in the place of dist/, and the one package to be written there.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, posix, resolve } from "node:path";
import { minifySync } from "rolldown/utils";
import { folderOf, ownerOf, PACKAGES, project, versionOf } from "./packages/list.mjs";
import { sbomOf } from "./packages/sbom.mjs";
import { root } from "./run.mjs";

const [folderName, onlyName] = process.argv.slice(2);
const wanted = PACKAGES.filter(({ name }) => onlyName === undefined || name === onlyName);

/** What the compiler writes for one module. */
const PARTS = [".js", ".d.ts"];
/** What every package has beside what it names itself. */
const COMMON = ["README.md", "CHANGELOG.md", "LICENSE"];
const SBOM = "sbom.cdx.json";
/** A comment, which may show an import, or where code names a module. */
const COMMENT_OR_SPECIFIER =
  /^[ \t]*(?:\/\*[\s\S]*?\*\/|\/\/.*)|(\bfrom\s*|\bimport\s*\(?\s*)"([^"\n]+)"/gm;

/** A module of this tree, as package.json's `imports` names it. */
const OWN_MODULE = /^\.\/src\/(.+)\.ts$/;

const target = resolve(folderName ?? join(root, "dist"));
const taken = new Set();
/**
 * The text of each file in `lib`, the maps of what the compiler has made, and the packages that it imports, by package;
 * some by names that depend on the runtime.
 */
const contents = new Map(
  PACKAGES.map(({ name }) => [name, { texts: {}, maps: {}, imports: new Set(), inner: new Set() }]),
);

for (const { entries, bin } of wanted) {
  for (const module of [...Object.values(entries), ...Object.values(bin)]) take(module);
}
for (const description of wanted) write(description);

/** Takes a module, and what it imports, into the packages that own them. */
function take(module) {
  if (taken.has(module)) return;
  taken.add(module);
  const { texts, maps } = contents.get(ownerOf(module).name);
  const map = mapOf(module);
  if (map !== undefined) maps[`${module}.js`] = map;
  for (const part of PARTS) {
    const text = readFileSync(join(folderOf(module), module + part), "utf8");
    texts[module + part] = text.replace(COMMENT_OR_SPECIFIER, (all, before, name) =>
      name === undefined ? all : `${before}"${specifier(module, name)}"`,
    );
  }
}

/** The map of what the compiler has made: from the module to its source, which is inside. */
function mapOf(module) {
  const file = join(folderOf(module), `${module}.js.map`);
  if (!existsSync(file)) return undefined;
  const { version, names, mappings, sources, sourcesContent } = JSON.parse(
    readFileSync(file, "utf8"),
  );
  return { version, sources: [basename(sources[0])], sourcesContent, names, mappings };
}

/** What is to stand in a module for what it imports by `name`. */
function specifier(module, name) {
  const owner = ownerOf(module);
  const { imports, inner } = contents.get(owner.name);
  if (!name.startsWith(".")) {
    const isInner = name.startsWith("#");
    if (isInner) inner.add(name);
    for (const one of isInner ? Object.values(conditions(name)) : [name]) {
      const own = OWN_MODULE.exec(one);
      if (own !== null) take(own[1]);
      else if (!/^(?:node|cloudflare):/.test(one)) imports.add(/^(?:@[^/]+\/)?[^/]+/.exec(one)[0]);
    }
    return name;
  }
  // Declarations name sources, or leave the ending out, which Node's way of finding modules does not know.
  const relative = name.replace(/\.[jt]s$/, "");
  const target = posix.join(posix.dirname(module), relative);
  take(target);
  const other = ownerOf(target);
  if (other === owner) return `${relative}.js`;
  if (other.internal === undefined) throw new Error(`${module} must not import ${target}`);
  imports.add(other.name);
  return `${other.name}/${other.internal}/${target}`;
}

/** What a name of package.json's `imports` stands for in each runtime. Types are for the compiler here. */
function conditions(name) {
  const { types, ...others } = project.imports[name];
  return others;
}

/** The same, in a package. */
function packed(name) {
  const targets = Object.entries(conditions(name));
  return Object.fromEntries(
    targets.map(([condition, target]) => [condition, target.replace(OWN_MODULE, "./lib/$1.js")]),
  );
}

function write(description) {
  const { name, aliases, bin, files } = description;
  const folder = join(target, name);
  rmSync(folder, { recursive: true, force: true });
  const { texts, maps } = contents.get(name);
  for (const [path, target] of Object.entries(aliases)) {
    const text = `/** @deprecated Import ${target}. */\nexport * from "${target}";\n`;
    for (const part of PARTS) texts[path.slice("./".length) + part] = text;
  }
  for (const [file, text] of Object.entries(texts)) {
    const path = join(folder, "lib", file);
    if (description.shorten && file.endsWith(".js")) putShortened(path, text, maps[file]);
    else {
      put(path, text);
      if (file in maps) put(`${path}.map`, JSON.stringify(maps[file]));
    }
  }
  for (const file of globSync([...files, ...COMMON], { cwd: root })) {
    cpSync(join(root, file), join(folder, placeOf(file)), { recursive: true });
  }
  const { directory } = description;
  if (directory !== undefined) {
    cpSync(join(root, directory, "README.md"), join(folder, "README.md"));
  }
  const own = manifest(description);
  put(join(folder, "package.json"), `${JSON.stringify(own, null, 2)}\n`);
  const others = PACKAGES.filter((one) => one.name in (own.dependencies ?? {}));
  const theirs = Object.fromEntries(others.map((one) => [one.name, manifest(one)]));
  put(join(folder, SBOM), sbomOf(own, theirs, versionsOf(description.bundled)));
  const commands = Object.values(bin).map((module) => join(folder, "lib", `${module}.js`));
  setModes(folder, new Set(commands));
}

/** Gives each file the mode that it has in every build: npm packs modes, and a checkout has those of its umask. */
function setModes(folder, commands) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    // The compiler gives no file the right to run, and npm only those of packages that it installs.
    chmodSync(path, entry.isDirectory() || commands.has(path) ? 0o755 : 0o644);
  }
}

/** Where a file of the repository is in a package. */
function placeOf(file) {
  return file.replace("dist/", "");
}

/**
 * Writes a module as bundlers would make it within, with its names: constants in their places, conditions in the place
 * of statements. Bundlers do some of that themselves, but none of it over the bounds of what they take for one scope.
 * What it was made of, with its comments, stands in its map: the source where a compiler has made the module.
 */
function putShortened(path, text, inputMap) {
  const name = basename(path);
  const { code, map, errors } = minifySync(name, text, {
    module: true,
    compress: { target: "es2022" },
    mangle: false,
    codegen: { removeWhitespace: false },
    sourcemap: true,
    ...(inputMap !== undefined && { inputMap }),
  });
  if (errors.length > 0) throw new Error(`${path}: ${errors.map(({ message }) => message).join()}`);
  put(path, `${code}\n//# sourceMappingURL=${name}.map\n`);
  put(`${path}.map`, JSON.stringify(map));
}

function manifest(content) {
  const { name, description, node, entries, optional, aliases, internal, bin, files } = content;
  const { version, license, homepage, keywords, type } = project;
  const directory = content.directory !== undefined && { directory: content.directory };
  const repository = { ...project.repository, ...directory };
  const modules = { ...entries };
  for (const path of Object.keys(aliases)) modules[path] = path.slice("./".length);
  if (internal !== undefined) modules[`./${internal}/*`] = "*";
  const file = (module, ending) => `./lib/${module}${ending}`;
  const effects = content.sideEffects.map((module) => file(module, ".js"));
  const sideEffects = effects.length > 0 ? effects : project.sideEffects;
  const exported = ([path, module]) => [
    path,
    { types: file(module, ".d.ts"), default: file(module, ".js") },
  ];
  const targets = Object.values(aliases).map((target) => target.split("/")[0]);
  const peers = { ...optional, ...versionsOf(targets) };
  const needed = [...contents.get(name).imports].filter((one) => !(one in optional));
  const all = {
    ...{ name, version, description, license, repository, homepage, keywords, type, sideEffects },
    engines: { node },
    files: ["lib", ...files.map(placeOf), ...COMMON, SBOM],
    // The registry keeps where and of which commit a package was built, and takes it only where `repository` says the same.
    publishConfig: { access: "public", provenance: true },
    exports: Object.fromEntries(Object.entries(modules).map(exported)),
    imports: Object.fromEntries([...contents.get(name).inner].map((one) => [one, packed(one)])),
    bin: Object.fromEntries(
      Object.entries(bin).map(([command, module]) => [command, file(module, ".js")]),
    ),
    dependencies: versionsOf(needed.sort()),
    peerDependencies: peers,
    peerDependenciesMeta: Object.fromEntries(
      Object.keys(peers).map((peer) => [peer, { optional: true }]),
    ),
  };
  const isEmpty = (value) => typeof value === "object" && Object.keys(value).length === 0;
  return Object.fromEntries(Object.entries(all).filter(([, value]) => !isEmpty(value)));
}

function versionsOf(names) {
  return Object.fromEntries(names.map((name) => [name, versionOf(name)]));
}

function put(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
