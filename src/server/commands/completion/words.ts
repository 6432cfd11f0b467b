/** The words of a command line, as a program's own help has them. */
import type { Command } from "commander";

/** What an option or an argument takes. */
export type ValueKind =
  | { readonly kind: "nothing" | "file" | "text" }
  | { readonly kind: "choice"; readonly choices: readonly string[] };

export interface OptionWords {
  /** Such as `-h`. */
  readonly short: string | undefined;
  /** Such as `--help`. */
  readonly long: string;
  readonly description: string;
  readonly value: ValueKind;
}

export interface CommandWords {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionWords[];
  /** What each argument takes, in their order; the last one holds for all that follow if there are any. */
  readonly takes: readonly ValueKind[];
}

export interface ProgramWords {
  readonly name: string;
  readonly options: readonly OptionWords[];
  readonly commands: readonly CommandWords[];
}

/** @param program with all its commands configured */
export function wordsOf(program: Command): ProgramWords {
  const help = program.createHelp();
  const names = help.visibleCommands(program).map((command) => command.name());
  return {
    name: program.name(),
    options: optionsOf(program),
    commands: help.visibleCommands(program).map((command) => ({
      name: command.name(),
      description: command.description(),
      options: optionsOf(command),
      takes: command.registeredArguments.map(({ argChoices }) =>
        // The command that the library adds shows the help of another one.
        valueKind(command.name() === "help" ? names : argChoices, ""),
      ),
    })),
  };
}

function optionsOf(command: Command): OptionWords[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ short, long, description, argChoices, required, optional, flags }) => {
      if (!long) return [];
      const takes = required || optional;
      const value: ValueKind = takes ? valueKind(argChoices, flags) : { kind: "nothing" };
      return [{ short, long, description, value }];
    });
}

function valueKind(choices: readonly string[] | undefined, flags: string): ValueKind {
  if (choices !== undefined) return { kind: "choice", choices };
  return { kind: /<(?:file|dir)>/.test(flags) ? "file" : "text" };
}

/** A text in single quotes, as shells of the Bourne family read it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
