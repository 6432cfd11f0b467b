/** Rows of a server with several threads, beside the same server with one. */
import type { Row } from "../row.ts";
import { publishRow } from "./publish.ts";

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
