/** A page with a queue in IndexedDB, whose session is a server of the test's. Runs in browsers. */
import type {
  Clock,
  PublishQueue,
  PublishResult,
  QueueSession,
} from "../../src/client/core/ports.ts";
import { indexedDBQueue } from "../../src/client/queue/indexeddb.ts";
import { MessagingError } from "../../src/protocol/errors.ts";

// The part of a page that is used: the types of tests are those of Node.
declare const location: { readonly origin: string };
declare function addEventListener(
  type: "pageshow" | "pagehide",
  listener: (event: { readonly persisted: boolean }) => void,
): void;
interface Request<T> {
  readonly result: T;
  readonly error: unknown;
  onsuccess: (() => void) | undefined;
  onerror: (() => void) | undefined;
}
interface Database {
  transaction(name: string): {
    objectStore(name: string): { getAll(): Request<{ item: { id: string } }[]> };
  };
  close(): void;
}
declare const indexedDB: { open(name: string): Request<Database> };
declare const navigator: {
  readonly locks: { query(): Promise<{ readonly held?: readonly { readonly name?: string }[] }> };
};

const clock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};

/** What has become of each promise: an offset, with `again` where the server knew it, or the code of an error. */
const became: Record<string, string> = {};
const reports: string[] = [];
let shown = 0;
let restored = 0;

const queue: PublishQueue = indexedDBQueue()({
  clock,
  url: `${location.origin}/ws?token=secret`,
  report: (error) => reports.push(nameOf(error)),
});

addEventListener("pageshow", ({ persisted }) => {
  shown += 1;
  if (persisted) restored += 1;
});
addEventListener("pagehide", () => lose());

let lost = new AbortController();

/** A user is connected from now on. */
export function open(userId: string): void {
  const { signal } = lost;
  const session: QueueSession = {
    userId,
    dedupWindowMs: 300_000,
    time: Date.now(),
    send: async ({ id }, again) => {
      const query = new URLSearchParams({ id, user: userId, again: `${again}` });
      try {
        const response = await fetch(`/publish?${query}`, { method: "POST", signal });
        return (await response.json()) as PublishResult;
      } catch (cause) {
        throw new MessagingError("UNAVAILABLE", "the connection was lost", { cause });
      }
    },
  };
  queue.opened(session);
}

export function lose(): void {
  lost.abort();
  lost = new AbortController();
  queue.lost();
}

export function add(id: string, bytes = 10): void {
  became[id] = "waits";
  // Browsers compress what they keep.
  const text_data = Array.from({ length: bytes }, () => Math.random().toString(36)[2]).join("");
  const event = { id, source: "/page", type: "t", text_data };
  queue.add({ id, channel: "room", event, size: 100 }).then(
    ({ offset }) => {
      became[id] = `${offset}`;
    },
    (error: unknown) => {
      became[id] = nameOf(error);
    },
  );
}

export async function end(forget: boolean): Promise<void> {
  await queue.close(forget);
}

/** What is kept, of whoever. */
export async function kept(): Promise<{ ids: string[]; locks: string[]; text: string }> {
  const database = await answerOf(indexedDB.open("messageloop"));
  const all = await answerOf(database.transaction("items").objectStore("items").getAll());
  database.close();
  const { held = [] } = await navigator.locks.query();
  const locks = held.map(({ name = "" }) => name);
  return { ids: all.map(({ item }) => item.id), locks, text: JSON.stringify(all) };
}

function answerOf<T>(request: Request<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export function state() {
  return { became, reports, shown, restored };
}

function nameOf(error: unknown): string {
  const { code, cause } = error as { code?: string; cause?: unknown };
  return cause instanceof DOMException ? `${code} ${cause.name}` : `${code ?? error}`;
}
