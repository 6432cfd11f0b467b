/** `serve`: runs the server until a signal stops it. */
import { realpathSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { type Command, InvalidArgumentError, Option } from "commander";
import { formatAddress } from "../../config/address.ts";
import { MAX_WORKERS } from "../../config/schema.ts";
import { background } from "../../engine/background.ts";
import { withSetting } from "../../engine/settings/in-force.ts";
import { utf8Encode } from "../../protocol/utf8.ts";
import { devKey } from "../api/dev-key.ts";
import { keysOf } from "../api/keys.ts";
import type { LogLevel, ServerConfig } from "../config/config.ts";
import { loadTables } from "../config/file.ts";
import { standardOutput } from "../log-output.ts";
import { createLogger, type ServerLogger } from "../logger.ts";
import { surviveErrors } from "../process-errors.ts";
import { createServer, type Server, type ServerPorts } from "../server.ts";
import { StartError } from "../start-error.ts";
import { Threads, threadsOf } from "../threads/threads.ts";
import { addConfigOptions, CONFIG_HELP, type ConfigOptions, readConfig } from "./config-options.ts";
import { EXIT_FAILED, EXIT_WRONG, Failure, oneLine } from "./failure.ts";
import { addHelp } from "./help.ts";

/** What ends the server in good order. SIGHUP is a terminal that goes. */
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
/** How long a stop may take beyond the drain timeout, in milliseconds. */
const STOP_GRACE_MS = 10_000;
/** How long the last lines of the log may take to leave, in milliseconds. */
const LAST_LINES_MS = 1_000;

const LOG_LEVELS = ["debug", "info", "warn", "error"] satisfies LogLevel[];

const HELP = `
It listens for WebSocket and Connect, for gRPC, and for health and metrics, and logs one
JSON line for each of them with its address and port. SIGTERM, SIGINT and SIGHUP end it: it
accepts nothing more, delivers what it has acknowledged, tells its clients to come back, and
exits with 0. A second signal ends it at once with 1. When it cannot start it exits with 2.
Nothing else ends it: it goes on when nobody reads its log, and after errors of its own, which
it logs at level error.

${CONFIG_HELP}

Examples:
  messageloop serve
  messageloop serve --config config.yaml --log-level debug
  messageloop serve --dev
  MESSAGELOOP_TRANSPORT_WEBSOCKET_ADDR=127.0.0.1:8000 messageloop serve
`;

interface ServeOptions extends ConfigOptions {
  readonly logLevel?: LogLevel;
  readonly dev?: true;
  readonly workers?: ServerConfig["workers"];
}

export function configure(command: Command): void {
  const level = new Option("--log-level <level>", "what to log, in place of server.log_level");
  const workers = new Option(
    "--workers <number>",
    'threads, or "auto" for one for each processor, in place of server.workers',
  );
  const options = addConfigOptions(command)
    .addOption(level.choices(LOG_LEVELS))
    .addOption(workers.argParser(parseWorkers))
    .option("--dev", "make and print a key of the server API, where there is none");
  addHelp(options, HELP).action(serve);
}

function parseWorkers(text: string): ServerConfig["workers"] {
  if (text === "auto") return text;
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= MAX_WORKERS) return count;
  throw new InvalidArgumentError(`must be "auto" or a whole number from 1 to ${MAX_WORKERS}`);
}

async function serve(options: ServeOptions): Promise<void> {
  const { config: read, file, unknown } = await readConfig(options);
  const config = withFlags(options.dev === true ? await withDevKey(read) : read, options);
  const logLevel = options.logLevel ?? config.logLevel;
  const logger = createLogger(logLevel);
  for (const { name: variable, nearest, setting } of unknown) {
    const fields = { variable, nearest, ...(setting === undefined ? {} : { setting }) };
    logger.warn("a variable of the environment is not read", fields);
  }
  const named = options.config ?? options.configDir;
  // It was not asked for on the command line.
  if (named === undefined && file !== undefined) logger.info?.("configuration read", { file });
  const server =
    threadsOf(config) === 1
      ? createServer({ config: { ...config, workers: 1 }, logger })
      : await threadsFor(config, file, logger, logLevel);
  const starting = server.start().catch((error: unknown) => {
    throw new Failure(oneLine(error instanceof Error ? error.message : `${error}`), EXIT_WRONG);
  });
  stopOnSignal(server, starting, config, logger);
  const ports = await starting;
  surviveErrors(logger);
  logListeners(ports, config, logger);
}

