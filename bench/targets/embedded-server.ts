/** The server of the current folder in a program of its own, as docs/embedding.md has it. Prints what `serve` does. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type * as Server from "../../src/server/index.ts";

const url = pathToFileURL(join(process.cwd(), "src/server/index.ts")).href;
const { createLogger, createServer, loadConfig } = (await import(url)) as typeof Server;

const config = await loadConfig({ env: process.env });
const server = createServer({
  config,
  logger: createLogger(config.logLevel),
  backends: { rpc: async ({ payload }) => payload },
});
const { websocket } = await server.start();
console.log(JSON.stringify({ listener: "websocket", port: websocket }));
process.once("SIGTERM", async () => {
  await server.stop();
  process.exit();
});
