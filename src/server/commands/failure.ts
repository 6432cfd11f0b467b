/** How a command ends that cannot do what it was asked to: a line for people and an exit code. */

/** The command line, the configuration or the start was wrong: nothing has happened. */
export const EXIT_WRONG = 2;
/** It began and did not end well: the server refused or has gone. */
export const EXIT_FAILED = 1;

/** Carries what a person reads, a line for each problem, and the exit code that a script reads. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT_FAILED) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** A foreign text as the one line that a command may print. */
export function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, " ");
}
