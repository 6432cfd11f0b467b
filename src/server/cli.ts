#!/usr/bin/env node
/**
 * The command line: the server, and a client for the shell. Commands report what goes wrong by
 * throwing; here it becomes a line on standard error and an exit code.
 */
import { Command, CommanderError } from "commander";
import { EXIT_WRONG, Failure, oneLine } from "./commands/failure.ts";
import { VERSION } from "./version.ts";

interface CommandEntry {
  /** Name and arguments. */
  readonly usage: string;
  readonly description: string;
  /** Goes on when nobody reads what it prints. */
  readonly outlivesReader?: true;
  /** Only the command that is run is loaded: a client needs no server. */
  readonly load: () => Promise<{ configure(command: Command): void }>;
}

const COMMANDS: readonly CommandEntry[] = [
  {
    usage: "serve",
    description: "run the server",
    outlivesReader: true,
    load: () => import("./commands/serve.ts"),
  },
  {
    usage: "check",
    description: "check a configuration",
    load: () => import("./commands/check.ts"),
  },
  {
    usage: "publish <channel> [data]",
    description: "publish one event",
    load: () => import("./commands/publish.ts"),
  },
  {
    usage: "subscribe <channels...>",
    description: "print the events of channels",
    load: () => import("./commands/subscribe.ts"),
  },
  {
    usage: "rpc <channel> <method> [data]",
    description: "call the application's backend",
    load: () => import("./commands/rpc.ts"),
  },
];

const HELP = `
Every command has its own help: messageloop serve --help.

Exit codes: 0 all went well, 1 the server refused or the connection was lost, 2 the command
line, the configuration or the start was wrong.

Examples:
  messageloop serve --config config.yaml
  messageloop subscribe chat.room
  messageloop publish chat.room 'hello'
`;

process.stdout.on("error", readerGone);
// What goes wrong is said there; where nobody listens the exit code says it.
process.stderr.on("error", () => {});

try {
  const args = process.argv.slice(2);
  const program = await createProgram(args);
  await program.parseAsync(args, { from: "user" });
} catch (error) {
  if (error instanceof CommanderError) {
    // It has printed its line, or the help that was asked for.
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_WRONG;
  } else if (error instanceof Failure) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.exitCode;
  } else {
    throw error;
  }
}

async function createProgram(args: readonly string[]): Promise<Command> {
  const program = new Command("messageloop")
    .description("Realtime messaging: a self-hosted server, and a client for the shell.")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    .addHelpText("after", HELP)
    // Commands take these two over when they are added, so they come first.
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(`${oneLine(text).replace(/^error: /, "")}\n`),
    });
  for (const { usage, description, outlivesReader, load } of COMMANDS) {
    const command = program.command(usage).description(description);
    if (outlivesReader) {
      command.hook("preAction", () => {
        process.stdout.off("error", readerGone);
      });
    }
    if (args.includes(command.name())) (await load()).configure(command);
  }
  return program;
}

/** The reader of a command's output may stop reading, as head does; that is no error of ours. */
function readerGone(error: NodeJS.ErrnoException): void {
  process.exit(error.code === "EPIPE" ? 0 : 1);
}
