/** A queue whose items a keeper keeps, so that they outlive the page. */
import type { Signal } from "../core/emitter.ts";
import type {
  PublishQueue,
  PublishResult,
  QueueContext,
  QueueItem,
  QueueSession,
} from "../core/ports.ts";
import type { Keeper, KeptItem } from "./keeper.ts";
import {
  type Entry,
  MARGIN_MS,
  type MemoryQueue,
  type Moment,
  type QueueBounds,
  queueOf,
} from "./queue.ts";

/** How long publishes wait for what a store has, in milliseconds. */
const PATIENCE_MS = 2_000;
/** How often it is looked whether a page has gone that had something to send, in milliseconds. */
const LOOK_MS = 30_000;

export class KeptQueue implements PublishQueue {
  readonly #keeper: Keeper;
  readonly #context: QueueContext;
  readonly #queue: MemoryQueue;
  #session: QueueSession | undefined;
  /** Who was connected last. */
  #user: string | undefined;
  #closed = false;
  #endLook: (() => void) | undefined;

  constructor(context: QueueContext, keeper: Keeper, bounds?: QueueBounds) {
    this.#keeper = keeper;
    this.#context = context;
    this.#queue = queueOf(context, bounds, {
      keep: (entry) => this.#keep(entry),
      drop: (entry) => keeper.drop(idOf(entry)),
      // Of what stays in the store nobody knows yet what will become of it.
      leave: (entry) => {
        if (entry.user !== undefined) entry.sent ??= this.#queue.now();
      },
    });
  }

  add(item: QueueItem, signal?: Signal): Promise<PublishResult> {
    return this.#queue.add(item, signal);
  }

  opened(session: QueueSession): void {
    const kept = [...this.#queue.waiting()].filter(({ user }) => user !== undefined);
    this.#session = session;
    this.#user = session.userId;
    // What earlier pages have left comes before what this one has.
    this.#queue.hold(true);
    this.#queue.opened(session);
    const patience = this.#context.clock.after(PATIENCE_MS, () => {
      // Another page may have sent it by now.
      for (const entry of kept) entry.sent ??= this.#queue.now();
      this.#goOn(session);
    });
    this.#load(session).then(patience, this.#context.report);
  }

  lost(): void {
    this.#session = undefined;
    this.#endLook?.();
    this.#queue.lost();
  }

  async close(forget: boolean): Promise<void> {
    this.#closed = true;
    this.lost();
    await this.#queue.close(forget);
    await this.#keeper.close(forget);
  }

  #keep(entry: Entry): void {
    const { item, user, born, sent } = entry;
    if (user === undefined) return;
    const { server } = this.#queue.now();
    const at = (moment: Moment): number => server - this.#queue.age(moment);
    const times = { born: at(born), ...(sent && { sent: at(sent) }) };
    this.#keeper.keep(user, { id: idOf(entry), item, ...times });
  }

  async #load(session: QueueSession): Promise<void> {
    const queue = this.#queue;
    const here = [...this.#here().keys()];
    const { found, taken, others } = await this.#keeper.open(session.userId, here);
    // Then they lie under a name that the keeper lets go of.
    if (this.#closed || this.#user !== session.userId) return;
    for (const entry of queue.waiting()) {
      if (taken.includes(idOf(entry))) queue.fail(entry, "another page has it now", true);
    }
    const left = this.#here();
    const restored: Entry[] = [];
    for (const kept of found) {
      const own = left.get(kept.id);
      // Another page had taken it, may have sent it, and has gone.
      if (own !== undefined) own.sent ??= this.#restored(kept).sent;
      else restored.push(this.#restored(kept));
    }
    queue.restore(restored);
    this.#goOn(session);
    if (!others || this.#session !== session) return;
    this.#endLook = this.#context.clock.after(LOOK_MS, () => {
      this.#load(session).catch(this.#context.report);
    });
  }

  #here(): ReadonlyMap<string, Entry> {
    const entries = [...this.#queue.waiting(), ...this.#queue.flying];
    return new Map(entries.map((entry) => [idOf(entry), entry]));
  }

  /** @param session for which it was waited; another one goes on when its own look is over */
  #goOn(session: QueueSession): void {
    if (this.#session === session) this.#queue.hold(false);
    this.#queue.flush();
  }

  /** What it comes to is told to nobody, except that it has failed. */
  #restored({ item, born, sent }: KeptItem): Entry {
    const { elapsed, server, device } = this.#queue.now();
    const at = (then: number): Moment => {
      const age = server - then;
      // Clocks of servers differ by little. One that was set back says nothing of how old it is.
      const known = age < -MARGIN_MS ? Number.POSITIVE_INFINITY : Math.max(0, age);
      return { elapsed: elapsed - known, server: then, device };
    };
    return {
      item,
      user: this.#user,
      born: at(born),
      sent: sent === undefined ? undefined : at(sent),
      resolve: () => {},
      reject: (error) => this.#context.report(error),
    };
  }
}

/** What the server knows an event by may be published to several channels. */
function idOf({ item: { id, channel, event } }: Entry): string {
  return JSON.stringify([channel, event.source, id]);
}
