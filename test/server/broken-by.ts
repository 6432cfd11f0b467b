/** Parts of `npm run check:soak` as tests run them. */
import { Report } from "../../checks/report.ts";

/** What does not hold, as the check says it. */
export async function brokenBy(run: (report: Report) => Promise<void>): Promise<readonly string[]> {
  const report = new Report("soak");
  await report.part("short form", () => run(report));
  return report.broken;
}
