/** What the templates name are the versions that are tested here, and their Worker is configured as this one is. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { TEMPLATES } from "../../src/create/templates.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const templates = globSync("templates/*/package.json", { cwd: root }).map(
  (path) => path.split(/[\\/]/)[1] ?? "",
);

test("each template can be named, and no other", () => {
  expect(templates.sort()).toEqual(TEMPLATES.map(({ name }) => name).sort());
  for (const name of templates)
    expect(read("templates/README.md")).toContain(`| [\`${name}\`](${name})`);
});

test.each(templates)("%s names the versions of this tree", (name) => {
  const { version, dependencies, devDependencies } = JSON.parse(read("package.json"));
  const known = {
    ...dependencies,
    ...devDependencies,
    messageloop: version,
    "messageloop-server": version,
  };
  const own = JSON.parse(read(`templates/${name}/package.json`));
  const named = Object.entries({ ...own.dependencies, ...own.devDependencies });
  expect(named).toEqual(named.map(([one]) => [one, known[one]]));
});

/** What a Worker's configuration says that decides how the server runs. */
function settingsOf(path: string): unknown {
  const text = read(path).replace(/#.*/g, "");
  const one = (key: string): string => new RegExp(`^${key} = (.*)$`, "m").exec(text)?.[1] ?? "";
  const list = (key: string): string[] => {
    const [, inside = ""] = new RegExp(`^${key} = \\[([^\\]]*)\\]`, "m").exec(text) ?? [];
    return inside
      .split(",")
      .map((entry) => entry.trim())
      .filter(Boolean);
  };
  return {
    date: one("compatibility_date"),
    names: one("keep_names"),
    flags: list("compatibility_flags"),
    first: list("run_worker_first"),
    objects: [
      ...text.matchAll(/^\[exports\.(\w+)\]\ntype = "durable-object"\nstorage = "sqlite"$/gm),
    ].map(([, name]) => name),
  };
}

test.each(["worker", "chat"])("the Worker of %s is configured as this one", (name) => {
  const own = settingsOf("wrangler.toml");
  expect(own).toMatchObject({ date: expect.stringMatching(/^"20/), names: "false" });
  expect(own).toHaveProperty("objects.length", 5);
  expect(own).toHaveProperty("first.length", 6);
  expect(settingsOf(`templates/${name}/wrangler.toml`)).toEqual(own);
});
