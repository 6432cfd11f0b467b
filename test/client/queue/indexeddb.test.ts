/** The queue in IndexedDB where there is none, as on a server that renders pages. */
import { expect, test } from "vitest";
import { indexedDBQueue } from "../../../src/client/queue/indexeddb.ts";
import { ManualClock } from "../../../src/client/testing/manual-clock.ts";
import type { MessagingError } from "../../../src/protocol/errors.ts";
import { item, outcomes, Server, TestSession } from "./scene.ts";

test.each([
  ["an address", "wss://example.com/ws"],
  // What is wrong with it the connection says.
  ["a path", "/ws"],
])(
  "a runtime without IndexedDB: %s is reported once, and the queue works from memory",
  async (_, url) => {
    const clock = new ManualClock();
    const reports: MessagingError[] = [];
    const report = (error: unknown): void => {
      reports.push(error as MessagingError);
    };
    const queue = indexedDBQueue({ items: 1 })({ clock, url, report });
    const { of, watch } = outcomes();
    watch("a", queue.add(item("a")));
    watch("b", queue.add(item("b")));
    await clock.advance(0);
    const session = new TestSession(new Server(clock));
    queue.opened(session);
    await clock.advance(0);
    // What opens a store takes more turns than a clock waits for.
    await new Promise((resolve) => setTimeout(resolve, 10));
    session.sent[0]?.answer();
    await clock.advance(0);
    expect(of).toEqual({ a: "1", b: "RATE_LIMITED" });
    expect(reports.map(({ code }) => code)).toEqual(["UNIMPLEMENTED"]);
    await queue.close(true);
  },
);
