/** The self-hosted server with ten rules of access, and without any. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { messageLoop } from "../dialects/messageloop.ts";
import type { Running, Target } from "../target.ts";
import { startServer } from "./messageloop.ts";

const HERE = fileURLToPath(new URL("../../", import.meta.url));
/** Some are the same for everybody and some are not; the last one allows what the bench does. */
const RULES = [
  { channels: ["admin.**"], effect: "deny" },
  { channels: ["*.private.**"], effect: "deny" },
  { channels: ["staff.**"], effect: "deny", users: ["guest", "visitor"] },
  { channels: ["audit.*.log"], effect: "deny", actions: ["publish", "rpc"] },
  { channels: ["archive.**"], effect: "deny", actions: ["publish"] },
  { channels: ["inbox.{user}.**"], effect: "allow" },
  { channels: ["device.{client}.**"], effect: "allow" },
  { channels: ["news.**"], effect: "allow", actions: ["subscribe", "history"] },
  { channels: ["chat.*", "chat.*.typing"], effect: "allow", users: ["*"] },
  { channels: ["**"], effect: "allow" },
];

export function ruledServer(tree: string): Target {
  return { name: "messageloop", dialect: messageLoop(), start: () => startRuled(tree) };
}

/** The same server of this tree without a rule. */
export function openServer(): Target {
  return { name: "without-rules", dialect: messageLoop(), start: () => startServer(HERE) };
}

async function startRuled(tree: string): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "messageloop-bench-"));
  const config = join(folder, "config.yaml");
  writeFileSync(config, JSON.stringify({ access: { default: "deny", rules: RULES } }));
  try {
    return await startServer(tree, { config });
  } finally {
    // Its settings are read once.
    rmSync(folder, { recursive: true, force: true });
  }
}
