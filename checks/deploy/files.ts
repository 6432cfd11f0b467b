/** What the tools of others make of the Dockerfile, the compose file, the unit and the manifests in `deploy/`. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { provide } from "../../scripts/debian.mjs";
import type { Report } from "../report.ts";
import { outcome, output } from "./tools.ts";

const SYSTEMD_ANALYZE = "MESSAGELOOP_SYSTEMD_ANALYZE";
/** Of Kubernetes: the newest that the validator knows, and the oldest that the manifests are for. */
const KUBERNETES = ["1.30", "1.37"] as const;
/** How exposed systemd may find the unit, of 100: from 20 on it says "OK" no longer. */
const MOST_EXPOSED = 19;
const UNIT = "messageloop.service";

/** One mistake in each file, which its tool has to find. */
const MISTAKES: Readonly<Record<string, readonly [right: string | RegExp, wrong: string]>> = {
  Dockerfile: ["RUN npm run build", "RUN cd /build && sudo npm run build"],
  "compose/compose.yaml": ["depends_on:", "depend_on:"],
  "systemd/messageloop.service": ["TimeoutStopSec=30s", "TimeoutStopSec=soon"],
  "kubernetes/deployment.yaml": ["replicas: 3", "replicas: three"],
};

const deploy = fileURLToPath(new URL("../../deploy", import.meta.url));

/**
 * @param folder where tools may be installed
 * @param plant makes a mistake in each file, all of which have to be found
 */
export function files(report: Report, folder: string, plant: boolean): void {
  provide(SYSTEMD_ANALYZE, {
    names: ["systemd-analyze"],
    packageName: "systemd",
    otherwise: "The check of deploy/ needs systemd-analyze: install Debian's package systemd.",
  });
  const bin = installed(folder);
  const copy = join(folder, "files");
  for (const name of ["", "compose", "systemd", "kubernetes"])
    mkdirSync(join(copy, name), { recursive: true });
  const manifests = readdirSync(join(deploy, "kubernetes")).map((name) => `kubernetes/${name}`);
  const units = [`systemd/${UNIT}`];
  for (const name of ["Dockerfile", "compose/compose.yaml", ...units, ...manifests]) {
    const [right, wrong] = (plant && MISTAKES[name]) || ["", ""];
    writeFileSync(join(copy, name), readFileSync(join(deploy, name), "utf8").replace(right, wrong));
  }
  const expect = (what: string, program: string, args: readonly string[]): void => {
    const { ok, said } = outcome(program, args, copy);
    report.expect(ok, ok ? what : `${what}:\n${said}`);
  };
  expect("hadolint finds nothing in the Dockerfile", join(bin, "hadolint"), [
    ...["--failure-threshold", "style", "Dockerfile"],
  ]);
  expect("compose.yaml is what the schema of Compose wants", join(bin, "check-jsonschema"), [
    ...["--builtin-schema", "vendor.compose-spec", "compose/compose.yaml"],
  ]);
  for (const version of KUBERNETES) {
    expect(
      `${manifests.length} manifests are what Kubernetes ${version} wants, with no field too many`,
      join(bin, "kubernetes-validate"),
      ["--strict", "-k", version, ...manifests],
    );
  }
  unit(report, copy, process.env[SYSTEMD_ANALYZE] ?? "");
}

/** Installs the tools, and returns the folder with their programs. */
function installed(folder: string): string {
  copyFileSync(
    fileURLToPath(new URL("requirements.txt", import.meta.url)),
    join(folder, "requirements.txt"),
  );
  output("python3", ["-m", "venv", "env"], folder);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  output(join(folder, "env/bin/python"), [...pip, "-r", "requirements.txt"], folder);
  return join(folder, "env/bin");
}

/** Its program is where npm puts it, which systemd looks at as well. */
function unit(report: Report, copy: string, analyze: string): void {
  const path = join(copy, "systemd", UNIT);
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace("/usr/local/bin/messageloop", process.execPath));
  const verified = outcome(analyze, ["verify", "--man=no", path]);
  // It warns of a setting that it cannot read, and goes on.
  const clean = verified.ok && verified.said === "";
  report.expect(clean, `systemd-analyze verifies the unit${clean ? "" : `:\n${verified.said}`}`);
  const secure = outcome(analyze, [
    ...["security", "--offline=true", `--threshold=${MOST_EXPOSED}`, "--no-pager", path],
  ]);
  const level = /Overall exposure level for \S+: (.*?)(?: \S+)?$/m.exec(secure.said)?.[1];
  report.expect(
    secure.ok && level !== undefined,
    secure.ok ? `systemd-analyze finds the unit exposed by ${level}` : secure.said,
  );
}
