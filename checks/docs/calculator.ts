/** The cost calculator of the site: for the loads of the bench it says what the bench has counted, and for all what they cost by the lists. */

import { readFileSync } from "node:fs";
import type { Page } from "playwright-core";
import type { Results } from "../../bench/results.ts";
import type { Report } from "../report.ts";
import { root } from "./blocks.ts";
import { listed } from "./links.ts";

/** The loads of bench/rows/worker-cost.ts: subscribers of a channel, channels, publishes a second. */
const ROWS = {
  "worker-cost-one-to-one": [1, 1, 10],
  "worker-cost-many-channels": [1, 100, 100],
  "worker-cost-fan-out-100": [100, 1, 10],
  "worker-cost-fan-out-1000": [1_000, 1, 10],
} as const;
const ITEMS = ["workerRequests", "objectRequests", "rowsRead", "rowsWritten", "awakeSeconds"];
/** A month of 30 days with an hour each. */
const SECONDS = 30 * 3_600;

export async function calculator(
  report: Report,
  { page, strangers }: { readonly page: Page; readonly strangers: readonly string[] },
  plant: boolean,
): Promise<void> {
  const results = JSON.parse(readFileSync(`${root}bench/results.json`, "utf8")) as Results;
  const counted = (name: string): Readonly<Record<string, number>> =>
    results.rows.find((row) => row.name === name)?.targets["messageloop"]?.counted ?? {};
  const wrong: string[] = [];
  const expect = (what: string, shown: string | undefined, right: string): void => {
    if (shown !== right) wrong.push(`${what}: ${shown} is shown, and ${right} is right`);
  };
  for (const [row, [subscribers, channels, publishes]] of Object.entries(ROWS)) {
    await fill(page, { clients: 1, connects: 0, hours: 1, channels, publishes, subscribers });
    const deliveries = publishes * SECONDS * subscribers;
    expect("row", await text(page, "[data-row]"), row);
    for (const item of ITEMS) {
      const right = ((counted(row)[item] ?? 0) * deliveries) / 1e6 + (plant ? 1 : 0);
      expect(`${row}, ${item}`, await text(page, `[data-item=${item}]`), whole(right));
    }
  }
  // Clients alone, of which each comes once a day.
  await fill(page, {
    clients: 100,
    connects: 1,
    hours: 1,
    channels: 1,
    publishes: 0,
    subscribers: 1,
  });
  for (const item of ITEMS) {
    const right = ((counted("worker-cost-connect")[item] ?? 0) * 100 * 30) / 1e6;
    expect(`connect, ${item}`, await text(page, `[data-item=${item}]`), whole(right));
  }
  expect("nothing beyond the plan", await text(page, "[data-price=cloudflare]"), "$5.00");
  // 100 publishes a second to 1,000 subscribers for 24 hours: 259,200,000 publishes, which cost by the lists what is worked out here.
  await fill(page, {
    clients: 1_000,
    connects: 0,
    hours: 24,
    channels: 1,
    publishes: 100,
    subscribers: 1_000,
  });
  const published = 100 * 24 * SECONDS;
  const { objectRequests = 0, rowsWritten = 0 } = counted("worker-cost-fan-out-1000");
  const requests = published * (objectRequests / 1_000) - 1e6;
  const written = published * (rowsWritten / 1_000) - 50e6;
  // One gateway and one channel that never sleep.
  const awake = 2 * 24 * SECONDS * 0.128 - 400_000;
  const most = 5 + requests * 0.15e-6 + written * 1e-6 + Math.max(0, awake) * 12.5e-6;
  const shown = (await text(page, "[data-price=cloudflare]"))?.split(" to ").at(-1);
  expect("on Cloudflare, at most", shown, `$${whole(most)}`);
  expect("on Ably", await text(page, "[data-price=ably]"), "no list price");
  expect("on Pusher", await text(page, "[data-price=pusher]"), "no list price");
  // 10 a second to 9 subscribers for 10 hours: 10,800,000 publishes, 108,000,000 messages, 3,600,000 of them a day.
  await fill(page, {
    clients: 1_000,
    connects: 0,
    hours: 10,
    channels: 10,
    publishes: 10,
    subscribers: 9,
  });
  expect("on Ably", await text(page, "[data-price=ably]"), `$${29 + 108 * 2.5 + 18 + 1}`);
  expect("on Pusher", await text(page, "[data-price=pusher]"), "$99.00");
  for (const [item, [publish, client]] of Object.entries(guide())) {
    const of = (row: string, share: number) => ((counted(row)[item] ?? 0) * share) / 1e6;
    expect(
      `guide, ${item}`,
      publish,
      `${Number(of("worker-cost-fan-out-1000", 1_000).toFixed(2))}`,
    );
    expect(`guide, ${item}`, client, `${Number(of("worker-cost-connect", 1).toFixed(2))}`);
  }
  report.expect(
    wrong.length + strangers.length === 0,
    `the calculator says what was counted in ${Object.keys(ROWS).length + 1} rows of the bench, and what it costs by the lists${listed([...wrong, ...strangers])}`,
  );
  await page.close();
}

/** The table of docs/guides/cloudflare.md: what is billed for a publish and for a client. */
function guide(): Readonly<Record<string, readonly [publish: string, client: string]>> {
  const names = {
    "requests to the Worker": "workerRequests",
    "requests to objects": "objectRequests",
    "rows read": "rowsRead",
    "rows written": "rowsWritten",
  };
  const text = readFileSync(`${root}docs/guides/cloudflare.md`, "utf8");
  const rows = Object.entries(names).map(([name, item]) => {
    const [, publish = "", client = ""] =
      new RegExp(`^\\| ${name} \\| (\\S+) \\| (\\S+) \\|$`, "m").exec(text) ?? [];
    return [item, [publish, client] as const] as const;
  });
  return Object.fromEntries(rows);
}

async function fill(page: Page, load: Readonly<Record<string, number>>): Promise<void> {
  for (const [name, value] of Object.entries(load)) {
    await page.locator(`input[name=${name}]`).fill(`${value}`);
  }
}

async function text(page: Page, selector: string): Promise<string | undefined> {
  return (await page.locator(selector).textContent())?.replace(/\s+/g, " ").trim();
}

function whole(count: number): string {
  return Math.round(count).toLocaleString("en");
}
