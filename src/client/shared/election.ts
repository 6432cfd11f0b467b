/**
 * Where there is no SharedWorker the tabs of a user elect one of them, which has the connection for all. A Web Lock says
 * which of them leads, and a BroadcastChannel is the way to it. A page that is frozen, or kept for its back button, may hold
 * the lock and answer no tab: then it is taken from it, and no tab waits in the lock's queue for more than a hint.
 *
 * | state of a tab | how it gets there | what ends it |
 * | --- | --- | --- |
 * | leads | the lock was free, or its holder did not answer in `ANSWER_MS` | another tab takes the lock, the page is left, or its hub ends |
 * | follows | the lock is held, and its holder answers | the lock becomes free: the line ends, and the tab elects again when it comes back |
 * | alone | a browser without locks or channels, or a tab that brings tokens of its own | the connection's end |
 */
import { randomUuid } from "../core/cloud-event.ts";
import type { Clock, TransportFactory } from "../core/ports.ts";
import { ElectedLine, type ElectedLineOwner } from "./elected-line.ts";
import { Hub } from "./hub/hub.ts";
import type { UpstreamTerms } from "./hub/upstream.ts";
import { lineOver, type PortLike, type TabLine } from "./line.ts";
import { openLine } from "./port-transport.ts";
import { SDK_VERSION } from "./version.ts";

/** What it needs of a browser; without locks or channels every tab has a connection of its own. */
export interface ElectionPlatform {
  readonly locks: LocksLike | undefined;
  /** Opens the BroadcastChannel of a name. */
  readonly channel: ((name: string) => PortLike) | undefined;
  /** Two ports that belong together. */
  ports(): readonly [PortLike, PortLike];
  /** Calls back when the page is left. @returns what ends that */
  onLeave(left: () => void): () => void;
}

/** The part of a LockManager that the SDK uses. */
export interface LocksLike {
  request(
    name: string,
    options: { ifAvailable?: boolean; steal?: boolean; signal?: AbortSignal },
    granted: (lock: unknown) => unknown,
  ): Promise<unknown>;
}

/** Between tabs of one user. */
type Call =
  /** Who leads? It is to answer by this line. */
  | { readonly kind: "seek"; readonly line: string }
  /** The line is open. */
  | { readonly kind: "here"; readonly line: string };

/** How long a leader may take to answer, in milliseconds. */
const ANSWER_MS = 2_000;
/** What a leader has said last may come after its lock is free, by so many milliseconds. */
const LAST_WORDS_MS = 500;
const COMES_BACK = 3000;

export class Election implements ElectedLineOwner {
  readonly url: string;
  readonly subprotocol: string;
  readonly #clock: Clock;
  readonly #platform: ElectionPlatform;
  readonly #hub: Hub;
  #line: ElectedLine | undefined;
  /** Ends the reign, while this tab leads. */
  #resign = (): void => {};
  /** Ends the waiting for the leader's end. */
  #unwatch = (): void => {};
  #own = false;

  constructor(terms: UpstreamTerms, platform: ElectionPlatform) {
    this.url = terms.url;
    this.subprotocol = terms.codec.subprotocol;
    this.#clock = terms.clock;
    this.#platform = platform;
    this.#hub = new Hub({
      ...terms,
      admit: (userId) => this.#admit(userId),
      ended: () => this.#resign(),
    });
  }

  get transport(): TransportFactory {
    return {
      name: "elected",
      open: (_url, subprotocol, events) => {
        const [own, hubs] = this.#platform.ports();
        this.#line = new ElectedLine(lineOver(own), this);
        this.#hub.attach(lineOver(hubs));
        return openLine(this.#line, this.url, subprotocol, events);
      },
    };
  }

  userOf(token: string): Promise<string> {
    return this.#hub.userOf(token);
  }

  needsOwn(): void {
    this.#own = true;
  }

  closed(): void {
    this.#unwatch();
  }

  /** Whether this tab's connection is to serve: it leads, or is alone. */
  async #admit(userId: string): Promise<boolean> {
    const { locks, channel } = this.#platform;
    const line = this.#line;
    this.#own ||= line?.hasTokens ?? false;
    if (line === undefined || locks === undefined || channel === undefined || this.#own)
      return true;
    const name = `messageloop ${SDK_VERSION} ${this.subprotocol} ${this.url} ${userId}`;
    if (await this.#lead(locks, channel, name, userId, { ifAvailable: true })) return true;
    const leader = await this.#seek(channel, name);
    if (line.over) {
      leader?.close();
      return false;
    }
    if (leader === undefined) {
      await this.#lead(locks, channel, name, userId, { steal: true });
      return true;
    }
    line.follow(leader, userId);
    this.#watch(locks, name, line);
    return false;
  }

  /** @returns whether it leads now, until the lock is taken from it or it resigns */
  #lead(
    locks: LocksLike,
    channel: (name: string) => PortLike,
    name: string,
    userId: string,
    how: { ifAvailable: true } | { steal: true },
  ): Promise<boolean> {
    return new Promise((resolve) => {
      let leads = false;
      const granted = (lock: unknown): unknown => {
        leads = lock !== null;
        resolve(leads);
        return leads ? this.#reign(channel, name, userId) : undefined;
      };
      locks.request(name, how, granted).catch(() => {
        // Another tab has found it silent.
        if (leads) this.#hub.end(COMES_BACK, "another tab leads");
        // There are no locks here, and every tab is alone.
        else resolve(true);
      });
    });
  }

  /** Serves the tabs that ask. Resolves when it does no more. */
  #reign(channel: (name: string) => PortLike, name: string, userId: string): Promise<void> {
    const calls = channel(name);
    const answer = (call: Call): void => {
      if (call.kind !== "seek") return;
      this.#hub.attach(lineOver(channel(`${name} ${call.line}`)), userId);
      calls.postMessage({ kind: "here", line: call.line } satisfies Call);
    };
    calls.addEventListener("message", ({ data }) => answer(data as Call));
    const unwatch = this.#platform.onLeave(() => {
      this.#hub.end(COMES_BACK, "the leading tab was left");
    });
    return new Promise((resolve) => {
      this.#resign = () => {
        unwatch();
        calls.close();
        resolve();
      };
    });
  }

  /** A line to the leader; undefined where none answers in time. */
  #seek(channel: (name: string) => PortLike, name: string): Promise<TabLine | undefined> {
    const id = randomUuid();
    const calls = channel(name);
    const port = channel(`${name} ${id}`);
    return new Promise((resolve) => {
      const settle = (line: TabLine | undefined): void => {
        cancel();
        calls.close();
        if (line === undefined) port.close();
        resolve(line);
      };
      const cancel = this.#clock.after(ANSWER_MS, () => settle(undefined));
      calls.addEventListener("message", ({ data }) => {
        const call = data as Call;
        if (call.kind === "here" && call.line === id) settle(lineOver(port));
      });
      calls.postMessage({ kind: "seek", line: id } satisfies Call);
    });
  }

  /** Ends a line as soon as the leader's lock is free. It is not kept: the tab that is back first leads. */
  #watch(locks: LocksLike, name: string, line: ElectedLine): void {
    const abort = new AbortController();
    let cancel = (): void => {};
    this.#unwatch = () => {
      abort.abort();
      cancel();
    };
    const free = (): void => {
      cancel = this.#clock.after(LAST_WORDS_MS, () => line.end("the leading tab has gone"));
    };
    locks.request(name, { signal: abort.signal }, free).catch(() => {});
  }
}
