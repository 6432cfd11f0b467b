/**
 * A queue that outlives its page, in IndexedDB: `messageloop/indexeddb`. It needs Web Locks, so that two tabs never send
 * one item twice; browsers have them on https and on localhost.
 */
import type { QueueFactory } from "../core/ports.ts";
import { type QueueStore, type StoredItem, StoreKeeper } from "./keeper.ts";
import { KeptQueue } from "./kept-queue.ts";
import type { QueueBounds } from "./queue.ts";

export type { QueueBounds } from "./queue.ts";

const DATABASE = "messageloop";
const ITEMS = "items";
/** Nothing of a list is greater. */
const LAST: IDBValidKey = [];

/**
 * A queue of which what waits is still there when the page was closed, reloaded or has crashed, and is sent when its user
 * connects again. `client.close({ forget: true })` removes it, which is due when a user logs out on a shared device.
 *
 * Where the browser has no IndexedDB or no Web Locks, or its quota is used up, that is reported to `onError`, and the
 * queue works from memory.
 *
 * @example
 * import { dial } from "messageloop";
 * import { indexedDBQueue } from "messageloop/indexeddb";
 *
 * const client = await dial("wss://example.com/ws", { queue: indexedDBQueue() });
 */
export function indexedDBQueue(bounds: QueueBounds = {}): QueueFactory {
  return (context) => {
    const { clock, url, report } = context;
    const keeper = new StoreKeeper(new IndexedDBStore(), {
      place: placeOf(url),
      report,
      name: () => crypto.randomUUID(),
      after: (ms, run) => clock.after(ms, run),
    });
    return new KeptQueue(context, keeper, bounds);
  };
}

/** A URL without its query, which may hold a secret. */
function placeOf(url: string): string {
  try {
    const { origin, pathname } = new URL(url, globalThis.location?.href);
    return origin + pathname;
  } catch {
    // The connection says what is wrong with it, and nobody is ever connected there.
    return "";
  }
}

/**
 * Where the queue keeps its items.
 *
 * @internal
 */
export class IndexedDBStore implements QueueStore {
  #database: IDBDatabase | undefined;
  #opening: Promise<void> | undefined;
  /** The last change; those before it are over when it is. */
  #last: Promise<unknown> = Promise.resolve();

  open(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<void> {
    if (navigator.locks === undefined) throw new Error("there are no Web Locks here");
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(ITEMS, { keyPath: ["key", "id"] });
    };
    const database = await answerOf(request);
    // Of a later version of the SDK, or of whoever deletes all data: neither has to wait for this page.
    database.onversionchange = () => database.close();
    this.#database = database;
  }

  put(item: StoredItem): Promise<void> {
    return this.#change((items) => items.put(item));
  }

  remove(key: string, id: string): Promise<void> {
    return this.#change((items) => items.delete([key, id]));
  }

  clear(key: string): Promise<void> {
    return this.#change((items) => items.delete(allOf(key)));
  }

  async owners(key: string): Promise<readonly string[]> {
    const all: StoredItem[] = await answerOf(this.#items("readonly").getAll(allOf(key)));
    return [...new Set(all.map(({ owner }) => owner))];
  }

  async claim(key: string, from: readonly string[], owner: string): Promise<readonly StoredItem[]> {
    const items = this.#items("readwrite");
    const done = doneOf(items.transaction);
    const own: StoredItem[] = [];
    const all = items.getAll(allOf(key));
    all.onsuccess = () => {
      for (const item of all.result as readonly StoredItem[]) {
        const claimed = from.includes(item.owner) && item.owner !== owner;
        if (claimed) items.put({ ...item, owner });
        if (claimed || item.owner === owner) own.push(item);
      }
    };
    await done;
    return own.sort((left, right) => left.order - right.order);
  }

  hold(name: string): Promise<() => Promise<void>> {
    return new Promise((resolve, reject) => {
      const held = navigator.locks.request(
        name,
        () =>
          new Promise<void>((release) => {
            resolve(async () => {
              release();
              await held;
            });
          }),
      );
      held.catch(reject);
    });
  }

  async held(): Promise<readonly string[]> {
    const { held = [] } = await navigator.locks.query();
    return held.map(({ name = "" }) => name);
  }

  watch(leave: () => void, back: () => void): () => void {
    // Servers that render pages have neither.
    globalThis.addEventListener?.("pagehide", leave);
    globalThis.addEventListener?.("pageshow", back);
    return () => {
      globalThis.removeEventListener?.("pagehide", leave);
      globalThis.removeEventListener?.("pageshow", back);
    };
  }

  async end(): Promise<void> {
    await this.#last;
    this.#database?.close();
    // It is opened again where it is to be emptied after that.
    this.#opening = undefined;
  }

  /** @throws where the database was closed under this page */
  #items(mode: IDBTransactionMode): IDBObjectStore {
    if (this.#database === undefined) throw new Error("the store is not open");
    return this.#database.transaction(ITEMS, mode).objectStore(ITEMS);
  }

  async #change(change: (items: IDBObjectStore) => unknown): Promise<void> {
    const items = this.#items("readwrite");
    change(items);
    const done = doneOf(items.transaction);
    // Firefox drops what is not committed when the page ends.
    items.transaction.commit();
    this.#last = done.catch(() => {});
    await done;
  }
}

function allOf(key: string): IDBKeyRange {
  return IDBKeyRange.bound([key], [key, LAST]);
}

function answerOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function doneOf(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
