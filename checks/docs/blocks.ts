/**
 * The blocks of code of the documents, and what the check does with each. A comment before a block says it, which no reader sees:
 *
 * - `<!-- file: NAME -->` it is that file of the page's folder,
 * - `<!-- run -->` its commands are run in the folder and have to succeed; `<!-- run: CODE -->` they end with another code,
 * - `<!-- start: TEXT -->` its command is started and goes on, and prints that text when it is ready; with `ready` it is a server,
 * - `<!-- prints -->` it is what the command before it prints, where `…` stands for anything,
 * - `<!-- installed -->` it installs what the check has put into the folder already,
 * - `<!-- run by: FILE -->` a test or another check runs it,
 * - `<!-- needs: WHAT -->` it is not run, because it needs what a check has not.
 *
 * `<!-- beside: COMMAND -->` anywhere before starts a server that the reader has from another page, and waits until it is ready.
 */
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Block {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly text: string;
  readonly mark: Mark | undefined;
}

export interface Mark {
  readonly does: (typeof MARKS)[number];
  readonly value: string;
}

const MARKS = ["file", "run", "start", "prints", "installed", "run by", "needs"] as const;

/** Documents that readers are led to, by their paths. */
export const PAGES: readonly string[] = [
  "README.md",
  "SPEC.md",
  "deploy/README.md",
  "bench/README.md",
  "checks/README.md",
  "examples/README.md",
  ...globSync(["docs/**/*.md", "examples/*/README.md", "site/*.md"], { cwd: root }).toSorted(),
];

export function read(page: string): string {
  return readFileSync(`${root}${page}`, "utf8");
}

/** @throws Error where a comment is none of those above */
export function blocksOf(page: string): Block[] {
  const text = read(page);
  const found = text.matchAll(/(?:^<!-- ([a-z ]+?)(?:: ([^\n]*))? -->\n)?^```(\w*)\n(.*?)^```$/gms);
  return [...found].map(([all, does, value = "", language = "", code = ""], at) => {
    const index = text.indexOf(all);
    const line = text.slice(0, index).split("\n").length;
    const mark = MARKS.find((one) => one === does);
    if (does !== undefined && mark === undefined) {
      throw new Error(`${page}:${line} (block ${at + 1}): "${does}" is no mark`);
    }
    return { page, line, language, text: code, mark: mark && { does: mark, value } };
  });
}

/** The command of the page that starts a server beside it. */
export function besideOf(page: string): string | undefined {
  return /^<!-- beside: (.*) -->$/m.exec(read(page))?.[1];
}

/** Whether the check runs anything of the page. */
export function isRun(blocks: readonly Block[]): boolean {
  return blocks.some(({ mark }) => mark?.does === "run" || mark?.does === "start");
}
