/** Links of the documents: to files and their headings, as GitHub has them, and outwards in their form alone. */
import { existsSync, statSync } from "node:fs";
import { posix } from "node:path";
import type { Report } from "../report.ts";
import { PAGES, read, root } from "./blocks.ts";

export function links(report: Report, plant: boolean): void {
  let inner = 0;
  let outer = 0;
  const broken: string[] = [];
  for (const page of PAGES) {
    const text = prose(read(page)) + (plant && page === "README.md" ? "\n[a](docs/none.md)" : "");
    for (const [, to = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(to)) {
        outer += 1;
        if (!URL.canParse(to)) broken.push(`${page}: ${to} is no address`);
        continue;
      }
      inner += 1;
      const problem = problemOf(page, to);
      if (problem !== undefined) broken.push(`${page}: ${to} ${problem}`);
    }
  }
  report.expect(
    broken.length === 0 && inner > 0,
    `${inner} links to files and headings lead somewhere, ${outer} others are addresses${listed(broken)}`,
  );
}

export function listed(broken: readonly string[]): string {
  return broken.map((one) => `\n  ${one}`).join("");
}

function problemOf(page: string, to: string): string | undefined {
  const [path = "", anchor] = to.split("#");
  // The pages of the site itself name each other by their addresses.
  if (path.startsWith("/")) return undefined;
  const file = path === "" ? page : posix.join(posix.dirname(page), path);
  if (!existsSync(`${root}${file}`)) return "is no file";
  if (anchor === undefined) return undefined;
  if (statSync(`${root}${file}`).isDirectory() || !file.endsWith(".md")) return "has no headings";
  return headings(file).has(anchor) ? undefined : "is no heading";
}

/** The anchors that GitHub makes; the second of a name has a number. */
function headings(file: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const [, heading = ""] of prose(read(file), "`$1`").matchAll(/^#{1,6} (.*)$/gm)) {
    const name = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .toLowerCase()
      .replace(/[^\p{L}\p{M}\p{N}_\- ]/gu, "")
      .trim()
      .replaceAll(" ", "-");
    let anchor = name;
    for (let at = 1; anchors.has(anchor); at++) anchor = `${name}-${at}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** Without blocks of code, and with something else in the place of code in lines. */
function prose(text: string, code = ""): string {
  return text.replace(/^```.*?^```$/gms, "").replace(/`([^`\n]*)`/g, code);
}
