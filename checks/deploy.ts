/**
 * `npm run check:deploy`: what the tools of others make of what is in `deploy/`. Prometheus' own, of Debian's package prometheus,
 * looks at the alert rules, the dashboard and the metrics of a server.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { provide } from "../scripts/debian.mjs";
import { createServer, parseConfig } from "../src/server/index.ts";
import { files } from "./deploy/files.ts";
import { queriesOf } from "./deploy/queries.ts";
import { Report } from "./report.ts";

const PROMTOOL = "MESSAGELOOP_PROMTOOL";

const PARTS: Readonly<Record<string, () => void | Promise<void>>> = {
  prometheus,
  files: () => files(report, folder, values.plant),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { plant: { type: "boolean", default: false } },
});
const report = new Report("deploy");
const folder = mkdtempSync(join(tmpdir(), "messageloop-deploy-"));

/** Runs promtool in the folder, and says what it said where that is wrong. */
function promtool(what: string, args: readonly string[], input = ""): void {
  const options = { cwd: folder, input, encoding: "utf8" } as const;
  const { status, stdout, stderr } = spawnSync(process.env[PROMTOOL] ?? "", [...args], options);
  const said = `${stdout}${stderr}`.trim();
  report.expect(status === 0, status === 0 ? what : `${what}:\n${said}`);
}

function read(path: string): string {
  return readFileSync(fileURLToPath(new URL(path, import.meta.url)), "utf8");
}

async function ofServer(): Promise<string> {
  const addresses = { http: { addr: "127.0.0.1:0" } };
  const transport = {
    websocket: { addr: "127.0.0.1:0" },
    grpc: { addr: "127.0.0.1:0" },
  };
  const server = createServer({ config: parseConfig({ server: addresses, transport }) });
  const { http } = await server.start();
  try {
    const answer = await fetch(`http://127.0.0.1:${http}/metrics`);
    return await answer.text();
  } finally {
    await server.stop();
  }
}

async function prometheus(): Promise<void> {
  provide(PROMTOOL, {
    names: ["promtool"],
    packageName: "prometheus",
    otherwise: "The check of deploy/ needs promtool: install Debian's package prometheus.",
  });
  const rules = read("../deploy/prometheus/alerts.yml");
  // A planted fault: one rule waits for a code that a slow consumer is not closed with.
  writeFileSync(
    join(folder, "alerts.yml"),
    values.plant ? rules.replace('"3510"', '"3511"') : rules,
  );
  const count = rules.match(/^ +- alert:/gm)?.length ?? 0;
  const scenes = read("./deploy/alerts.test.yml").replace("RULES", `${count}`);
  writeFileSync(join(folder, "alerts.test.yml"), scenes);
  promtool(`${count} alert rules are well formed`, ["check", "rules", "alerts.yml"]);
  promtool("a host in order fires none, and one with every fault all of them", [
    ...["test", "rules", "alerts.test.yml"],
  ]);
  const queries = queriesOf(JSON.parse(read("../deploy/grafana/messageloop.json")));
  const record = queries.map((query, at) => ({ record: `query:${at}`, expr: query }));
  // JSON is YAML.
  writeFileSync(
    join(folder, "queries.yml"),
    JSON.stringify({ groups: [{ name: "dashboard", rules: record }] }),
  );
  promtool(`${queries.length} queries of the dashboard can be parsed`, [
    ...["check", "rules", "queries.yml"],
  ]);
  promtool("the metrics of a server have no fault", ["check", "metrics"], await ofServer());
}

try {
  for (const name of positionals.length > 0 ? positionals : Object.keys(PARTS)) {
    await report.part(name, async () => {
      const part = PARTS[name];
      if (part === undefined) throw new Error(`there are ${Object.keys(PARTS).join(", ")}`);
      await part();
    });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
report.end();
