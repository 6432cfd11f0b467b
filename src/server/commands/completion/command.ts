/** `completion`: prints what completes the command line in a shell. */
import { Argument, type Command } from "commander";
import { Failure } from "../failure.ts";
import { addHelp } from "../help.ts";
import { bashScript } from "./bash.ts";
import { fishScript } from "./fish.ts";
import { type ProgramWords, wordsOf } from "./words.ts";
import { zshScript } from "./zsh.ts";

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } satisfies Record<
  string,
  (program: ProgramWords) => string
>;
type Shell = keyof typeof SCRIPTS;

const HELP = `
It prints a script that completes commands, options, and the values of options that take
one of a few or a file. It is made of the commands of this very version: print it again
after an update, or have the shell do so when it starts, as below.

Exit codes: 0 when it is printed; 2 when the command line is wrong.

Examples:
  messageloop completion bash >> ~/.bash_completion
  messageloop completion zsh > ~/.zfunc/_messageloop
  messageloop completion fish > ~/.config/fish/completions/messageloop.fish
  eval "$(messageloop completion bash)"
`;

export function configure(command: Command): void {
  command.addArgument(new Argument("<shell>", "whose").choices(Object.keys(SCRIPTS)));
  addHelp(command, HELP).action((shell: Shell, _options: object, { parent }: Command) => {
    if (parent === null) throw new Failure("it is no part of a program");
    process.stdout.write(SCRIPTS[shell](wordsOf(parent)));
  });
}
