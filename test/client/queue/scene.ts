/** A server that recognises events, and queues of the pages of one browser, with time in the test's hand. */
import type {
  PublishQueue,
  PublishResult,
  QueueContext,
  QueueItem,
  QueueSession,
} from "../../../src/client/core/ports.ts";
import { type QueueStore, type StoredItem, StoreKeeper } from "../../../src/client/queue/keeper.ts";
import { KeptQueue } from "../../../src/client/queue/kept-queue.ts";
import { memoryQueue, type QueueBounds } from "../../../src/client/queue/queue.ts";
import { ManualClock } from "../../../src/client/testing/manual-clock.ts";
import { MessagingError } from "../../../src/protocol/errors.ts";
import { seed } from "../../support/random.ts";

export const WINDOW_MS = 300_000;
/** What has not arrived by then does not arrive any more, in milliseconds. */
const LATEST_MS = 30_000;
export const URL_HERE = "wss://example.com/ws";

export function item(id: string, size = 100): QueueItem {
  return { id, channel: "room", event: { id, source: "/test", type: "t" }, size };
}

/** What the server's log holds. */
export interface Logged {
  readonly id: string;
  readonly user: string;
  readonly at: number;
}

/** The server, by its own clock. What it takes it takes at once; what it answers comes when a test says so. */
export class Server {
  readonly clock: ManualClock;
  readonly log: Logged[] = [];
  /** What was sent as something that was never sent before. */
  readonly firsts: string[] = [];
  windowMs = WINDOW_MS;
  /** What has to be added to the device's clock to have the server's. */
  ahead = 0;

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  now(): number {
    return this.clock.now() + this.ahead;
  }

  /** Where an event stands, as `publish_ack` says. */
  take(user: string, { id }: QueueItem): PublishResult {
    const now = this.now();
    const same = (one: Logged): boolean => one.id === id && one.user === user;
    const known = this.log.findLastIndex(
      (one) => same(one) && now - one.at < Math.max(this.windowMs, 1),
    );
    if (known >= 0) return { offset: known + 1, epoch: "e", duplicate: true };
    this.log.push({ id, user, at: now });
    return { offset: this.log.length, epoch: "e", duplicate: false };
  }
}

/** What a session was asked to send, and the answer in the test's hand. */
export interface Sent {
  readonly id: string;
  readonly again: boolean;
  /** It arrives, and the answer comes. */
  answer(): void;
  /** It arrives, and no answer comes. */
  arrive(): void;
  refuse(error: MessagingError): void;
}

export class TestSession implements QueueSession {
  readonly userId: string;
  readonly dedupWindowMs: number;
  readonly time: number;
  readonly sent: Sent[] = [];
  readonly #open = new Set<(error: MessagingError) => void>();

  constructor(server: Server, userId = "ada") {
    this.userId = userId;
    this.dedupWindowMs = server.windowMs;
    this.time = server.now();
    this.#server = server;
  }

  readonly #server: Server;

  send(one: QueueItem, again: boolean): Promise<PublishResult> {
    return new Promise((resolve, reject) => {
      this.#open.add(reject);
      if (!again) this.#server.firsts.push(one.id);
      let result: PublishResult | undefined;
      let refused = false;
      const lostAt = this.#server.now() + LATEST_MS;
      const arrive = (): PublishResult | undefined => {
        refused ||= result === undefined && this.#server.now() >= lostAt;
        if (!refused) result ??= this.#server.take(this.userId, one);
        return result;
      };
      this.sent.push({
        id: one.id,
        again,
        answer: () => {
          const taken = arrive();
          if (taken !== undefined) resolve(taken);
        },
        arrive,
        refuse: (error) => {
          // A server does not refuse what it has taken, and does not take what it has refused.
          if (result !== undefined && error.code !== "UNAVAILABLE") return;
          refused ||= error.code !== "UNAVAILABLE";
          reject(error);
        },
      });
    });
  }

  get ids(): string[] {
    return this.sent.map(({ id, again }) => (again ? `${id} again` : id));
  }

  /** The connection is lost: whatever is open gets no answer. */
  lose(queue: PublishQueue): void {
    queue.lost();
    for (const reject of this.#open) reject(new MessagingError("UNAVAILABLE", "connection lost"));
  }
}

/** Says in which step something has failed that goes on after the step. */
export async function inStep(step: number, run: Promise<void>): Promise<void> {
  try {
    await run;
  } catch (cause) {
    throw new Error(`seed ${seed()}, step ${step}: ${cause}`, { cause });
  }
}

/** What has become of a promise, as a word. */
export function outcomes(): {
  readonly of: Record<string, string>;
  watch(id: string, promise: Promise<PublishResult>): void;
} {
  const of: Record<string, string> = {};
  const watch = (id: string, promise: Promise<PublishResult>): void => {
    of[id] = "waits";
    promise.then(
      ({ offset, duplicate }) => {
        of[id] = `${offset}${duplicate ? " duplicate" : ""}`;
      },
      (error: unknown) => {
        of[id] = error instanceof MessagingError ? error.code : `${error}`;
      },
    );
  };
  return { of, watch };
}

/** A queue in memory. */
export function memoryScene(bounds?: QueueBounds) {
  const clock = new ManualClock();
  const server = new Server(clock);
  const reports: unknown[] = [];
  const context: QueueContext = { clock, url: URL_HERE, report: (error) => reports.push(error) };
  const queue = memoryQueue(bounds)(context);
  const { of, watch } = outcomes();
  const add = (id: string, size?: number, signal?: AbortSignal): void =>
    watch(id, queue.add(item(id, size), signal));
  const open = (user?: string): TestSession => {
    const session = new TestSession(server, user);
    queue.opened(session);
    return session;
  };
  return { clock, server, queue, reports, add, open, of };
}

/** What the pages of one browser share. */
export class Browser {
  readonly clock = new ManualClock();
  readonly server = new Server(this.clock);
  readonly items = new Map<string, StoredItem>();
  /** Ids of the events that are kept. */
  get ids(): string[] {
    return [...this.items.values()].map(({ item }) => item.id);
  }
  readonly locks = new Set<string>();
  /** Whether an item has no room. */
  full = false;
  /** Whether there is no IndexedDB. */
  missing = false;
  /** Turns of promises that each answer of the store takes. */
  delay = (): number => 1;
  #names = 0;

