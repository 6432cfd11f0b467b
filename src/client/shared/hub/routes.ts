/** Which tabs hold which channels and patterns of a connection. */
import { isPattern, stands } from "../../core/patterns.ts";
import type { Position, SubscriptionAnswer, SubscriptionRequest } from "../../wire/frames.ts";
import type { Tab } from "./tab.ts";

/** Channels whose tabs are remembered. */
const MOST_ROUTES = 5_000;

/** A channel or pattern that any tab holds or asks for. */
interface Name {
  readonly holders: Set<Tab>;
  /** Requests of tabs that are not answered. */
  asking: number;
  /** Whether the server has granted it. */
  live: boolean;
  /** How it was asked for last. */
  ephemeral: boolean;
  token: string | undefined;
}

export class Routes {
  readonly #names = new Map<string, Name>();
  /** Those that the server's side has made, for all tabs. */
  readonly #given = new Map<string, SubscriptionAnswer>();
  readonly #tabs: ReadonlySet<Tab>;
  readonly #cache = new Map<string, readonly Tab[]>();

  constructor(tabs: ReadonlySet<Tab>) {
    this.#tabs = tabs;
  }

  get given(): readonly SubscriptionAnswer[] {
    return [...this.#given.values()];
  }

  /** The tabs that a message of a channel is for. One without a channel is for the session itself. */
  of(channel: string): readonly Tab[] {
    let tabs = this.#cache.get(channel);
    if (tabs === undefined) {
      const all = channel === "" || [...this.#given.keys()].some((name) => stands(name, channel));
      tabs = [...this.#tabs].filter((tab) => all || tab.hears(channel));
      if (this.#cache.size >= MOST_ROUTES) this.#cache.clear();
      this.#cache.set(channel, tabs);
    }
    return tabs;
  }

  /** The tabs that something is for which names a channel or a pattern. */
  concerned(name: string): readonly Tab[] {
    if (!isPattern(name)) return this.of(name);
    return this.#given.has(name) ? [...this.#tabs] : [...(this.#names.get(name)?.holders ?? [])];
  }

  /** A tab asks for something. @returns what is asked of the server, in the name of all tabs that hold it */
  asks(tab: Tab, entry: SubscriptionRequest): SubscriptionRequest {
    let name = this.#names.get(entry.channel);
    if (name === undefined) {
      name = { holders: new Set(), asking: 0, live: false, ephemeral: true, token: undefined };
      this.#names.set(entry.channel, name);
    }
    name.asking += 1;
    const others = [...name.holders].filter((one) => one !== tab);
    const isMember = others.some((one) => one.topics.get(entry.channel)?.ephemeral === false);
    name.ephemeral = (entry.ephemeral ?? false) && !isMember;
    name.token = entry.token ?? name.token;
    return { ...entry, ephemeral: name.ephemeral || undefined };
  }

  /** The server has answered, or will not. Where it has granted it, `holds` or `left` follows. */
  answered(channel: string, isGranted: boolean): void {
    const name = this.#names.get(channel);
    if (name === undefined) return;
    name.asking -= 1;
    name.live ||= isGranted;
    if (!name.live && name.asking === 0) this.#names.delete(channel);
  }

  holds(tab: Tab, channel: string): void {
    this.#names.get(channel)?.holders.add(tab);
    this.#cache.clear();
  }

  /** Whether the connection has a channel, by itself or by a pattern. */
  has(channel: string): boolean {
    for (const [name, { holders }] of this.#names) {
      if (holders.size > 0 && stands(name, channel)) return true;
    }
    return false;
  }

  /** What the connection has beside some names, as it was asked for, and the tabs that it is for. */
  *beside(
    but: ReadonlySet<string>,
  ): Iterable<{ readonly entry: SubscriptionRequest; readonly holders: ReadonlySet<Tab> }> {
    for (const [channel, { holders, token, ephemeral }] of this.#names) {
      if (holders.size === 0 || but.has(channel)) continue;
      yield { entry: { channel, token, ephemeral: ephemeral || undefined }, holders };
    }
  }

  /** A tab holds something no more: nothing of it comes to the tab. */
  releases(tab: Tab, channel: string): void {
    tab.topics.delete(channel);
    this.#names.get(channel)?.holders.delete(tab);
    this.#cache.clear();
  }

  /**
   * What becomes of something that a tab holds no more.
   *
   * @returns `last` where no tab holds it; what to ask the server for where no holder is a member any more
   */
  left(channel: string): "last" | SubscriptionRequest | undefined {
    const name = this.#names.get(channel);
    if (name === undefined || name.asking > 0) return undefined;
    if (name.holders.size === 0) {
      this.#names.delete(channel);
      return this.#given.has(channel) ? undefined : "last";
    }
    const isMember = [...name.holders].some((one) => one.topics.get(channel)?.ephemeral === false);
    if (name.ephemeral || isMember) return undefined;
    name.ephemeral = true;
    return { channel, ephemeral: true, token: name.token };
  }

  /** The server's side has made it for all tabs. */
  gives(answer: SubscriptionAnswer): void {
    this.#given.set(answer.channel ?? "", answer);
    this.#cache.clear();
  }

  /** A message of a channel that all tabs have: one that comes later has it from here on. */
  reaches(channel: string, position: Position): void {
    if (this.#given.has(channel)) this.#given.set(channel, { channel, position });
  }

  /** The server has ended it, for all tabs. @returns those that held it */
  ends(channel: string): ReadonlySet<Tab> {
    const holders = new Set(this.#names.get(channel)?.holders);
    for (const tab of this.#given.has(channel) ? this.#tabs : []) holders.add(tab);
    for (const tab of holders) tab.topics.delete(channel);
    this.#given.delete(channel);
    const name = this.#names.get(channel);
    if (name?.asking === 0) this.#names.delete(channel);
    else name?.holders.clear();
    this.#cache.clear();
    return holders;
  }

  /** A tab has come or gone. */
  changed(): void {
    this.#cache.clear();
  }
}
