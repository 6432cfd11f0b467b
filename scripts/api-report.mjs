/**
 * Writes test/repo/api: for each entry of each package what programs can import of it, as the declarations that the compiler has
 * built say it, and for each package the other declarations that these name. A change of the API is a change of these
 * files, which a review sees. `tsc -b` first; a test compares them.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { parseSync } from "rolldown/utils";
import { folderOf, PACKAGES } from "./packages/list.mjs";
import { root } from "./run.mjs";

export const folder = join(root, "test/repo/api");

/** What is generated from proto/ is not repeated: the files there are the contract. */
const GENERATED = "protocol/gen/";
/** Parts of a node that hold names of its own, not of something that is declared elsewhere. */
const OWN_NAMES = {
  TSPropertySignature: ["key"],
  TSMethodSignature: ["key"],
  PropertyDefinition: ["key"],
  MethodDefinition: ["key"],
  TSAbstractMethodDefinition: ["key"],
  TSAbstractPropertyDefinition: ["key"],
  TSQualifiedName: ["right"],
  TSNamedTupleMember: ["label"],
  TSTypeParameter: ["name"],
  TSTypePredicate: ["parameterName"],
  TSEnumMember: ["id"],
  TSMappedType: ["key"],
};

/** What an import takes that names nothing. */
const IMPORTED = { ImportDefaultSpecifier: "default", ImportNamespaceSpecifier: "*" };

const modules = new Map();

if (import.meta.main) {
  rmSync(folder, { recursive: true, force: true });
  for (const [file, text] of reports()) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
}

/** Path below `folder` to the text of each report. */
export function reports() {
  return new Map(PACKAGES.flatMap(({ name, entries }) => reportsOf(name, Object.entries(entries))));
}

/** The reports of a package: one of each entry, and one of what their exports name. */
function reportsOf(name, entries) {
  /** Module and name of each declaration, to itself. Those that are exported know the entry. */
  const placed = new Map();
  const foreign = new Map();
  const files = entries.map(([path, module]) => {
    const entry = posix.join(name, path);
    const exported = exportsOf(module).map((as) => ({ as, ...resolve(module, as) }));
    for (const one of exported) place(placed, foreign, one, entry);
    const file = path === "." ? "index" : path.slice("./".length);
    return [`${name}/${file}.txt`, textOfEntry(entry, exported, placed)];
  });
  // What a declaration names may name others.
  for (const { module, name: declared } of placed.values()) {
    for (const node of load(module).declared.get(declared)) {
      for (const target of namesIn(module, node)) place(placed, foreign, target);
    }
  }
  if (files.length === 0) return [];
  const named = [...placed.values()].filter(({ entry }) => entry === undefined);
  return [...files, [`${name}/named.txt`, textOfNamed(name, named, foreign)]];
}

/** Gives a declaration its place, once. The place of what is exported is the first entry that does so. */
function place(placed, foreign, { module, name, package: of, as }, entry) {
  if (of !== undefined) foreign.set(of, (foreign.get(of) ?? new Set()).add(shown(name, as)));
  else if (!placed.has(keyOf({ module, name }))) {
    placed.set(keyOf({ module, name }), { module, name, entry });
  }
}

function keyOf({ module, name }) {
  return `${module} ${name}`;
}

function textOfEntry(entry, exported, placed) {
  const own = [];
  const elsewhere = new Map();
  for (const one of exported) {
    const first = one.package ?? placed.get(keyOf(one)).entry;
    if (first === entry) own.push(one);
    else elsewhere.set(first, [...(elsewhere.get(first) ?? []), shown(one.name, one.as)]);
  }
  const texts = own.map((one) =>
    one.as === one.name ? textOf(one) : `export as ${one.as}:\n${textOf(one)}`,
  );
  const lines = [...elsewhere].sort(([one], [other]) => compare(one, other));
  const listed = lines.map(([from, names]) => `of ${from}: ${names.sort(compare).join(", ")}`);
  return `${[`# ${entry}`, ...texts.sort(compare), ...listed].join("\n\n")}\n`;
}

function textOfNamed(name, named, foreign) {
  const lines = [...foreign].sort(([one], [other]) => compare(one, other));
  const listed = lines.map(([from, names]) => `of ${from}: ${[...names].sort(compare).join(", ")}`);
  const title = `# ${name}: not exported, but named by what is`;
  return `${[title, ...named.map(textOf).sort(compare), ...listed].join("\n\n")}\n`;
}

/** A declaration without comments. */
function textOf({ module, name }) {
  const { text, comments, declared } = load(module);
  const texts = declared.get(name).map(({ start, end }) => {
    let bare = "";
    let from = start;
    for (const comment of comments) {
      if (comment.start < start || comment.end > end) continue;
      bare += text.slice(from, comment.start);
      from = comment.end;
    }
    bare += text.slice(from, end);
    return bare
      .replace(/^(?:export )?(?:default )?(?:declare )?/, "")
      .replace(/\n(?:[ \t]*\n)+/g, "\n");
  });
  return texts.join("\n");
}

