/** Runs the Worker on this machine, with secrets that are made for it where there are none. */
import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { MessageLoopApi } from "../backend.ts";

export interface WorkerTerms {
  readonly root: string;
  readonly port: number;
  readonly messageloop: URL;
  readonly api: MessageLoopApi;
}

const OWNER_ONLY = 0o600;

export function startWorker({ root, port, messageloop, api }: WorkerTerms): void {
  const folder = join(root, "examples/worker");
  const variables = {
    ISSUER: `http://localhost:${port}`,
    MESSAGELOOP_URL: messageloop.origin,
    MESSAGELOOP_API_URL: api.url,
  };
  const wrangler = join(root, "node_modules/wrangler/bin/wrangler.js");
  const args = ["dev", "--config", join(folder, "wrangler.toml"), "--port", `${port}`];
  args.push("--inspector-port", "0");
  for (const [key, value] of Object.entries(variables)) args.push("--var", `${key}:${value}`);
  for (const file of secretFiles(folder, api.key)) args.push("--env-file", file);
  const child = spawn(process.execPath, [wrangler, ...args], { stdio: "inherit" });
  child.on("exit", (code) => {
    process.exitCode = code ?? 1;
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
}

/**
 * The files that secrets are read from, which git ignores and only their owner reads. The signing key stays the same, so that
 * people stay signed in.
 */
function secretFiles(folder: string, apiKey: string): readonly string[] {
  const signing = join(folder, ".dev.vars");
  if (!existsSync(signing)) {
    const { privateKey } = generateKeyPairSync("ed25519");
    const jwk = { ...privateKey.export({ format: "jwk" }), kid: crypto.randomUUID() };
    // What is in quotes of this kind is taken as it is.
    writeFileSync(signing, `SIGNING_KEY='${JSON.stringify(jwk)}'\n`, { mode: OWNER_ONLY });
  }
  const api = join(folder, ".messageloop-dev-vars");
  writeFileSync(api, `MESSAGELOOP_API_KEY='${apiKey}'\n`, { mode: OWNER_ONLY });
  return [signing, api];
}
