/** What is published: which modules of src/ each package has, and what programs import of it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../run.mjs";

/** The repository's own package.json. */
export const project = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

const SDK = {
  name: "messageloop",
  description: "Realtime messaging for browsers, Node and Workers: the SDK and the protocol",
  node: ">=20",
  /** Modules of dist/lib. The server has all others. */
  owns: /^(?:client|protocol)\/|^index$/,
  /** Whether its modules are made shorter: pages load them. */
  shorten: true,
  /** Modules that do something when they are imported, whatever of them is used. */
  sideEffects: ["client/shared/worker"],
  /** Export to module. */
  entries: {
    ".": "index",
    "./indexeddb": "client/queue/indexeddb",
    "./protobuf": "client/protobuf/index",
    "./react": "client/react/index",
    "./stream": "client/stream/index",
    "./shared": "client/shared/index",
    "./shared-worker": "client/shared/worker",
    "./testing": "client/testing/index",
    "./v0": "client/v0/index",
  },
  /** What only some entries import, and of which versions: a program that imports those installs it beside. */
  optional: {
    "@bufbuild/protobuf": project.dependencies["@bufbuild/protobuf"],
    cloudevents: project.devDependencies.cloudevents,
    react: ">=18",
  },
  /** Exports from before the server was a package of its own, and what stands for them now. */
  aliases: {
    "./server": "messageloop-server/deprecated",
    "./worker": "messageloop-server/worker",
  },
  /** Every module under this name is there for the server of the same version, and for nobody else. */
  internal: "internal",
  /** Packages that are part of its files, since they were bundled into them. */
  bundled: [],
  bin: {},
  /** Files and folders of the repository beside its modules, by pattern. */
  files: ["proto", "SPEC.md"],
};

export const SERVER = {
  name: "messageloop-server",
  description:
    "Realtime messaging, self-hosted or on Cloudflare Workers: the server and its command",
  node: ">=22",
  owns: /./,
  shorten: false,
  sideEffects: [],
  entries: {
    ".": "server/index",
    "./worker": "worker/library",
    "./ports": "ports",
    "./deprecated": "server/deprecated",
  },
  /** What tracing needs, and nothing else. */
  optional: Object.fromEntries(
    Object.entries(project.devDependencies).filter(([name]) => name.startsWith("@opentelemetry/")),
  ),
  aliases: {},
  /** The console is made with it. */
  bundled: ["preact"],
  bin: { messageloop: "server/cli" },
  files: ["dist/page", "docs/*.md", "config.example.yaml"],
};

const CREATE = {
  name: "create-messageloop",
  description: "Makes a project with MessageLoop, by npm create messageloop",
  node: ">=20",
  owns: /^create\//,
  shorten: false,
  sideEffects: [],
  entries: {},
  optional: {},
  aliases: {},
  bundled: [],
  bin: { "create-messageloop": "create/cli" },
  files: ["templates/chat", "templates/self-hosted", "templates/worker"],
  /** Where its own README is. */
  directory: "templates",
};

// The server has what no other package has.
export const PACKAGES = [SDK, CREATE, SERVER];

/** The package that has a module, such as "client/dial". */
export function ownerOf(module) {
  return PACKAGES.find(({ owns }) => owns.test(module));
}

/** Where the compiler has put a module: it leaves generated JavaScript and its declarations in the sources. */
export function folderOf(module) {
  return join(root, module.startsWith("protocol/gen/") ? "src" : "dist/lib");
}

/** The version of a package that this tree depends on, or is. @throws Error where it does neither */
export function versionOf(name) {
  const ours = PACKAGES.some((one) => one.name === name);
  const { dependencies, devDependencies } = project;
  // What is optional is for others, and here for the tests.
  const version = ours ? project.version : (dependencies[name] ?? devDependencies[name]);
  if (version === undefined) throw new Error(`${name} is imported, and is no dependency`);
  return version;
}
