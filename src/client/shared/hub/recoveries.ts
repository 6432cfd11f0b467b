/**
 * Requests of tabs for what was before. One is under way at a time, so that it is known whose each verdict is, and no other
 * subscription changes meanwhile: what comes later waits for the last verdict, in its order.
 */
import { isPattern, stands } from "../../core/patterns.ts";
import type { Clock } from "../../core/ports.ts";
import type {
  Position,
  SubscriptionAnswer,
  SubscriptionRequest,
  WireGap,
} from "../../wire/frames.ts";
import { overlap } from "./patterns.ts";
import type { Routes } from "./routes.ts";
import type { Tab } from "./tab.ts";

/** How long the verdicts of one may take, in milliseconds. */
const TIMEOUT_MS = 60_000;
const LOST = 1006;

/** A request for what was before. */
export interface Recovery {
  readonly tab: Tab;
  /** Sends it; `expect` or `end` follows. */
  readonly ask: () => void;
}

export class Recoveries {
  readonly #clock: Clock;
  #waiting: (Recovery | (() => Promise<unknown>))[] = [];
  /** Other changes that are not answered. */
  #changing = 0;
  #current: Recovery | undefined;
  /** Names whose verdict has not come. */
  readonly #pending = new Set<string>();
  #stop = (): void => {};

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The tab that the next verdict is for. */
  get tab(): Tab | undefined {
    return this.#current?.tab;
  }

  add(recovery: Recovery): void {
    this.#waiting.push(recovery);
    this.#next();
  }

  /** Does something else to subscriptions, when it is its turn. */
  change(run: () => Promise<unknown>): void {
    this.#waiting.push(run);
    this.#next();
  }

