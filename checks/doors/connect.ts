/**
 * connectrpc's conformance runner over the adapters that our services are served by: its own client makes calls of
 * a service that is written for it, by each protocol, version of HTTP and encoding that a host has.
 */
import { fileURLToPath } from "node:url";
import type { Report } from "../report.ts";
import { type DoorOptions, workshop } from "./part.ts";

const MODULE = "connectrpc.com/conformance";
const PROGRAM = fileURLToPath(new URL("connect/server.ts", import.meta.url));
const BUF = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));
/** Servers that run at the same time, and calls at each of them. */
const AT_A_TIME = ["--max-servers", "2", "--parallel", "8"];

export async function connect(report: Report, { hosts, plant }: DoorOptions): Promise<void> {
  const shop = await workshop("connect");
  try {
    await shop.run("go", [
      "build",
      "-mod=readonly",
      "-o",
      "runner",
      `${MODULE}/cmd/connectconformance`,
    ]);
    const suite = (await shop.run("go", ["list", "-m", "-f", "{{.Dir}}", MODULE])).trim();
    await shop.run(BUF, ["build", `${suite}/proto`, "-o", "descriptors.binpb"]);
    report.say("the conformance runner is built");
    for (const host of hosts) {
      const { code, output } = await shop.outcome("./runner", [
        ...["--mode", "server", "--conf", `${host}.yaml`],
        ...["--known-failing", `@${host}-failing.txt`],
        ...["--known-flaky", `@${host}-flaky.txt`],
        ...AT_A_TIME,
        ...["--", process.execPath, PROGRAM, host, "descriptors.binpb", plant ? "plant" : ""],
      ]);
      const [, cases, passed, failed, known] =
        /Total cases: (\d+)\s+(\d+) passed, (\d+) failed(?:\s+\(Another (\d+) failed as expected)?/.exec(
          output,
        ) ?? [];
      const counts = `${cases} calls, ${passed} as they should be, ${failed} not, ${known ?? 0} known not to be`;
      const holds = code === 0 && Number(passed) > 0;
      report.expect(holds, `${host}: ${counts}${holds ? "" : `\n${output}`}`);
    }
  } finally {
    await shop.remove();
  }
}
