/** The self-hosted server, whose clients show a token, or none. */
import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageLoop } from "../dialects/messageloop.ts";
import type { Running, Target } from "../target.ts";
import { ROOT } from "../trees.ts";
import { startServer } from "./messageloop.ts";

/** For servers that live as long as a run of the bench, on loopback. */
const SECRET = "b".repeat(43);
const CONFIG = { auth: { jwt: { hmac_secret: SECRET, algorithms: ["HS256"] } } };
const DAY_SECONDS = 86_400;

export function tokenServer(tree: string): Target {
  return {
    name: "messageloop",
    dialect: messageLoop({ token: token() }),
    start: () => startConfigured(tree),
  };
}

/** The same server of this tree without a key, so that everyone is anonymous. */
export function anonymousServer(): Target {
  return { name: "anonymous", dialect: messageLoop(), start: () => startServer(ROOT) };
}

async function startConfigured(tree: string): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "messageloop-bench-tokens-"));
  const config = join(folder, "config.yaml");
  writeFileSync(config, JSON.stringify(CONFIG));
  try {
    return await startServer(tree, { config });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Of HS256, with the claims that one has at least. */
function token(): string {
  const exp = Math.floor(Date.now() / 1_000) + DAY_SECONDS;
  const parts = [
    { alg: "HS256", typ: "JWT" },
    { sub: "bench", exp },
  ].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
  const signed = parts.join(".");
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}