/** A module's declarations, what it imports, and what it exports, by name. */
function load(module) {
  const known = modules.get(module);
  if (known !== undefined) return known;
  const file = `${module}.d.ts`;
  const text = readFileSync(join(folderOf(module), file), "utf8");
  const { program, comments, errors } = parseSync(file, text, { lang: "dts", astType: "ts" });
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`);
  const its = {
    text,
    comments,
    declared: new Map(),
    imported: new Map(),
    exported: new Map(),
    all: [],
  };
  modules.set(module, its);
  for (const statement of program.body) read(its, module, statement);
  return its;
}

function read(its, module, statement) {
  const from = statement.source && placeOf(module, statement.source.value);
  switch (statement.type) {
    case "ImportDeclaration":
      for (const { type, local, imported } of statement.specifiers) {
        its.imported.set(local.name, { ...from, name: IMPORTED[type] ?? nameOf(imported) });
      }
      return;
    case "ExportAllDeclaration":
      if (statement.exported === null) its.all.push(from);
      else its.exported.set(nameOf(statement.exported), { ...from, name: "*" });
      return;
    case "ExportDefaultDeclaration":
      its.exported.set("default", {
        local: declare(its, statement, statement.declaration, "default"),
      });
      return;
    case "ExportNamedDeclaration":
      if (statement.declaration !== null) {
        for (const name of names(statement.declaration)) {
          declare(its, statement, statement.declaration, name);
          its.exported.set(name, { local: name });
        }
      }
      for (const { local, exported } of statement.specifiers) {
        const name = nameOf(local);
        its.exported.set(nameOf(exported), from === null ? { local: name } : { ...from, name });
      }
      return;
    default:
      for (const name of names(statement)) declare(its, statement, statement, name);
  }
}

function declare(its, statement, declaration, otherwise) {
  const name = declaration.id?.name ?? otherwise;
  const before = its.declared.get(name) ?? [];
  its.declared.set(name, [
    ...before,
    { ...declaration, start: statement.start, end: statement.end },
  ]);
  return name;
}

/** What a statement declares. */
function names(declaration) {
  if (declaration.type === "VariableDeclaration")
    return declaration.declarations.map(({ id }) => id.name);
  return declaration.id?.name === undefined ? [] : [declaration.id.name];
}

function nameOf(node) {
  return node.name ?? node.value;
}

/** Where a module is that another one names: one of ours, or a package. */
function placeOf(module, name) {
  if (!name.startsWith(".")) return { package: name };
  const path = posix.join(posix.dirname(module), name).replace(/(?:\.d)?\.[jt]s$/, "");
  return path.startsWith(GENERATED) ? { package: "proto" } : { module: path };
}

function exportsOf(module) {
  const { exported, all } = load(module);
  const others = all.flatMap((from) => (from.module === undefined ? [] : exportsOf(from.module)));
  return [...new Set([...exported.keys(), ...others.filter((name) => name !== "default")])];
}

/** Where what a module exports is declared. */
function resolve(module, name) {
  if (name === "*") return { package: module, name };
  const { exported, all } = load(module);
  const its = exported.get(name);
  if (its?.local !== undefined) return local(module, its.local);
  if (its !== undefined) return its.module === undefined ? its : resolve(its.module, its.name);
  for (const from of all) {
    const found = from.module !== undefined && exportsOf(from.module).includes(name);
    if (found) return resolve(from.module, name);
  }
  throw new Error(`${module} exports no ${name}`);
}

/** What a name stands for within a module; undefined is a name of the language or of a parameter. */
function local(module, name) {
  const { declared, imported } = load(module);
  if (declared.has(name)) return { module, name };
  const from = imported.get(name);
  if (from === undefined || from.module === undefined) return from;
  return resolve(from.module, from.name);
}

/** What a declaration names. */
function* namesIn(module, node) {
  if (Array.isArray(node)) {
    for (const one of node) yield* namesIn(module, one);
    return;
  }
  if (node === null || typeof node !== "object") return;
  if (node.type === "Identifier") {
    const target = local(module, node.name);
    if (target !== undefined) yield target;
  }
  if (node.type === "TSImportType") {
    const from = placeOf(module, (node.source ?? node.argument.literal ?? node.argument).value);
    const name = leftmost(node.qualifier);
    yield from.module === undefined ? { ...from, name } : resolve(from.module, name);
  }
  const own = node.computed === true ? [] : (OWN_NAMES[node.type] ?? []);
  for (const [key, child] of Object.entries(node)) {
    if (key === "type" || own.includes(key)) continue;
    if (key === "params" || key === "parameters") yield* namesInParameters(module, child);
    else yield* namesIn(module, child);
  }
}

/** Names of parameters are their own; their types are not. */
function* namesInParameters(module, parameters) {
  for (const one of [parameters].flat()) {
    if (one?.type === "Identifier") yield* namesIn(module, one.typeAnnotation);
    else yield* namesIn(module, one);
  }
}

function leftmost(name) {
  return name?.type === "TSQualifiedName" ? leftmost(name.left) : (name?.name ?? "*");
}

function shown(name, exported) {
  return exported === undefined || exported === name ? name : `${name} as ${exported}`;
}

function compare(one, other) {
  return one < other ? -1 : Number(one > other);
}
