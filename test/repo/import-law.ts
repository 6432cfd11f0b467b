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

const BASE = ["protocol", "channels"];
const ENGINE = [
  "engine",
  "engine/ports",
  "engine/session",
  "engine/subscription",
  "engine/settings",
  "engine/survey",
];
const CORE = [...BASE, ...ENGINE, "access"];
/** What a broker is written against: it sees ports, and nothing of sessions. */
const BROKER = {
  rooms: [...BASE, "engine/ports", "brokers/revocations"],
  files: ["engine/background.ts", "engine/publishing/publish-queue.ts"],
};
const PROTOBUF = "@bufbuild/protobuf";
const CONNECT = ["@connectrpc/connect", "@connectrpc/connect-node"];
/** What the side of a gateway, a channel or a pattern index is made of: they share what they say, and no more. */
const SHARED = ["objects", "objects/ports", "objects/calls"];
const SIDE = { rooms: [...BASE, "engine/ports", ...SHARED], packages: [PROTOBUF] };
const SIDES = ["objects/gateway", "objects/channel", "objects/pattern-index", "objects/directory"];
/** What every object of the Worker is made of beside its own room and its side. */
const OBJECT = [...CORE, ...SHARED, "worker/sql"];

/** The files of the protocol that need no protobuf. */
const LEAN = [
  "protocol/lean/error-kinds.ts",
  "protocol/errors.ts",
  "protocol/lean/reconnects.ts",
  "protocol/lean/utf8-length.ts",
];

