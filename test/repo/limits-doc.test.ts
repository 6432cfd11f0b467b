/**
 * docs/limits.md names every setting of every host with its true default, says which host has it,
 * and names no setting that does not exist.
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { DEFAULT_CHANNEL_RULES } from "../../src/channels/rules.ts";
import { SERVER_SETTING_PATHS, WORKER_SETTING_PATHS } from "../../src/config/schema.ts";
import { SETTING_PATHS, type SettingPath } from "../../src/engine/settings/settings.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { settingsOf } from "../../src/worker/settings.ts";

const text = readFileSync(new URL("../../docs/limits.md", import.meta.url), "utf8");
const serverPaths = new Set(SERVER_SETTING_PATHS.map(([path]) => path));
/** What both hosts have: the engine's settings, and what both read of a request. */
const COMMON = WORKER_SETTING_PATHS.filter(([path]) => serverPaths.has(path));
const common = new Set(COMMON.map(([path]) => path));

/** What stands below each heading, and the settings that belong there. */
const SECTIONS: readonly (readonly [heading: string, settings: readonly SettingPath[]])[] = [
  ["### On every host", COMMON.filter(([path]) => !/^(?:channels|proxy|hooks)\./.test(path))],
  ["### Backends", COMMON.filter(([path]) => /^(?:proxy|hooks)\./.test(path))],
  ["### Channel rules", COMMON.filter(([path]) => path.startsWith("channels."))],
  ["### Only on Workers", WORKER_SETTING_PATHS.filter(([path]) => !common.has(path))],
  [
    "### Only on the self-hosted server",
    SERVER_SETTING_PATHS.filter(([path]) => !common.has(path)),
  ],
];
const known = new Set(SECTIONS.flatMap(([, settings]) => settings.map(([path]) => path)));
const groups = new Set([...known].map((path) => path.split(".", 1)[0]));

/** Cells of the tables in a text, without the marks of code. */
function rowsOf(part: string): string[][] {
  return part
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").map((cell) => cell.trim().replace(/^`(.*)`$/, "$1")));
}

/** The settings that tables have rows for, with their defaults. */
function settingsIn(part: string): SettingPath[] {
  return rowsOf(part)
    .filter(([, name = ""]) => /^\w+(\.(\w+|\*))+$/.test(name))
    .map(([, name = "", standard = ""]): SettingPath => [name, standard]);
}

function section(heading: string): string {
  const [, rest = ""] = text.split(`${heading}\n`);
  return rest.split(/^##/m, 1)[0] ?? "";
}

test("both hosts have the settings that every host has, with the same defaults", () => {
  for (const host of [WORKER_SETTING_PATHS, SERVER_SETTING_PATHS]) {
    expect(host.filter(([path]) => common.has(path)).toSorted()).toEqual(COMMON.toSorted());
    expect(SETTING_PATHS.filter(([path]) => !common.has(path))).toEqual([]);
  }
});

test.each(SECTIONS)("%s: every setting with its default, and no other", (heading, settings) => {
  expect(settings.length).toBeGreaterThan(0);
  expect(settingsIn(section(heading)).toSorted()).toEqual(settings.toSorted());
});

test("no setting has a row outside of its section", () => {
  expect(settingsIn(text)).toHaveLength(known.size);
});

test("what looks like a setting in the tables is one", () => {
  const mentioned = rowsOf(text).flatMap(
    (row) => row.join("|").match(/\b\w+(?:\.(?:\w+|\*))+/g) ?? [],
  );
  const settings = mentioned.filter((name) => groups.has(name.split(".", 1)[0]));
  // A list of tables has no line of its own.
  const isList = (name: string): boolean =>
    [...known].some((path) => path.startsWith(`${name}.*.`));
  expect(settings.filter((name) => !known.has(name) && !isList(name))).toEqual([]);
});

test("the channel rules of the example are what the page says, on both hosts", () => {
  const [, yaml = ""] = /```yaml\n(.*?)```/s.exec(section("### Channel rules")) ?? [];
  const messageloop: unknown = parse(yaml);
  const books = [settingsOf({ messageloop }).rules, parseConfig(messageloop).settings.rules];
  for (const rules of books) {
    expect(rules.of("chat.a.b")).toEqual({
      ...DEFAULT_CHANNEL_RULES,
      historySize: 1_000,
      historyTtlMs: 259_200_000,
      positionTtlMs: 259_200_000,
    });
    expect(rules.of("cursors.a")).toMatchObject({ transient: true, presenceGraceMs: 0 });
    expect(rules.of("cursors.a.b")).toEqual(DEFAULT_CHANNEL_RULES);
  }
});
