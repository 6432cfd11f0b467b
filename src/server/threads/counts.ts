/** What each thread of a process has of connections and sessions, in memory that all of them read. */
import type { ThreadCounts } from "../transport/connections.ts";

/** Places of a thread: its sessions, and its connections. */
const PLACES = 2;

/** @returns memory for so many threads, all of which have nothing */
export function countsFor(threads: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(threads * PLACES * Int32Array.BYTES_PER_ELEMENT));
}

/** A thread has ended, and has nothing any more. */
export function clearCounts(counts: Int32Array<SharedArrayBuffer>, index: number): void {
  Atomics.store(counts, index * PLACES, 0);
  Atomics.store(counts, index * PLACES + 1, 0);
}

/** They as one of the threads sees them. */
export function countsOf(counts: Int32Array<SharedArrayBuffer>, index: number): ThreadCounts {
  return {
    get others() {
      let [sessions, connections] = [0, 0];
      for (let place = 0; place < counts.length; place += PLACES) {
        if (place === index * PLACES) continue;
        sessions += Atomics.load(counts, place);
        connections += Atomics.load(counts, place + 1);
      }
      return { sessions, connections };
    },
    note: (sessions, connections) => {
      Atomics.store(counts, index * PLACES, sessions);
      Atomics.store(counts, index * PLACES + 1, connections);
    },
  };
}
