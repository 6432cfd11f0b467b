/** What the help of a command says beside its arguments and options. */
import type { Command } from "commander";

/** Wider lines are hard to read. */
const WIDEST = 80;

/** Adds a text after the help of a command. Its prose is wrapped to the terminal; lines that are indented stay. */
export function addHelp(command: Command, text: string): Command {
  return command.addHelpText("after", ({ error }) => {
    const { getErrHelpWidth, getOutHelpWidth } = command.configureOutput();
    const width = (error ? getErrHelpWidth : getOutHelpWidth)?.() ?? WIDEST;
    return wrapped(text, Math.min(width, WIDEST));
  });
}

function wrapped(text: string, width: number): string {
  const lines: string[] = [];
  /** Whether the last line is one of prose, which goes on. */
  let open = false;
  for (const line of text.split("\n")) {
    const prose = /^\S/.test(line);
    if (!prose || !open) lines.push(prose ? "" : line);
    if (prose) for (const word of line.split(" ")) addWord(lines, word, width);
    // What names a list stands by itself.
    open = prose && !line.endsWith(":");
  }
  return lines.join("\n");
}

function addWord(lines: string[], word: string, width: number): void {
  const last = lines.at(-1) ?? "";
  if (last === "") lines[lines.length - 1] = word;
  else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
  else lines.push(word);
}
