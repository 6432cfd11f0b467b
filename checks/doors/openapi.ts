/**
 * The OpenAPI document of the server API: Redocly validates it, and schemathesis makes requests of it, valid and
 * invalid ones, which each host has to answer as the document says and never with a status of 5xx.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { OPENAPI } from "../../src/http/api/gen/openapi.ts";
import type { Report } from "../report.ts";
import { startHost } from "./host.ts";
import { type DoorOptions, type Workshop, workshop } from "./part.ts";

/** Requests that each host answers, at least. */
const LEAST = 5_000;
/** Made up for each of the ten calls, beside some 80 that follow from the document. */
const EXAMPLES = 450;
const SEED = 1;
/**
 * What schemathesis says when it has changed a call's schema, for requests that are invalid, into one that it cannot make
 * anything of. It makes no more requests of that call then.
 */
const UNMADE = "Schemathesis does not support a `not` whose complement is not spelled out";
/** What an answer has to be. */
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_schema_conformance",
].join(",");

export async function openapi(report: Report, { hosts, plant }: DoorOptions): Promise<void> {
  const shop = await workshop("openapi");
  try {
    await validate(report, shop, plant);
    await shop.run("python3", ["-m", "venv", "env"]);
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    const locked = ["--only-binary", ":all:", "-r", "requirements.txt"];
    await shop.run("env/bin/python", [...pip, ...locked]);
    report.say("schemathesis is installed");
    // It computes on one core, and more than the hosts do.
    await Promise.all(hosts.map((name) => ask(report, shop, name, plant)));
  } finally {
    await shop.remove();
  }
}

async function validate(report: Report, shop: Workshop, plant: boolean): Promise<void> {
  await shop.run("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
  const document = plant ? { ...OPENAPI, openapi: "3.1.0", paths: [] } : OPENAPI;
  await writeFile(join(shop.folder, "openapi.json"), JSON.stringify(document));
  const { code, output } = await shop.outcome("npx", ["redocly", "lint", "openapi.json"]);
  // A document that is valid may still be warned of.
  const clean = code === 0 && !/You have \d+ warning/.test(output);
  report.expect(clean, `redocly: ${clean ? "valid, and nothing is warned of" : output}`);
}

async function ask(report: Report, shop: Workshop, name: string, plant: boolean): Promise<void> {
  // Without a secret there are no tickets, which is a status of 501: the fault that is built in.
  const host = await startHost(name, { tickets: !plant });
  // What it keeps there changes what the next one does.
  await mkdir(join(shop.folder, name));
  try {
    const { code, output } = await shop.outcome(
      "../env/bin/schemathesis",
      [
        ...["run", `${host.api}/openapi.json`, "--url", host.api],
        ...["-H", `Authorization: Bearer ${host.key}`],
        ...["--phases", "coverage,fuzzing", "--checks", CHECKS, "--continue-on-failure"],
        ...["-n", `${EXAMPLES}`, "--seed", `${SEED}`],
      ],
      { folder: name, env: { SCHEMATHESIS_HOOKS: "hooks", PYTHONPATH: shop.folder } },
    );
    const [, generated, passed] = /(\d+) generated, (\d+) passed/.exec(output) ?? [];
    const errors = /^Errors:\n(.*?)\n\n/ms.exec(output)?.[1]?.split("\n") ?? [];
    const unmade = output.split(UNMADE).length - 1;
    const holds =
      (code === 0 || unmade > 0) &&
      Number(generated) >= LEAST &&
      passed === generated &&
      errors.every((line) => line.includes(`Schema Error: ${unmade}`));
    const text = [
      `${name}, schemathesis: ${passed} of ${generated} requests, at least ${LEAST}, are answered as the document says`,
      `of ${unmade} calls it could not make more`,
    ].join("; ");
    report.expect(holds, holds ? text : `${text}\n${output}`);
  } finally {
    await host.stop();
  }
}
