/** Both hosts with their doors for servers open, and a key for them. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeKey } from "../../src/http/keys/key.ts";
import { startServer } from "../../test/server/process.ts";
import { startWrangler } from "../../test/support/wrangler.ts";

export interface DoorHost {
  readonly name: string;
  /** Where clients connect, such as `http://127.0.0.1:1234`. */
  readonly http: string;
  /** Where other servers do. */
  readonly api: string;
  /** Such as `ws://127.0.0.1:1234/ws`. */
  readonly socket: string;
  /** Good for everything. */
  readonly key: string;
  stop(): Promise<void>;
}

export interface HostOptions {
  /** What the self-hosted server keeps its logs on: address of a Redis. Default its memory. */
  readonly redis?: string;
  /** What the Worker keeps its logs on: a folder. Default one that goes with it. */
  readonly folder?: string;
  /** Whether there are tickets. Default yes. */
  readonly tickets?: boolean;
}

/** The same for every host of a check, so that what one has made is good for the next. */
const KEY = writeKey("check", randomBytes(32));
const API_KEYS = JSON.stringify([
  {
    id: "check",
    digest: createHash("sha256").update(KEY).digest("hex"),
    rights: ["publish", "read", "manage"],
    patterns: ["**"],
  },
]);
const TICKET_KEYS = [{ id: "check", secret: randomBytes(32).toString("base64url") }];

/** Calls the server API as JSON. @throws Error where the call as a whole is refused */
export async function call<T>(
  { api, key }: Pick<DoorHost, "api" | "key">,
  method: string,
  request: unknown,
): Promise<T> {
  const answer = await fetch(`${api}/messageloop.server.v1.APIService/${method}`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} was answered ${answer.status}: ${text}`);
  return JSON.parse(text) as T;
}

/** When a server is killed that nobody has stopped, in milliseconds: no check takes that long. */
const PATIENCE_MS = 3_600_000;

export async function startHost(
  name: string,
  { redis, folder, tickets = true }: HostOptions = {},
): Promise<DoorHost> {
  const secrets = {
    MESSAGELOOP_API_KEYS: API_KEYS,
    MESSAGELOOP_API_TICKET_KEYS: JSON.stringify(tickets ? TICKET_KEYS : []),
  };
  if (name === "worker") {
    const vars = { messageloop: {}, ...secrets };
    const storage = folder === undefined ? {} : { storage: folder };
    const { url, stop } = await startWrangler({ vars, ...storage });
    const socket = `${url.replace("http", "ws")}/ws`;
    return { name, http: url, api: url, socket, key: KEY, stop };
  }
  if (name !== "server") throw new Error("the hosts are server and worker");
  const settings = await mkdtemp(join(tmpdir(), "messageloop-doors-"));
  const file = join(settings, "config.yaml");
  // JSON is YAML.
  await writeFile(
    file,
    JSON.stringify(redis === undefined ? {} : { broker: { type: "redis", redis: { url: redis } } }),
  );
  const server = await startServer(["--config", file], { env: secrets, patienceMs: PATIENCE_MS });
  await rm(settings, { recursive: true });
  return {
    name,
    http: `http://127.0.0.1:${server.ports.websocket}`,
    api: `http://127.0.0.1:${server.ports.http}`,
    socket: server.url,
    key: KEY,
    stop: async () => {
      server.child.kill("SIGTERM");
      await server.ended;
    },
  };
}
