/** `serve`: runs the server until it is told to stop. */
import { type Command, Option } from "commander";
import { formatAddress } from "../address.ts";
import type { LogLevel, ServerConfig } from "../config.ts";
import { createLogger, type ServerLogger } from "../logger.ts";
import { createServer, type Server, type ServerPorts } from "../server.ts";
import { addConfigOptions, CONFIG_HELP, type ConfigOptions, readConfig } from "./config-options.ts";
import { EXIT_WRONG, Failure, oneLine } from "./failure.ts";

const LOG_LEVELS = ["debug", "info", "warn", "error"] satisfies LogLevel[];

const HELP = `
It listens for WebSocket and Connect, for gRPC, and for health and metrics, and logs one
JSON line for each of them with its address and port. SIGTERM and SIGINT end it: it accepts
nothing more, delivers what it has acknowledged, tells its clients to come back, and exits
with 0. A second signal ends it at once with 1. When it cannot start it exits with 2.

${CONFIG_HELP}

Examples:
  messageloop serve
  messageloop serve --config config.yaml --log-level debug
  MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR=127.0.0.1:8000 messageloop serve
`;

interface ServeOptions extends ConfigOptions {
  readonly logLevel?: LogLevel;
}

export function configure(command: Command): void {
  addConfigOptions(command)
    .addOption(
      new Option("--log-level <level>", "what to log, in place of server.log_level").choices(
        LOG_LEVELS,
      ),
    )
    .addHelpText("after", HELP)
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  const { config } = await readConfig(options);
  // The logger's own stream writes later, and what is late is lost or out of order at the end.
  const logger = createLogger(options.logLevel ?? config.logLevel, process.stdout);
  const server = createServer({ config, logger });
  const starting = server.start().catch((error: unknown) => {
    throw new Failure(oneLine(error instanceof Error ? error.message : `${error}`), EXIT_WRONG);
  });
  stopOnSignal(server, starting, logger);
  logListeners(await starting, config, logger);
}

function stopOnSignal(server: Server, starting: Promise<unknown>, logger: ServerLogger): void {
  let stopping = false;
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (stopping) process.exit(1);
    stopping = true;
    try {
      await starting;
    } catch {
      // Whoever started it says why, and ends the process.
      return;
    }
    try {
      logger.info("stopping", { signal });
      await server.stop();
      logger.info("stopped");
    } catch (error) {
      logger.error("cannot stop", { error });
      process.exit(1);
    }
    process.exit(0);
  };
  process.on("SIGTERM", (signal) => void stop(signal));
  process.on("SIGINT", (signal) => void stop(signal));
}

function logListeners(ports: ServerPorts, config: ServerConfig, logger: ServerLogger): void {
  for (const listener of ["websocket", "grpc", "http"] as const) {
    const { address, tls } = config[listener];
    const port = ports[listener];
    logger.info("listening", {
      listener,
      address: formatAddress({ host: address.host, port }),
      port,
      tls: tls !== undefined,
      ...(listener === "websocket" ? { path: config.websocket.path } : {}),
    });
  }
}
