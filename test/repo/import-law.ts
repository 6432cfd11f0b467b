/** The import law: which room of src/ may import which, and which packages each may name. */
import { readdirSync, readFileSync } from "node:fs";
import { join, posix, sep } from "node:path";

/** Path below src/, with forward slashes, to source text. */
export type Sources = ReadonlyMap<string, string>;

interface Law {
  readonly rooms: readonly string[];
  /** Single files of other rooms. Default none. */
  readonly files?: readonly string[];
  /** Package names; each stands for its subpaths as well. A trailing colon stands for a scheme. */
  readonly packages: readonly string[];
}

const CORE = ["protocol", "channels", "engine"];
const HOST = [...CORE, "brokers", "proxy", "http"];
const PROTOBUF = "@bufbuild/protobuf";
const SERVER_PACKAGES = [
  "@connectrpc/connect",
  "@connectrpc/connect-node",
  "@hono/node-server",
  "commander",
  "pino",
  "yaml",
];

const LAWS: Readonly<Record<string, Law>> = {
  protocol: { rooms: [], packages: [PROTOBUF] },
  channels: { rooms: ["protocol"], packages: [] },
  engine: { rooms: ["protocol", "channels"], packages: [PROTOBUF, "valibot"] },
  brokers: { rooms: CORE, packages: [PROTOBUF] },
  proxy: { rooms: CORE, packages: [PROTOBUF] },
  http: { rooms: CORE, packages: [PROTOBUF, "hono", "valibot"] },
  worker: {
    rooms: HOST,
    // Events as applications see them; the rest of the SDK has no place in a Worker.
    files: ["client/events.ts"],
    packages: [PROTOBUF, "hono", "valibot", "cloudflare:"],
  },
  server: {
    rooms: [...HOST, "client"],
    packages: [PROTOBUF, "hono", "valibot", "node:", "ws", "redis", ...SERVER_PACKAGES],
  },
  client: { rooms: ["protocol"], packages: [PROTOBUF] },
  "http/console": { rooms: ["client", "protocol"], packages: [] },
  testing: { rooms: ["protocol", "engine"], packages: [PROTOBUF] },
  // The root export is the SDK; some of the SDK's words, such as its error, are the protocol's.
  "index.ts": { rooms: ["client", "protocol"], packages: [] },
};

/** Every breach of the law, as sentences. */
export function violations(sources: Sources): string[] {
  return [...sources].flatMap(([path, text]) => {
    const room = roomOf(path);
    const law = LAWS[room];
    if (law === undefined) return [`${path} is in no room of the import law`];
    return imports(text).flatMap((name) => {
      const target = posix.join(posix.dirname(path), name ?? "");
      const allowed = name?.startsWith(".")
        ? [room, ...law.rooms].includes(roomOf(target)) || law.files?.includes(target) === true
        : law.packages.some((entry) => covers(entry, name ?? ""));
      return allowed ? [] : [`${path} must not import ${name ?? "what only runs can tell"}`];
    });
  });
}

/** Every source file below a folder. */
export function readSources(folder: string): Sources {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && /\.[cm]?[jt]sx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    paths.map((path) => [
      path.slice(folder.length + 1).replaceAll(sep, "/"),
      readFileSync(path, "utf8"),
    ]),
  );
}

function roomOf(path: string): string {
  if (path.startsWith("http/console/")) return "http/console";
  return path.split("/", 1)[0] ?? "";
}

function covers(entry: string, name: string): boolean {
  return entry.endsWith(":")
    ? name.startsWith(entry)
    : name === entry || name.startsWith(`${entry}/`);
}

/**
 * Strings come first in the alternation, so that the slashes of an address inside one open no
 * comment. Templates may span lines, plain strings may not.
 */
const COMMENT_OR_STRING =
  /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
/** The reference directive is a comment, and an import of types all the same. */
const REFERENCE = /^\s*\/\/\/\s*<reference\s+(?:types|path)\s*=\s*["']([^"']+)["']/gm;
const FROM = /\b(?:import|export)\b[^;'"`()]*?\bfrom\s*["']([^"']+)["']/g;
const BARE = /\bimport\s*["']([^"']+)["']/g;
const CALL = /(?<![.\w$])(?:import|require)\s*\(\s*(?:["'`]([^"'`$]+)["'`]\s*[,)])?/g;

/** What a source imports, types included; undefined stands for a name computed at run time. */
function imports(text: string): (string | undefined)[] {
  const code = text.replace(COMMENT_OR_STRING, (part) => (part.startsWith("/") ? " " : part));
  return [
    ...text.matchAll(REFERENCE),
    ...code.matchAll(FROM),
    ...code.matchAll(BARE),
    ...code.matchAll(CALL),
  ].map((match) => match[1]);
}
