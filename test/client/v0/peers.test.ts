/** Packages that only `messageloop/v0` needs: where one is missing, what needs it says which to install. */
import { spawnSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../../", import.meta.url));
let folder: string;

/** Tries all that needs a package, and a connection, which a socket of its own answers. */
const PROGRAM = `
import * as sdk from "./sdk/index.js";

class Socket extends EventTarget {
  readyState = 0;
  constructor() {
    super();
    setTimeout(() => {
      this.readyState = 1;
      this.dispatchEvent(new Event("open"));
    });
  }
  send() {
    const data = JSON.stringify({ connected: { session_id: "s" } });
    setTimeout(() => this.dispatchEvent(Object.assign(new Event("message"), { data })));
  }
  close() {}
}

async function tried(run) {
  try {
    await run();
    return "there";
  } catch ({ code, message }) {
    return \`\${code}: \${message}\`;
  }
}

const event = { id: "e", source: "/s", specversion: "1.0", type: "t" };
const dial = (encoding) =>
  sdk.dial("ws://127.0.0.1", [sdk.withWebSocket(Socket), sdk.withEncoding(encoding), sdk.withPingInterval(0)]);
console.log(JSON.stringify({
  dial: await tried(() => dial("json")),
  proto: await tried(() => dial("proto")),
  createCloudEvent: await tried(() => sdk.createCloudEvent({ source: "/s", type: "t" })),
  cloudEventToProto: await tried(() => sdk.cloudEventToProto(event)),
  createPingMessage: await tried(() => sdk.createPingMessage()),
  decode: await tried(() => sdk.jsonCodec.decode("{}")),
}));
process.exit();
`;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "messageloop-peers-"));
  await build({
    entryPoints: [join(root, "src/client/v0/index.ts")],
    outdir: join(folder, "sdk"),
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    external: ["#cloudevents", "@bufbuild/protobuf"],
  });
  writeFileSync(join(folder, "program.js"), PROGRAM);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What the program says where only these packages are installed. */
function run(...packages: readonly string[]): Record<string, string> {
  const place = mkdtempSync(join(folder, "program-"));
  const { imports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly imports: unknown;
  };
  writeFileSync(join(place, "package.json"), JSON.stringify({ type: "module", imports }));
  cpSync(join(folder, "sdk"), join(place, "sdk"), { recursive: true });
  cpSync(join(folder, "program.js"), join(place, "program.js"));
  for (const name of packages) {
    const link = join(place, "node_modules", name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(join(root, "node_modules", name), link);
  }
  const { stdout, stderr } = spawnSync(process.execPath, ["program.js"], {
    cwd: place,
    encoding: "utf8",
  });
  if (stderr !== "") throw new Error(stderr);
  return JSON.parse(stdout) as Record<string, string>;
}

const NO_EVENTS =
  "UNIMPLEMENTED: messageloop/v0 needs the package cloudevents: npm install cloudevents";
const NO_MESSAGES =
  "UNIMPLEMENTED: messageloop/v0 needs the package @bufbuild/protobuf: npm install @bufbuild/protobuf";

test.each([
  [[], NO_EVENTS, NO_MESSAGES],
  [["cloudevents"], "there", NO_MESSAGES],
  [["@bufbuild/protobuf"], NO_EVENTS, "there"],
  [["cloudevents", "@bufbuild/protobuf"], "there", "there"],
])("with %j installed", (packages, events, messages) => {
  expect(run(...packages)).toEqual({
    dial: events,
    // A client has a codec of its own.
    proto: events,
    createCloudEvent: events,
    cloudEventToProto: messages,
    createPingMessage: messages,
    decode: messages,
  });
});
