/**
 * Makes what the Worker imports of the configuration, which is that of MESSAGELOOP_CONFIG, or config.yaml where there
 * is one, or none. What is wrong with it ends the build. An argument names another file to write.
 */
import { join } from "node:path";
import { ConfigError, configFileHere } from "../src/server/config/file.ts";
import { loadWorkerConfig, secretLines, writeWorkerConfig } from "../src/server/config/worker.ts";
import { root } from "./run.mjs";

const [, , out = join(root, "dist/worker/config.json")] = process.argv;
const file = configFileHere(process.env);
try {
  const config = await loadWorkerConfig(file);
  await writeWorkerConfig(config, out);
  for (const warning of config.warnings) console.warn(warning);
  if (file !== undefined) console.log(`${file} is valid for Workers`);
  for (const line of secretLines(config.secrets)) console.log(line);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
