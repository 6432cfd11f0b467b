/**
 * Keeps what a queue holds beyond the life of its page, and sees to it that of all the pages of a browser one alone
 * sends an item.
 *
 * Every page has a name of its own, under which it holds a lock as long as it lives, and each item bears the name of the
 * page that sends it. An item whose page has gone is taken over in one step of the store, by whichever page is first. A
 * page that is left gives its lock up, for it may be kept for minutes; when it comes back it has a new name, and what
 * others have taken meanwhile is theirs. Nobody ever waits for a lock of another.
 */
import { MessagingError } from "../../protocol/errors.ts";
import type { QueueItem } from "../core/ports.ts";

/** An item as it is kept. Times are the server's, Unix milliseconds: a clock of the device may be set. */
export interface KeptItem {
  /** Unique among all items of a user. */
  readonly id: string;
  readonly item: QueueItem;
  /** When the application has published it. */
  readonly born: number;
  /** When it was sent for the first time; absent on what was never sent. */
  readonly sent?: number;
}

/** An item in a store. */
export interface StoredItem extends KeptItem {
  /** Whose it is: a URL and a user. */
  readonly key: string;
  /** The page that sends it; empty for one that nobody has. */
  readonly owner: string;
  /** The lower is to be sent first. */
  readonly order: number;
}

/**
 * Where items are kept, such as IndexedDB. Nothing of one key is ever seen under another. Changes take effect in the
 * order of their calls; each begins before the call returns, for a page may be at its end.
 */
export interface QueueStore {
  /** Gets ready. @throws where there is no store */
  open(): Promise<void>;
  /** Writes an item, new or changed. Resolves when it will survive the page. */
  put(item: StoredItem): Promise<void>;
  /** Does nothing where there is none. */
  remove(key: string, id: string): Promise<void>;
  /** Removes all of the key. */
  clear(key: string): Promise<void>;
  /** The pages that have items of the key. */
  owners(key: string): Promise<readonly string[]>;
  /**
   * In one step: what belongs to one of `from` belongs to `owner` now. All that is its own then, in its order and each
   * with the owner that it had before.
   */
  claim(key: string, from: readonly string[], owner: string): Promise<readonly StoredItem[]>;
  /**
   * Holds a lock that nobody else has, until what it resolves with is called, or the page ends.
   *
   * @throws where there are no locks
   */
  hold(name: string): Promise<() => Promise<void>>;
  /** The names of all locks that are held, by whichever page. */
  held(): Promise<readonly string[]>;
  /** Calls when the page is left, and when it is back. @returns what ends both */
  watch(leave: () => void, back: () => void): () => void;
  /** Waits for the changes and lets go of everything. */
  end(): Promise<void>;
}

/** What a keeper knows of a user's items. */
export interface Found {
  /** To be sent by this page from now on. Some of it the page may have: other pages may have sent it meanwhile. */
  readonly found: readonly KeptItem[];
  /** Ids that another page has taken over from this one. */
  readonly taken: readonly string[];
  /** Other pages that live have items as well. */
  readonly others: boolean;
}

/** What a queue is kept by. Failures go to its report; a queue that is not kept works from memory. */
export interface Keeper {
  /** A user has connected. @param here ids of what the queue has. Never rejects. */
  open(user: string, here: readonly string[]): Promise<Found>;
  /** An item is new or has changed. */
  keep(user: string, item: KeptItem): void;
  /** An item is done with. */
  drop(id: string): void;
  /** @param forget whether all of the user who connected last goes. Resolves after a second at the latest. */
  close(forget: boolean): Promise<void>;
}

const NOTHING: Found = { found: [], taken: [], others: false };

/** How long the end waits for what is still being written, in milliseconds. */
const END_MS = 1_000;

export interface KeeperContext {
  /** What is before the query of a URL, which may hold a secret. */
  readonly place: string;
  readonly report: (error: unknown) => void;
  /** Another one with each call, and on each page. */
  readonly name: () => string;
  readonly after: (ms: number, run: () => void) => () => void;
}

/** An item of this page that the store has, or is about to have. */
interface Own {
  readonly key: string;
  readonly order: number;
  stored: boolean;
}

export class StoreKeeper implements Keeper {
  readonly #store: QueueStore;
  readonly #context: KeeperContext;
  readonly #unwatch: () => void;
  /** What this page is called while it holds the lock of that name; empty while it is left, undefined where it has none. */
  #owner: string | undefined;
  /** All that this page was ever called. */
  readonly #names: string[] = [];
  #letGo: (() => Promise<void>) | undefined;
  #opening: Promise<void> | undefined;
  /** What is done as soon as the store is there and this page has a name. */
  #pending: (() => void)[] = [];
  readonly #own = new Map<string, Own>();
  /** Looks at the store that are under way, and what was done with meanwhile, whatever they say. */
  #looks = 0;
  readonly #dropped = new Set<string>();
  /** Of what came last. */
  #order = 0;
  /** Of the user who connected last. */
  #key: string | undefined;
  /** There is no store, and it has been told. */
  #failed = false;
  /** An item had no room, and it has been told. */
  #full = false;

  constructor(store: QueueStore, context: KeeperContext) {
    this.#store = store;
    this.#context = context;
    this.#unwatch = store.watch(
      () => this.#leave(""),
      () => {
        // A page that loads is shown as well.
        if (this.#owner === "") this.#owner = undefined;
      },
    );
  }