  /** The server has acknowledged it: these are the verdicts that come. */
  expect(recovery: Recovery, names: Iterable<string>): void {
    if (recovery !== this.#current) return;
    for (const name of names) this.#pending.add(name);
    if (this.#pending.size === 0) this.end(recovery);
  }

  verdict(name: string): void {
    const current = this.#current;
    if (current === undefined || !this.#pending.delete(name)) return;
    if (this.#pending.size === 0) this.end(current);
  }

  /** It is over, or has failed. */
  end(recovery: Recovery): void {
    if (recovery !== this.#current) return;
    this.#stop();
    this.#pending.clear();
    this.#current = undefined;
    this.#next();
  }

  /** The session has ended. */
  stop(): void {
    this.#stop();
    this.#waiting = [];
  }

  #next(): void {
    while (this.#current === undefined) {
      const [next] = this.#waiting;
      // What is not acknowledged yet may be live before a recovery, which has to allow for it.
      if (next === undefined || (typeof next !== "function" && this.#changing > 0)) return;
      this.#waiting.shift();
      if (typeof next === "function") this.#begin(next);
      else this.#recover(next);
    }
  }

  #begin(change: () => Promise<unknown>): void {
    this.#changing += 1;
    const done = (): void => {
      this.#changing -= 1;
      this.#next();
    };
    change().then(done, done);
  }

  #recover(recovery: Recovery): void {
    this.#current = recovery;
    this.#stop = this.#clock.after(TIMEOUT_MS, () => {
      recovery.tab.end(LOST, "no verdict in time");
      this.end(recovery);
    });
    recovery.ask();
  }
}

/** Whether an entry asks for what was before. */
export function asksForThePast({
  since,
  rewind,
  recover,
  positions,
}: SubscriptionRequest): boolean {
  return Boolean(since ?? rewind ?? recover ?? positions);
}

/**
 * What of a connect is asked for at once. A channel that begins with its last messages has to wait where a pattern has a
 * position in it, since the server would replay the last messages alone. It gets no answer, and the client then asks for it
 * once more.
 */
export function askedNow(requested: readonly SubscriptionRequest[]): SubscriptionRequest[] {
  return requested.filter(
    ({ channel, since, rewind }) =>
      !rewind || since || !requested.some(({ positions }) => positions?.[channel]),
  );
}

/** What a request becomes where the server leaves out what the connection has by other subscriptions. */
export interface Plan {
  /** What the tab has asked for, in its order, and then what goes with it. */
  readonly entries: readonly SubscriptionRequest[];
  /** Names whose verdict is not for the tab. */
  readonly silent: ReadonlySet<string>;
  /** What cannot be known. */
  readonly gaps: readonly WireGap[];
}

/**
 * What to ask the server for in the place of a tab's request. For a pattern that catches up the server replays nothing of a
 * channel that the connection has by itself, so that it is asked for by itself; and nothing of one that another pattern
 * brings and the tab has never heard, unless that pattern asks as well.
 */
export function planOf(tab: Tab, requested: readonly SubscriptionRequest[], routes: Routes): Plan {
  const silent = new Set<string>();
  const catchesUp = (entry: SubscriptionRequest): boolean =>
    isPattern(entry.channel) && asksForThePast(entry);
  const patterns = requested.filter(catchesUp);
  if (!patterns[0]) return { entries: requested, silent, gaps: [] };
  const gaps: WireGap[] = [];
  const lowest = lowestPositions(requested, gaps);
  const entries = requested.map(({ since, positions = {}, ...entry }): SubscriptionRequest => {
    const known = Object.keys(positions).map((name) => [name, lowest.get(name)]);
    return {
      ...entry,
      since: since && lowest.get(entry.channel),
      positions: known[0] && Object.fromEntries(known),
    };
  });
  const own = new Set(requested.map(({ channel }) => channel));
  /** @param index in the request; its end for what is not in it */
  const add = (entry: SubscriptionRequest, index: number): void => {
    const name = entry.channel;
    const isBrought = patterns.some(({ channel }) =>
      isPattern(name) ? overlap(name, channel) : stands(channel, name),
    );
    if (!isBrought) return;
    const since = lowest.get(name);
    if (isPattern(name)) {
      entries[index] = { ...entry, recover: true };
      silent.add(name);
    } else if (since) entries[index] = { ...entry, since };
    else gaps.push({ channel: name, reason: "unavailable" });
  };
  for (const [index, entry] of requested.entries()) {
    const { channel, since } = entry;
    if (!asksForThePast(entry)) {
      if (isPattern(channel) || routes.has(channel)) add(entry, index);
    } else if (!since && lowest.has(channel)) {
      // The last messages of the channel may lie above the position of a pattern.
      gaps.push({ channel, reason: "unavailable" });
    }
  }
  for (const { entry, holders } of routes.beside(own)) {
    // What the tab has itself it has heard, unless a pattern of its own is not as far.
    if (!holders.has(tab) || lowest.has(entry.channel)) add(entry, entries.length);
  }
  return { entries, silent, gaps };
}

/**
 * Where to begin in each channel. A tab's subscription to the channel and its patterns may have different positions in it,
 * and the server replays it for one of them: then it has to be the lowest.
 *
 * @param gaps gets those where nothing is lowest: of two logs one is gone, and the hub does not know which
 */
function lowestPositions(
  requested: readonly SubscriptionRequest[],
  gaps: WireGap[],
): ReadonlyMap<string, Position> {
  const lowest = new Map<string, Position>();
  for (const { channel, since, positions } of requested) {
    const own = { ...positions, ...(since && { [channel]: since }) };
    for (const [name, position] of Object.entries(own)) {
      const known = lowest.get(name);
      if (known && known.epoch !== position.epoch) {
        gaps.push({ channel: name, reason: "epoch_changed" });
      } else if (!known || (position.offset ?? 0) < (known.offset ?? 0)) lowest.set(name, position);
    }
  }
  return lowest;
}

/** The names whose verdicts follow an acknowledgement, of those that were asked for. */
export function verdictsOf(
  asked: readonly SubscriptionRequest[],
  answers: readonly SubscriptionAnswer[],
): string[] {
  const refused = new Set(answers.filter(({ error }) => error).map(({ channel }) => channel));
  return asked
    .filter((entry) => asksForThePast(entry) && !refused.has(entry.channel))
    .map(({ channel }) => channel);
}
