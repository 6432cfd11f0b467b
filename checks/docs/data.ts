/** Blocks of JSON, YAML and TOML, which have to be what they say. */
import { spawnSync } from "node:child_process";
import { parse } from "yaml";
import { configSchema } from "../../src/config/schema.ts";
import { readSettings } from "../../src/engine/settings/secrets.ts";
import type { Host } from "../../src/engine/settings/table.ts";
import { configError } from "../../src/server/config/file.ts";
import type { Report } from "../report.ts";
import { type Block, blocksOf, PAGES } from "./blocks.ts";
import { listed } from "./links.ts";

const READERS: Readonly<Record<string, (text: string) => void>> = {
  json: everyJson,
  yaml: settings,
  toml,
};

export function data(report: Report, plant: boolean): void {
  const blocks = PAGES.flatMap(blocksOf);
  if (plant) {
    const wrong = { page: "README.md", line: 0, mark: undefined };
    blocks.push({ ...wrong, language: "yaml", text: "limits: { publishes_a_second: 1 }" });
    blocks.push({ ...wrong, language: "json", text: '{"a":}' });
    blocks.push({ ...wrong, language: "toml", text: "a = " });
  }
  for (const [language, reader] of Object.entries(READERS)) {
    const its = blocks.filter((block) => block.language === language);
    const wrong = its.flatMap((block) => complaint(block, reader));
    report.expect(
      wrong.length === 0 && its.length > 0,
      `${its.length} blocks of ${language} are valid${listed(wrong)}`,
    );
  }
}

function complaint({ page, line, text }: Block, reader: (text: string) => void): string[] {
  try {
    reader(text);
    return [];
  } catch (error) {
    return [`${page}:${line}: ${(error as Error).message}`];
  }
}

/** One text of JSON, or several, each of which begins a line. */
function everyJson(text: string): void {
  let rest = "";
  for (const line of text.split("\n")) {
    if (/^\S/.test(line) && rest.trim() !== "" && isJson(rest)) rest = "";
    rest += `${line}\n`;
  }
  if (rest.trim() !== "") JSON.parse(rest);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Settings of one of the hosts at least. A page may show a part, which needs what is not shown. */
function settings(text: string): void {
  const config: unknown = parse(text);
  const complaints = (["server", "worker"] as const).map((host) => misnamed(config, host));
  if (complaints.every((lines) => lines.length > 0)) throw new Error(complaints.flat().join("; "));
}

function misnamed(config: unknown, host: Host): string[] {
  try {
    readSettings(configSchema, config, host, {
      named: () => "a secret that stands elsewhere, of 32",
    });
    return [];
  } catch (error) {
    const { message } = configError(error, host, "config.yaml") as Error;
    // What a secret holds is nobody's here.
    const lines = message.split("\n").filter((line) => !line.includes(" in the secret "));
    return lines.filter((line) => /is not a setting|must be/.test(line));
  }
}

function toml(text: string): void {
  const program = "import sys, tomllib; tomllib.loads(sys.stdin.read())";
  const { status, stderr } = spawnSync("python3", ["-c", program], {
    input: text,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(stderr.trim().split("\n").at(-1));
}
