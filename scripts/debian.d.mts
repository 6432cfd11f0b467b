/** A program that comes with a package of Debian. */
export interface Program {
  readonly names: readonly string[];
  readonly packageName: string;
  /** What is said where there is no such program and none can be had. */
  readonly otherwise: string;
}

/** Leaves the path of a program in a variable of the environment, or ends the process with one sentence. */
export function provide(variable: string, program: Program): void;
