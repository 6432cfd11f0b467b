/**
 * Reports something to many channels, to each until it has confirmed or need not know any more. A channel that
 * does not answer holds up no other.
 */
import type { Timers } from "../../engine/ports/platform.ts";
import { delay, pauseAfter, withDeadline } from "../../engine/ports/timers.ts";
import { isMistake } from "../calls/retry.ts";
import type { Trouble } from "../trouble.ts";

/** Channels that are called at the same time. */
const TOLD_TOGETHER = 32;
/** How long one call may take before it is made again, in milliseconds. */
const CALL_DEADLINE_MS = 2_000;
/** Between two rounds. */
const PAUSES = { firstMs: 20, longestMs: 1_000 };

export interface Telling {
  readonly channel: string;
  /** When the channel need not hear it any more, Unix milliseconds. */
  readonly until: number;
  /** To repeat it would not help. */
  readonly hopeless?: boolean;
}

export interface PushHost {
  tell(channel: string): Promise<void>;
  now(): number;
  readonly timers: Timers;
  /** Of calls to channels. */
  readonly trouble: Trouble;
}

/** Resolves when every channel has heard it or need not any more. Never rejects. */
export async function push(tellings: readonly Telling[], host: PushHost): Promise<void> {
  let open = await round(tellings, host);
  for (let failures = 1; open.length > 0; failures++) {
    const latest = Math.max(...open.map(({ until }) => until));
    const pause = pauseAfter(failures, PAUSES) * (0.5 + Math.random());
    await delay(host.timers, Math.min(pause, Math.max(latest - host.now(), 1)));
    open = await round(open, host);
  }
}

/** Calls each once. Returns those that have to be called again. */
async function round(tellings: readonly Telling[], host: PushHost): Promise<Telling[]> {
  const failed: Telling[] = [];
  const waiting = tellings.values();
  const work = async (): Promise<void> => {
    for (const telling of waiting) {
      const left = telling.until - host.now();
      if (left <= 0) continue;
      if (telling.hopeless) {
        failed.push(telling);
        continue;
      }
      try {
        await withDeadline(
          host.timers,
          host.tell(telling.channel),
          Math.min(left, CALL_DEADLINE_MS),
        );
        host.trouble.worked();
      } catch (error) {
        host.trouble.failed(error);
        // What no repetition mends is not repeated: then its time is waited for.
        failed.push({ ...telling, hopeless: isMistake(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: TOLD_TOGETHER }, work));
  return failed;
}
