/** docs/configuration.md: its files are valid on both hosts, its messages are the true ones, and no secret is left out. */
import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { meaningOf } from "../../src/config/meaning.ts";
import { configSchema } from "../../src/config/schema.ts";
import {
  checkWithoutSecrets,
  readSettings,
  type SecretUse,
} from "../../src/engine/settings/secrets.ts";
import { below, type Host, type SettingsSchema } from "../../src/engine/settings/table.ts";
import { configError } from "../../src/server/config/file.ts";
import { secretLines } from "../../src/server/config/worker.ts";

const root = new URL("../../", import.meta.url);
const text = readFileSync(new URL("docs/configuration.md", root), "utf8");

/** Blocks of one language below a heading; without one those of the whole page. */
function blocks(language: string, heading?: string, page = text): string[] {
  const [whole = "", section = whole] = page.split(`## ${heading}\n`);
  const part = heading === undefined ? page : (section.split(/^## /m)[0] ?? "");
  return [...part.matchAll(/^```(\w*)\n(.*?)^```$/gms)]
    .filter(([, its]) => its === language)
    .map(([, , block = ""]) => block);
}

/** What is said of a file that is wrong. */
function complaints(config: unknown, host: Host): string[] {
  try {
    readSettings(configSchema, config, host, { named: () => undefined });
    return [];
  } catch (error) {
    return (configError(error, host, "config.yaml") as Error).message.split("\n");
  }
}

/** Settings that may stand elsewhere; `*` is the place in a list, and any key of a table of any keys. */
function secretPaths(schema: SettingsSchema, path = ""): string[] {
  const { entries, item, secret, type, value } = schema.wrapped ?? schema;
  const own = secret === undefined ? [] : [path];
  const any = type === "record" ? value : item;
  if (any !== undefined) return [...own, ...secretPaths(any, below(path, "*"))];
  const inner = Object.entries(entries ?? {});
  return [...own, ...inner.flatMap(([key, entry]) => secretPaths(entry, below(path, key)))];
}

test("the files of the page are valid on both hosts", () => {
  const files = blocks("yaml");
  expect(files.length).toBeGreaterThan(1);
  for (const file of files) {
    for (const host of ["server", "worker"] as const) {
      expect(checkWithoutSecrets(configSchema, parse(file), host).length).toBeGreaterThan(0);
    }
  }
});

test("every setting that a page shows of a file is one of a host", () => {
  const pages = ["README.md", ...globSync("docs/**/*.md", { cwd: root })];
  const shown = pages.flatMap((page) => {
    const found = blocks("yaml", undefined, readFileSync(new URL(page, root), "utf8"));
    return found.map((file) => [page, parse(file) as unknown] as const);
  });
  expect(shown.length).toBeGreaterThan(5);
  // A page may show a part, which needs what is not shown.
  const valid = (config: unknown, host: Host): boolean =>
    !complaints(config, host).some((line) => /is not a setting|must be a table/.test(line));
  expect(shown.filter(([, file]) => !valid(file, "server") && !valid(file, "worker"))).toEqual([]);
});

test("what a deployment needs is listed as it is told", () => {
  const [, file = ""] = blocks("yaml");
  const uses: readonly SecretUse[] = checkWithoutSecrets(configSchema, parse(file), "worker");
  const [told = ""] = blocks("", "Secrets");
  const anonymous = { required: false, tokens: false, authenticator: undefined };
  const facts = { ...anonymous, keeper: "objects", findsUsers: true, tellsEvents: false } as const;
  const lines = [...meaningOf(facts), ...secretLines(uses)];
  expect(["config.yaml is valid for Workers", ...lines, ""].join("\n")).toBe(told);
});

test("mistakes are told as the page says", () => {
  const wrong = {
    server: { heartbeat: { ping_intervall: "1s" } },
    limits: { rpcs_in_flight: 0 },
    channels: [{ pattern: "a", history_size: 0 }],
  };
  const [told = ""] = blocks("", "A mistake is never passed over");
  expect(`${complaints(wrong, "server").join("\n")}\n`).toBe(told);
  const foreign = { transport: { grpc: { addr: ":9090" } } };
  const [refusal = ""] = blocks("", "Keys that one host alone has");
  expect(`${complaints(foreign, "worker").join("\n")}\n`).toBe(refusal);
});

test("every setting that may stand elsewhere is in the table of secrets, and no other", () => {
  const [, section = ""] = text.split("## Secrets\n");
  const [, table = ""] = section.split("| setting | what it holds elsewhere |\n");
  const rows = (table.split("\n\n")[0] ?? "").split("\n");
  const listed = rows.flatMap((row) =>
    [...(row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name),
  );
  expect(listed.toSorted()).toEqual(secretPaths(configSchema).toSorted());
});