/** A room is a folder with all that is below it, except the rooms that have a line of their own. */
const LAWS: Readonly<Record<string, Law>> = {
  protocol: { rooms: [], packages: [PROTOBUF] },
  channels: { rooms: ["protocol"], packages: [] },
  // Rules of who may do what: settings read them, and the engine decides by them.
  access: { rooms: [...BASE, "engine/ports"], packages: [] },
  engine: { rooms: CORE, packages: [PROTOBUF] },
  "engine/ports": { rooms: BASE, packages: [PROTOBUF] },
  "engine/settings": {
    rooms: [...BASE, "access"],
    files: ["engine/ports/access.ts"],
    packages: ["valibot"],
  },
  "engine/subscription": {
    rooms: [...BASE, "engine/ports", "engine/settings"],
    files: ["engine/background.ts", "engine/token-bucket.ts", "engine/turns.ts"],
    packages: [PROTOBUF],
  },
  "engine/session": {
    rooms: [...BASE, "engine/ports", "engine/settings", "engine/subscription", "engine/survey"],
    files: [
      "engine/background.ts",
      "engine/counters.ts",
      "engine/error-text.ts",
      "engine/frames/watch.ts",
      "engine/mark-timer.ts",
      "engine/publishing/publish-gate.ts",
      "engine/slots.ts",
      "engine/spans.ts",
      "engine/token-bucket.ts",
    ],
    packages: [PROTOBUF],
  },
  "engine/survey": {
    rooms: [...BASE, "engine/ports"],
    files: ["engine/token-bucket.ts"],
    packages: [PROTOBUF],
  },
  "brokers/memory": { ...BROKER, packages: [PROTOBUF] },
  "brokers/redis": {
    ...BROKER,
    files: [...BROKER.files, "hooks/outbox.ts"],
    packages: [PROTOBUF],
  },
  "brokers/revocations": { rooms: ["engine/ports"], packages: [] },
  objects: {
    rooms: [...BASE, "engine/ports", "objects/ports"],
    files: ["engine/background.ts"],
    packages: [],
  },
  "objects/ports": { rooms: [...BASE, "engine/ports"], packages: [] },
  "objects/calls": { ...SIDE, files: ["engine/counters.ts"] },
  "objects/gateway": {
    ...SIDE,
    files: ["engine/background.ts", "engine/publishing/publish-queue.ts", "engine/slots.ts"],
  },
  "objects/channel": { ...SIDE, files: ["engine/background.ts"] },
  "objects/pattern-index": { ...SIDE, files: ["engine/background.ts"] },
  "objects/directory": { ...SIDE, files: ["engine/background.ts"] },
  // How threads of one process call each other's objects, and what those keep.
  threads: {
    rooms: [...BASE, "engine/ports", ...SHARED, ...SIDES],
    files: [
      "brokers/memory/recent-channels.ts",
      "brokers/memory/sweeper.ts",
      "engine/background.ts",
      "engine/subscription/occupancy.ts",
    ],
    packages: [PROTOBUF, "node:"],
  },
  proxy: {
    rooms: [...BASE, "engine/ports"],
    files: ["engine/error-text.ts", "engine/slots.ts"],
    packages: [PROTOBUF],
  },
  auth: {
    rooms: [...BASE, "engine/ports", "engine/settings"],
    files: [
      "engine/background.ts",
      "engine/error-text.ts",
      "engine/session/application-values.ts",
      "engine/session/backend-answers.ts",
    ],
    packages: [PROTOBUF, "jose", "valibot"],
  },
  // What spans there are, and how they reach a collector.
  tracing: {
    rooms: [...BASE, "engine/ports"],
    files: ["engine/error-text.ts", "engine/token-bucket.ts"],
    packages: [PROTOBUF],
  },
  hooks: {
    rooms: [...BASE, "engine/ports", "proxy"],
    files: ["engine/background.ts", "engine/error-text.ts"],
    packages: [PROTOBUF],
  },
  // It reads URLs.
  "proxy/settings": {
    rooms: [...BASE, "engine/ports", "engine/settings", "proxy"],
    packages: ["valibot"],
  },
  http: {
    rooms: CORE,
    files: ["proxy/calls/counts.ts"],
    packages: [PROTOBUF, "hono", "valibot", "@connectrpc/connect"],
  },
  // Every setting of every host, over what each room says of its own.
  config: {
    rooms: [...BASE, "engine/settings", "auth", "http", "proxy", "proxy/settings", "tracing"],
    packages: ["valibot"],
  },
  "http/console": {
    rooms: ["client", "client/core", "client/stream", "client/wire", "protocol"],
    packages: ["preact"],
  },
  "http/showcase": {
    rooms: ["client", "client/core", "client/protobuf", "protocol"],
    packages: [],
  },
  worker: {
    rooms: [
      ...CORE,
      "auth",
      "config",
      "hooks",
      "proxy",
      "proxy/settings",
      "http",
      "objects/ports",
      "worker/backends",
      "worker/sql",
      "worker/gateway",
      "worker/channel",
      "worker/pattern-index",
      "worker/directory",
      "worker/doors",
      "tracing",
    ],
    // Events as applications see them; the rest of the SDK has no place in a Worker.
    files: ["client/v0/events.ts"],
    packages: [PROTOBUF, "hono", "cloudflare:"],
  },
  // What the Worker answers without waking a gateway for it, or in front of one.
  "worker/doors": {
    rooms: [...CORE, "http", "objects/gateway"],
    files: [
      "worker/calls.ts",
      "worker/capabilities.ts",
      "worker/close.ts",
      "worker/placement.ts",
      "worker/platform.ts",
      "worker/settings.ts",
      "worker/tracing.ts",
      "worker/upgrade.ts",
    ],
    packages: [PROTOBUF, "@connectrpc/connect"],
  },
  // How a gateway asks the application.
  "worker/backends": {
    rooms: [...BASE, "engine/ports", "hooks", "proxy"],
    files: ["engine/error-text.ts"],
    packages: [],
  },
  // Objects reach each other by calls alone: none sees the inside of another.
  "worker/gateway": {
    rooms: [...OBJECT, "auth", "hooks", "objects/gateway", "worker/backends"],
    files: [
      "http/fetch-bytes.ts",
      "http/metrics/regions.ts",
      "http/tickets/hmac.ts",
      "worker/calls.ts",
      "worker/capabilities.ts",
      "worker/close.ts",
      "worker/handshake.ts",
      "worker/hooks.ts",
      "worker/placement.ts",
      "worker/platform.ts",
      "worker/settings.ts",
      "worker/tracing.ts",
    ],
    packages: [PROTOBUF, "cloudflare:"],
  },
  "worker/channel": {
    rooms: [...OBJECT, "hooks", "objects/channel", "worker/backends"],
    files: [
      "http/tickets/hmac.ts",
      "worker/calls.ts",
      "worker/hooks.ts",
      "worker/platform.ts",
      "worker/settings.ts",
      "worker/storage.ts",
    ],
    packages: [PROTOBUF, "cloudflare:"],
  },
  "worker/pattern-index": {
    rooms: [...OBJECT, "objects/pattern-index"],
    files: ["worker/calls.ts", "worker/platform.ts", "worker/storage.ts"],
    packages: [PROTOBUF, "cloudflare:"],
  },
  "worker/directory": {
    rooms: [...OBJECT, "objects/directory"],
    files: ["worker/calls.ts", "worker/platform.ts", "worker/storage.ts"],
    packages: [PROTOBUF, "cloudflare:"],
  },
  "worker/sql": {
    rooms: ["protocol", "engine/ports", "objects"],
    files: ["hooks/outbox.ts"],
    packages: [],
  },
  server: {
    rooms: [
      ...CORE,
      ...SHARED,
      ...SIDES,
      "brokers/memory",
      "brokers/redis",
      "threads",
      "auth",
      "hooks",
      "proxy",
      "http",
      "config",
      "server/backends",
      "server/commands",
      "server/config",
      "server/transport",
      "server/redis",
      "server/tracing",
    ],
    files: ["client/v0/events.ts", "ports.ts"],
    packages: [PROTOBUF, "node:", "@hono/node-server", "commander", "pino", ...CONNECT],
  },
  "server/commands": {
    rooms: [
      ...CORE,
      "auth",
      "config",
      "proxy",
      "server",
      "server/config",
      "client/core",
      "client/protobuf",
      "client/wire",
    ],
    files: ["client/v0/events.ts"],
    packages: [PROTOBUF, "node:", "commander", "ws", ...CONNECT],
  },
  "server/backends": {
    rooms: [...BASE, "engine/ports", "proxy", "hooks"],
    files: ["engine/capabilities.ts", "server/platform.ts"],
    packages: [PROTOBUF, "node:", "undici", ...CONNECT],
  },
  "server/config": {
    rooms: [...BASE, "engine/settings", "http", "config", "proxy", "proxy/settings"],
    packages: ["node:", "yaml"],
  },
  "server/transport": {
    rooms: [...CORE, "http", "config", "server/config"],
    files: ["server/start-error.ts"],
    packages: [PROTOBUF, "node:", "@hono/node-server", "ws", ...CONNECT],
  },
  "server/tracing": {
    rooms: ["engine/ports", "tracing"],
    files: ["server/start-error.ts", "server/version.ts"],
    packages: [
      "@opentelemetry/api",
      "@opentelemetry/exporter-trace-otlp-http",
      "@opentelemetry/exporter-trace-otlp-proto",
      "@opentelemetry/resources",
      "@opentelemetry/sdk-trace",
    ],
  },
  "server/redis": {
    rooms: [...BASE, "engine/ports", "brokers/redis", "http"],
    files: ["server/start-error.ts"],
    packages: ["node:", "redis"],
  },
  // What makes projects out of templates: nothing that has to be installed with it.
  create: { rooms: [], packages: ["node:"] },
  // What every page loads: nothing of protobuf.
  client: { rooms: ["client/core", "client/queue"], packages: [] },
  "client/wire": { rooms: [], files: LEAN, packages: [] },
  "client/core": { rooms: ["client/wire"], files: LEAN, packages: ["#websocket"] },
  "client/protobuf": { rooms: ["client/wire"], files: LEAN, packages: [] },
  "client/queue": { rooms: ["client/core", "client/wire"], files: LEAN, packages: [] },
  "client/stream": { rooms: ["client/core", "client/wire"], files: LEAN, packages: [] },
  // The API of v0.1.1, which hands out messages of protobuf and events of the CloudEvents SDK.
  "client/v0": {
    rooms: ["protocol", "client/core", "client/wire", "client/protobuf", "client/queue"],
    packages: [PROTOBUF, "#cloudevents"],
  },
  // One connection for many tabs, on both of its sides.
  "client/shared": {
    rooms: ["client", "client/core", "client/wire", "client/protobuf"],
    files: LEAN,
    packages: [],
  },
  // What applications test themselves with: a server without sockets, and time that passes on demand.
  "client/testing": {
    rooms: ["client/core", "client/wire"],
    files: LEAN,
    packages: [],
  },
  // The SDK as hooks, by what it exports.
  "client/react": { rooms: [], files: ["index.ts"], packages: ["react"] },
  // The root export is the SDK; its error is the protocol's.
  "index.ts": {
    rooms: ["client", "client/core", "client/wire", "client/queue"],
    files: LEAN,
    packages: [],
  },
  // What programs need that implement a port.
  "ports.ts": { rooms: CORE, packages: [] },
};

