/** Rows of a server with several threads, beside the same server with one. */
import type { Row, Stage } from "../row.ts";
import { openLoad, publishRow, warmUp } from "./publish.ts";

/** How many threads are measured. */
export const THREADS = [2, 4, 8] as const;

export function threadsRows(threads: number): readonly Row[] {
  return [
    publishRow(`threads-${threads}-fan-out`, `1,000 subscribers, ${threads} threads beside one`, {
      load: { subscribers: 1_000 },
      window: 32,
      rate: 50,
    }),
    publishRow(
      `threads-${threads}-many-channels`,
      `1,000 channels with one subscriber each, ${threads} threads beside one`,
      {
        load: { subscribers: 1_000, channels: 1_000, publishers: 1_000 },
        window: 64,
        rate: 2_000,
      },
    ),
  ];
}

/** Publishes after which a thread has compiled what it needs. */
const WARM_PUBLISHES = 5_000;

/** Each thread has code of its own, and sees its share of the publishes only: several need as many times more of them. */
export function warmThreads(threads: number): (stage: Stage) => Promise<void> {
  return async (stage) => {
    await warmUp(stage);
    const load = await openLoad(
      { ...stage, channel: `${stage.channel}.threads` },
      { load: { subscribers: 500, channels: 500, publishers: 500 } },
    );
    for (let done = 0; done < threads * WARM_PUBLISHES; ) {
      done += (await load.closed({ window: 64, seconds: 1 })).operations;
    }
    await load.close();
  };
}
