/** A queue whose items a keeper keeps, so that they outlive the page. */
import type { QueueContext, QueueSession } from "../core/ports.ts";
import type { Keeper, KeptItem } from "./keeper.ts";
import { type Entry, MARGIN_MS, MemoryQueue, type Moment, type QueueBounds } from "./queue.ts";

/** How long publishes wait for what a store has, in milliseconds. */
const PATIENCE_MS = 2_000;
/** How often it is looked whether a page has gone that had something to send, in milliseconds. */
const LOOK_MS = 30_000;

export class KeptQueue extends MemoryQueue {
  readonly #keeper: Keeper;
  #endLook: (() => void) | undefined;

  constructor(context: QueueContext, keeper: Keeper, bounds?: QueueBounds) {
    super(context, bounds);
    this.#keeper = keeper;
  }

  override opened(session: QueueSession): void {
    const kept = [...this.waiting].filter(({ user }) => user !== undefined);
    // What earlier pages have left comes before what this one has.
    this.held = true;
    super.opened(session);
    const patience = this.context.clock.after(PATIENCE_MS, () => {
      // Another page may have sent it by now.
      for (const entry of kept) entry.sent ??= this.now();
      this.#goOn(session);
    });
    this.#load(session).then(patience, this.context.report);
  }

  override lost(): void {
    this.#endLook?.();
    super.lost();
  }

  override async close(forget: boolean): Promise<void> {
    await super.close(forget);
    await this.#keeper.close(forget);
  }

  protected override keep(entry: Entry): void {
    const { item, user, born, sent } = entry;
    if (user === undefined) return;
    const { server } = this.now();
    const at = (moment: Moment): number => server - this.age(moment);
    const times = { born: at(born), ...(sent && { sent: at(sent) }) };
    this.#keeper.keep(user, { id: idOf(entry), item, ...times });
  }

  protected override drop(entry: Entry): void {
    this.#keeper.drop(idOf(entry));
  }

  /** Of what stays in the store nobody knows yet what will become of it. */
  protected override fail(entry: Entry, reason: string, kept?: boolean): void {
    if (kept && entry.user !== undefined) entry.sent ??= this.now();
    super.fail(entry, reason, kept);
  }

  async #load(session: QueueSession): Promise<void> {
    const { found, taken, others } = await this.#keeper.open(session.userId, [
      ...this.#here().keys(),
    ]);
    // Then they lie under a name that the keeper lets go of.
    if (this.closed || this.user !== session.userId) return;
    for (const entry of this.waiting) {
      if (taken.includes(idOf(entry))) this.fail(entry, "another page has it now", true);
    }
    const here = this.#here();
    const restored: Entry[] = [];
    for (const kept of found) {
      const own = here.get(kept.id);
      // Another page had taken it, may have sent it, and has gone.
      if (own !== undefined) own.sent ??= this.#restored(kept).sent;
      else restored.push(this.#restored(kept));
    }
    this.waiting = new Set([...restored, ...this.waiting]);
    this.#goOn(session);
    if (!others || this.session !== session) return;
    this.#endLook = this.context.clock.after(LOOK_MS, () => {
      this.#load(session).catch(this.context.report);
    });
  }

  #here(): ReadonlyMap<string, Entry> {
    return new Map([...this.waiting, ...this.flying].map((entry) => [idOf(entry), entry]));
  }

  /** @param session for which it was waited; another one goes on when its own look is over */
  #goOn(session: QueueSession): void {
    if (this.session === session) this.held = false;
    this.flush();
  }

  /** What it comes to is told to nobody, except that it has failed. */
  #restored({ item, born, sent }: KeptItem): Entry {
    const { elapsed, server, device } = this.now();
    const at = (then: number): Moment => {
      const age = server - then;
      // Clocks of servers differ by little. One that was set back says nothing of how old it is.
      const known = age < -MARGIN_MS ? Number.POSITIVE_INFINITY : Math.max(0, age);
      return { elapsed: elapsed - known, server: then, device };
    };
    return {
      item,
      user: this.user,
      born: at(born),
      sent: sent === undefined ? undefined : at(sent),
      resolve: () => {},
      reject: (error) => this.context.report(error),
    };
  }
}

/** What the server knows an event by may be published to several channels. */
function idOf({ item: { id, channel, event } }: Entry): string {
  return JSON.stringify([channel, event.source, id]);
}