/** The server with several threads, each of which runs this program. */
async function threadsFor(
  config: ServerConfig,
  file: string | undefined,
  logger: ServerLogger,
  logLevel: LogLevel,
): Promise<Threads> {
  return new Threads({
    threads: threadsOf(config),
    // It may be a link in a folder of programs.
    program: pathToFileURL(realpathSync(process.argv[1] ?? "")),
    tables: await loadTables({ config: file, env: process.env }),
    config,
    logger,
    logLevel,
    failed: (reason) => {
      logger.error("the server cannot go on", { reason });
      const ended = standardOutput().drained(LAST_LINES_MS);
      background(
        ended.then(() => process.exit(EXIT_FAILED)),
        logger,
        "the end of the process",
      );
    },
  });
}

/** What stands on the command line is in force in the place of what is configured. */
function withFlags(config: ServerConfig, { logLevel, workers }: ServeOptions): ServerConfig {
  const flags = [
    ["server.workers", "--workers", workers],
    ["server.log_level", "--log-level", logLevel],
  ] as const;
  const inForce = flags.reduce(
    (all, [path, flag, value]) =>
      value === undefined ? all : flagged(all, path, flag, `${value}`),
    config.inForce,
  );
  return { ...config, workers: workers ?? config.workers, inForce };
}

function flagged(
  inForce: ServerConfig["inForce"],
  path: string,
  flag: string,
  value: string,
): ServerConfig["inForce"] {
  const secret = value === "";
  return withSetting(inForce, { path, value, secret, source: "flag", origin: flag });
}

/** Of keys that were configured only the digest is known. */
async function withDevKey(config: ServerConfig): Promise<ServerConfig> {
  if (config.api.keys.length > 0) return config;
  try {
    const { key, entry } = await devKey(process.cwd());
    // Not to the log, which may be kept where others read it.
    process.stderr.write(`api key: ${key}\n`);
    const signs = [{ id: entry.id, secret: utf8Encode(key) }];
    const { ticketKeys: configured } = config.api;
    const ticketKeys = configured.length > 0 ? configured : signs;
    const keyed = flagged(config.inForce, "api.keys", "--dev", "");
    const inForce = configured.length > 0 ? keyed : flagged(keyed, "api.ticket_keys", "--dev", "");
    return { ...config, inForce, api: { ...config.api, keys: [...keysOf(entry)], ticketKeys } };
  } catch (error) {
    if (error instanceof StartError) throw new Failure(oneLine(error.message), EXIT_WRONG);
    throw error;
  }
}

function stopOnSignal(
  server: Pick<Server, "stop">,
  starting: Promise<unknown>,
  { drainTimeoutMs }: ServerConfig,
  logger: ServerLogger,
): void {
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    try {
      await starting;
    } catch {
      // `serve` itself says why, and ends the process.
      return;
    }
    setTimeout(() => {
      logger.error("cannot stop in time");
      process.exit(EXIT_FAILED);
    }, drainTimeoutMs + STOP_GRACE_MS);
    let code = 0;
    try {
      logger.info?.("stopping", { signal });
      await server.stop();
      logger.info?.("stopped");
    } catch (error) {
      logger.error("cannot stop", { error });
      code = EXIT_FAILED;
    }
    await standardOutput().drained(LAST_LINES_MS);
    process.exit(code);
  };
  let stopping: Promise<void> | undefined;
  const signalled = (signal: NodeJS.Signals): void => {
    // A terminal that goes says so more than once.
    if (stopping !== undefined && signal !== "SIGHUP") process.exit(EXIT_FAILED);
    stopping ??= stop(signal);
  };
  for (const signal of SIGNALS) process.on(signal, signalled);
}

function logListeners(ports: ServerPorts, config: ServerConfig, logger: ServerLogger): void {
  for (const listener of ["websocket", "grpc", "http"] as const) {
    const { address, tls } = config[listener];
    const port = ports[listener];
    logger.info?.("listening", {
      listener,
      address: formatAddress({ host: address.host, port }),
      port,
      tls: tls !== undefined,
      ...(listener === "websocket" ? { path: config.websocket.path } : {}),
    });
  }
}