  page(bounds?: QueueBounds, url = URL_HERE): Page {
    this.#names += 1;
    return new Page(this, `page-${this.#names}`, url, bounds);
  }
}

class PageStore implements QueueStore {
  readonly #browser: Browser;
  readonly locks = new Set<string>();
  leave = (): void => {};
  back = (): void => {};
  /** Its page has gone, and nothing of it runs any more. */
  gone = false;
  #isOpen = false;

  constructor(browser: Browser) {
    this.#browser = browser;
  }

  async #answer<T>(value: T): Promise<T> {
    for (let i = this.#browser.delay(); i > 0; i--) await Promise.resolve();
    if (this.gone) await new Promise(() => {});
    return value;
  }

  async open(): Promise<void> {
    await this.#answer(undefined);
    if (this.#browser.missing) throw new Error("there is no store");
    this.#isOpen = true;
  }

  async put(one: StoredItem): Promise<void> {
    const { full } = this.#browser;
    // As a store would: what is kept is a copy.
    if (!full) this.#browser.items.set(`${one.key} ${one.id}`, structuredClone(one));
    await this.#answer(undefined);
    if (full) throw new DOMException("no room", "QuotaExceededError");
  }

  async remove(key: string, id: string): Promise<void> {
    this.#browser.items.delete(`${key} ${id}`);
    await this.#answer(undefined);
  }

  async clear(key: string): Promise<void> {
    if (!this.#isOpen) throw new Error("the store is not open");
    for (const [name, one] of this.#browser.items) {
      if (one.key === key) this.#browser.items.delete(name);
    }
    await this.#answer(undefined);
  }

  async owners(key: string): Promise<readonly string[]> {
    return await this.#answer([...new Set(this.#of(key).map(({ owner }) => owner))]);
  }

  async claim(key: string, from: readonly string[], owner: string) {
    const own = this.#of(key).filter((one) => from.includes(one.owner) || one.owner === owner);
    for (const one of own) this.#browser.items.set(`${key} ${one.id}`, { ...one, owner });
    return await this.#answer(own.sort((left, right) => left.order - right.order));
  }

  async hold(name: string): Promise<() => Promise<void>> {
    this.locks.add(name);
    this.#browser.locks.add(name);
    return await this.#answer(async () => this.#release(name));
  }

  async held(): Promise<readonly string[]> {
    return await this.#answer([...this.#browser.locks]);
  }

  watch(leave: () => void, back: () => void): () => void {
    this.leave = leave;
    this.back = back;
    return () => {
      this.leave = () => {};
      this.back = () => {};
    };
  }

  async end(): Promise<void> {
    this.#isOpen = false;
    await this.#answer(undefined);
  }

  /** The page ends, whatever it holds. */
  crash(): void {
    this.gone = true;
    for (const name of this.locks) this.#release(name);
  }

  #release(name: string): void {
    this.locks.delete(name);
    this.#browser.locks.delete(name);
  }

  #of(key: string): StoredItem[] {
    // As a store that orders by its keys: what came first means nothing.
    const all = [...this.#browser.items.values()].filter((one) => one.key === key);
    return all.sort((left, right) => (left.id < right.id ? 1 : -1));
  }
}

/** One page with a client. */
export class Page {
  readonly reports: MessagingError[] = [];
  readonly of: Record<string, string>;
  readonly queue: PublishQueue;
  readonly store: PageStore;
  session: TestSession | undefined;
  readonly #browser: Browser;
  readonly #watch: (id: string, promise: Promise<PublishResult>) => void;

  constructor(browser: Browser, name: string, url: string, bounds?: QueueBounds) {
    const { clock } = browser;
    const after = (ms: number, run: () => void): (() => void) =>
      clock.after(ms, () => {
        if (!this.store.gone) run();
      });
    const report = (error: unknown): void => {
      this.reports.push(error as MessagingError);
    };
    let names = 0;
    this.#browser = browser;
    this.store = new PageStore(browser);
    const keeper = new StoreKeeper(this.store, {
      place: url,
      report,
      name: () => `${name}-${++names}`,
      after,
    });
    // Each page has a monotonic clock of its own.
    const start = clock.elapsed() - 1_000;
    const own = {
      now: () => clock.now(),
      elapsed: () => clock.elapsed() - start,
      random: () => 0.5,
      after,
    };
    this.queue = new KeptQueue({ clock: own, url, report }, keeper, bounds);
    const { of, watch } = outcomes();
    this.of = of;
    this.#watch = watch;
  }

  add(id: string): void {
    this.#watch(id, this.queue.add(item(id)));
  }

  open(user?: string): TestSession {
    this.session = new TestSession(this.#browser.server, user);
    this.queue.opened(this.session);
    return this.session;
  }

  lose(): void {
    this.session?.lose(this.queue);
    this.session = undefined;
  }

  /** The page is left, and kept by the browser: its connection ends. */
  leave(): void {
    this.store.leave();
    this.lose();
  }

  back(): void {
    this.store.back();
  }

  /** The page has gone, as by a reload or a crash. */
  end(): void {
    this.store.crash();
    this.session = undefined;
  }
}
