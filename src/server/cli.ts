#!/usr/bin/env node
/**
 * The command line: the server, and a client for the shell. Commands report what goes wrong by
 * throwing; here it becomes a line on standard error and an exit code.
 */
import { isMainThread } from "node:worker_threads";
import { Command, CommanderError } from "commander";
import { EXIT_WRONG, Failure, oneLine } from "./commands/failure.ts";
import { addHelp } from "./commands/help.ts";
import { VERSION } from "./version.ts";

interface CommandEntry {
  /** Name and arguments. */
  readonly usage: string;
  readonly description: string;
  /** Goes on when what it prints is not read. */
  readonly outlivesReader?: true;
  /** Is about all commands, so that all of them are loaded with it. */
  readonly aboutAll?: true;
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
    usage: "bundle",
    description: "make what a Worker imports of a configuration",
    load: () => import("./commands/bundle.ts"),
  },
  {
    usage: "key",
    description: "make a key of the server API",
    load: () => import("./commands/key.ts"),
  },
  {
    usage: "token",
    description: "make a token for development",
    load: () => import("./commands/token.ts"),
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
  {
    usage: "history <channel>",
    description: "print what a channel's log has",
    load: () => import("./commands/api/history.ts"),
  },
  {
    usage: "presence <channel>",
    description: "print who is subscribed to a channel",
    load: () => import("./commands/api/presence.ts"),
  },
  {
    usage: "channels [pattern]",
    description: "list channels",
    load: () => import("./commands/api/channels.ts"),
  },
  {
    usage: "disconnect [sessions...]",
    description: "end sessions",
    load: () => import("./commands/api/disconnect.ts"),
  },
  {
    usage: "revoke <users...>",
    description: "revoke tokens",
    load: () => import("./commands/api/revoke.ts"),
  },
  {
    usage: "trace",
    description: "print the frames of a user or a channel",
    load: () => import("./commands/api/trace.ts"),
  },
  {
    usage: "bench",
    description: "measure a server by a small load",
    load: () => import("./commands/bench/command.ts"),
  },
  {
    usage: "top",
    description: "show what servers do now",
    load: () => import("./commands/top/command.ts"),
  },
  {
    usage: "completion",
    description: "print what completes commands in a shell",
    aboutAll: true,
    load: () => import("./commands/completion/command.ts"),
  },
];

const HELP = `
Every command has its own help: messageloop serve --help. What commands print is text
for people, and with --json an object a line.

Exit codes: 0 when all went well; 1 when the server cannot be reached, refuses or goes
away; 2 when the command line, the configuration or the start is wrong.

Examples:
  messageloop serve --config config.yaml
  messageloop subscribe chat.room
  messageloop publish chat.room 'hello'
`;

if (isMainThread) await run();
// A server with several threads runs this program in each of them.
else (await import("./threads/thread.ts")).runThread();

async function run(): Promise<void> {
  process.stdout.on("error", readerGone);
  // What goes wrong is said there; without a reader the exit code says it.
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
}

async function createProgram(args: readonly string[]): Promise<Command> {
  const program = addHelp(new Command("messageloop"), HELP)
    .description("Realtime messaging: a self-hosted server, and a client for the shell.")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print help")
    // Commands take these two over when they are added, so they come first.
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(`${oneLine(text).replace(/^error: /, "")}\n`),
    });
  const [first = ""] = args;
  const all = COMMANDS.some(({ usage, aboutAll }) => aboutAll === true && usage === first);
  for (const { usage, description, outlivesReader, load } of COMMANDS) {
    const command = program.command(usage).description(description);
    if (outlivesReader) {
      command.hook("preAction", () => {
        process.stdout.off("error", readerGone);
      });
    }
    if (all || args.includes(command.name())) (await load()).configure(command);
  }
  return program;
}

/** The reader of a command's output may stop reading, as head does; that is no error of ours. */
function readerGone(error: NodeJS.ErrnoException): void {
  process.exit(error.code === "EPIPE" ? 0 : 1);
}