/** Files that may lie in one folder before it must be split. */
const MOST_IN_A_FOLDER = 16;

/** Lines that a file may have, where everything else comes together in it. */
const MOST_LINES: Readonly<Record<string, number>> = { "engine/session/session.ts": 500 };

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

/** Files that import each other, by whatever way round and types included, as sentences. */
export function circles(sources: Sources): string[] {
  const targets = new Map(
    [...sources].map(([path, text]) => [
      path,
      imports(text).map((name) => posix.join(posix.dirname(path), name ?? "")),
    ]),
  );
  /** What is left of the imports once files that import nothing of what is left are taken away, over and over. */
  const left = new Set(sources.keys());
  for (let before = -1; before !== left.size; ) {
    before = left.size;
    for (const path of left) if (!targets.get(path)?.some((to) => left.has(to))) left.delete(path);
  }
  // What only leads into a circle is taken away from the other end.
  for (let before = -1; before !== left.size; ) {
    before = left.size;
    const imported = new Set([...left].flatMap((path) => targets.get(path) ?? []));
    for (const path of left) if (!imported.has(path)) left.delete(path);
  }
  return [...left].map((path) => `${path} lies in a circle of imports`);
}

/** Folders in which more files lie than can be seen at once, as sentences. Generated ones are not counted. */
export function crowds(sources: Sources): string[] {
  const folders = new Map<string, number>();
  for (const path of sources.keys()) {
    const folder = posix.dirname(path);
    if (!folder.includes("/gen/")) folders.set(folder, (folders.get(folder) ?? 0) + 1);
  }
  return [...folders]
    .filter(([, files]) => files > MOST_IN_A_FOLDER)
    .map(([folder, files]) => `${files} files lie in ${folder}`);
}

/** Files that have grown beyond what they may have, as sentences. */
export function overlong(sources: Sources): string[] {
  return Object.entries(MOST_LINES).flatMap(([path, most]) => {
    const lines = sources.get(path)?.trimEnd().split("\n").length ?? 0;
    return lines > most ? [`${path} has ${lines} lines, and may have ${most}`] : [];
  });
}

/** The innermost folder of a path that has a line in the law. */
function roomOf(path: string): string {
  const parts = path.split("/");
  for (let length = parts.length; length > 1; length--) {
    const room = parts.slice(0, length).join("/");
    if (room in LAWS) return room;
  }
  return parts[0] ?? "";
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
