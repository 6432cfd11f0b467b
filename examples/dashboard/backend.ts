/** What measures a shop: each second it publishes a number to each channel, by the server's API. */
import { type Backend, type MessageLoopApi, publish } from "../backend.ts";

const SECOND_MS = 1_000;

interface Metric {
  readonly channel: string;
  /** Where it begins, and between what it stays. */
  readonly least: number;
  readonly most: number;
  /** How far it moves in a second, at most. */
  readonly step: number;
  /** Digits after the point. */
  readonly digits: number;
}

const METRICS: readonly Metric[] = [
  { channel: "dashboard.visitors", least: 120, most: 480, step: 14, digits: 0 },
  { channel: "dashboard.orders", least: 2, most: 40, step: 3, digits: 0 },
  { channel: "dashboard.latency", least: 35, most: 240, step: 18, digits: 0 },
  { channel: "dashboard.errors", least: 0, most: 3, step: 0.3, digits: 2 },
];

export function start(api: MessageLoopApi): Backend {
  const values = METRICS.map(({ least, most }) => least + (most - least) / 3);
  let wasAway = false;
  const measure = async (): Promise<void> => {
    const published = METRICS.map(({ channel, least, most, step, digits }, i) => {
      const moved = (values[i] ?? least) + (Math.random() * 2 - 1) * step;
      values[i] = Math.min(most, Math.max(least, moved));
      return publish(api, channel, { value: Number(values[i].toFixed(digits)) });
    });
    try {
      await Promise.all(published);
      wasAway = false;
    } catch (error) {
      // It is said once, not each second.
      if (!wasAway) console.error(`${api.url}: ${(error as Error).message}`);
      wasAway = true;
    }
    setTimeout(measure, SECOND_MS);
  };
  measure().catch((error: unknown) => console.error(error));
  return {};
}