  async open(user: string, here: readonly string[]): Promise<Found> {
    const key = this.#keyOf(user);
    // What the former user has left is nobody's, and may be sent by another page.
    if (this.#key !== undefined && this.#key !== key) this.#leave(undefined);
    this.#key = key;
    this.#looks += 1;
    try {
      await this.#prepare();
      const owner = this.#owner;
      if (this.#failed || !owner) return NOTHING;
      return await this.#claim(key, owner, here);
    } catch (error) {
      this.#fail(error);
      return NOTHING;
    } finally {
      this.#looks -= 1;
      if (this.#looks === 0) this.#dropped.clear();
    }
  }

  keep(user: string, kept: KeptItem): void {
    if (this.#failed) return;
    const key = this.#keyOf(user);
    const { id } = kept;
    const own = this.#own.get(id) ?? { key, order: this.#next(kept.born), stored: false };
    const { order } = own;
    this.#own.set(id, own);
    this.#soon(() => {
      this.#store.put({ ...kept, key, owner: this.#owner ?? "", order }).then(
        () => {
          own.stored = true;
          this.#full = false;
        },
        (error: unknown) => this.#unkept(key, id, error),
      );
    });
  }

  drop(id: string): void {
    const own = this.#own.get(id);
    if (own === undefined || this.#failed) return;
    this.#own.delete(id);
    if (this.#looks > 0) this.#dropped.add(id);
    this.#soon(() => this.#remove(own.key, id));
  }

  async close(forget: boolean): Promise<void> {
    this.#unwatch();
    const end = forget ? this.#forget() : this.#finish();
    await new Promise<void>((resolve) => {
      const stop = this.#context.after(END_MS, resolve);
      end
        .catch((error: unknown) => this.#fail(error))
        .finally(() => {
          stop();
          resolve();
        });
    });
  }

  async #forget(): Promise<void> {
    this.#pending = [];
    const key = this.#key;
    if (key !== undefined && !this.#failed) {
      await this.#store.open();
      await this.#store.clear(key);
    }
    await this.#finish();
  }

  async #finish(): Promise<void> {
    if (this.#pending.length > 0) await this.#prepare();
    await this.#store.end();
    await this.#letGo?.();
  }

  async #claim(key: string, owner: string, here: readonly string[]): Promise<Found> {
    const owners = await this.#store.owners(key);
    // Asked for after the owners: a page has its lock before it has items, so that without one it has gone.
    const held = await this.#store.held();
    const others = owners.filter((name) => name !== owner);
    const gone = others.filter((name) => !held.includes(name));
    const claimed = await this.#store.claim(key, [...gone, ...this.#names, ""], owner);
    const ids = new Set(claimed.map(({ id }) => id));
    const taken = here.filter((id) => this.#own.get(id)?.stored === true && !ids.has(id));
    // What bore the name already was not away.
    const found = claimed.filter((one) => one.owner !== owner && !this.#dropped.has(one.id));
    for (const id of taken) this.#own.delete(id);
    for (const { id, order } of found) this.#own.set(id, { key, order, stored: true });
    return { found, taken, others: others.length > gone.length };
  }

  /** Of what comes in one millisecond the first comes first, and of two pages what is older. */
  #next(born: number): number {
    this.#order = Math.max(this.#order + 1, Math.round(born * 1_000));
    return this.#order;
  }

  #keyOf(user: string): string {
    // A list as JSON is unambiguous whatever the names hold.
    return JSON.stringify([this.#context.place, user]);
  }

  #soon(change: () => void): void {
    if (this.#owner !== undefined && this.#pending.length === 0) change();
    else {
      this.#pending.push(change);
      this.#prepare().catch((error: unknown) => this.#fail(error));
    }
  }

  /** Opens the store and gives this page a name. */
  #prepare(): Promise<void> {
    if (this.#owner !== undefined && this.#pending.length === 0) return Promise.resolve();
    this.#opening ??= this.#named().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #named(): Promise<void> {
    await this.#store.open();
    if (this.#owner === undefined) {
      const name = `messageloop:${this.#context.name()}`;
      const letGo = await this.#store.hold(name);
      // The page may have been left in between.
      if (this.#owner === undefined) {
        this.#letGo = letGo;
        this.#owner = name;
        this.#names.push(name);
      } else letGo().catch(() => {});
    }
    const pending = this.#pending;
    this.#pending = [];
    for (const change of pending) change();
  }

  /** Gives the lock up: from now on other pages may take what this one has. */
  #leave(owner: "" | undefined): void {
    this.#letGo?.().catch(() => {});
    this.#letGo = undefined;
    this.#owner = owner;
  }

  #remove(key: string, id: string): void {
    this.#store.remove(key, id).catch((error: unknown) => this.#fail(error));
  }

  #unkept(key: string, id: string, cause: unknown): void {
    if ((cause as Partial<Error> | undefined)?.name !== "QuotaExceededError") {
      this.#fail(cause);
      return;
    }
    // What is there may say of a sent item that it was never sent.
    this.#own.delete(id);
    this.#remove(key, id);
    if (this.#full) return;
    this.#full = true;
    const text = "the store of the queue takes no more: what waits is kept in memory alone";
    this.#context.report(new MessagingError("TOO_LARGE", text, { cause }));
  }

  #fail(cause: unknown): void {
    this.#pending = [];
    if (this.#failed) return;
    this.#failed = true;
    const text = "the queue has no store: what waits is kept in memory alone";
    this.#context.report(new MessagingError("UNIMPLEMENTED", text, { cause }));
  }
}
