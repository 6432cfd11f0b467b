/** Says at the end of a run how long each test project took, as rows that test/README.md can hold. */
import type { Reporter, TestModule } from "vitest/node";

/** One file that has run. Times are in milliseconds of one clock. */
export interface FileRun {
  readonly project: string;
  /** Path below the repository. */
  readonly file: string;
  readonly tests: number;
  readonly from: number;
  readonly to: number;
}

export class ProjectSeconds implements Reporter {
  readonly #from = new Map<string, number>();
  #runs: FileRun[] = [];

  onTestRunStart(): void {
    this.#runs = [];
  }

  onTestModuleQueued({ id }: TestModule): void {
    this.#from.set(id, performance.now());
  }

  onTestModuleEnd(module: TestModule): void {
    const to = performance.now();
    this.#runs.push({
      project: module.project.name,
      file: module.relativeModuleId,
      tests: [...module.children.allTests()].length,
      from: this.#from.get(module.id) ?? to,
      to,
    });
  }

  onTestRunEnd(): void {
    // Of one file, the runner has said all there is to say.
    if (this.#runs.length > 1) console.info(`\n${projectTable(this.#runs)}\n`);
  }
}

/**
 * A row for each project, in the order in which they began: seconds from its first file's beginning to
 * its last one's end, seconds of all its files together, and which of them took longest.
 */
export function projectTable(runs: readonly FileRun[]): string {
  const projects = Map.groupBy(
    [...runs].sort((left, right) => left.from - right.from),
    ({ project }) => project,
  );
  const rows = [...projects].map(([project, files]) => row(project, files));
  return lined([
    ["project", "files", "tests", "seconds", "of its files", "longest file"],
    ...rows,
    row("all", runs),
  ]);
}

function row(name: string, files: readonly FileRun[]): string[] {
  const from = Math.min(...files.map((file) => file.from));
  const to = Math.max(...files.map((file) => file.to));
  const longest = files.reduce((most, file) => (taken(file) > taken(most) ? file : most));
  return [
    name,
    `${files.length}`,
    `${sum(files.map(({ tests }) => tests))}`,
    seconds(to - from),
    seconds(sum(files.map(taken))),
    `${longest.file} ${seconds(taken(longest))}`,
  ];
}

function taken({ from, to }: FileRun): number {
  return to - from;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}

/** A table of Markdown whose columns stand under each other in a terminal as well. */
function lined([head = [], ...rows]: readonly (readonly string[])[]): string {
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((cells) => width(cells, i))));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((count) => "-".repeat(count))), ...rows.map(line)].join("\n");
}

function width(cells: readonly string[], column: number): number {
  return cells[column]?.length ?? 0;
}
