/**
 * The gateways of a channel: those that have registered themselves, those that hear it through a pattern, and
 * those that do both, each once. Keeps the rows of those that a later life must find.
 */

import { made } from "../../channels/maps.ts";
import type { PatternInterest } from "../calls/pattern-interest.ts";
import type { GatewayRow } from "../ports/channel-store.ts";
import {
  addInterest,
  followsPresence,
  foundGateway,
  type Gateway,
  isPushedSince,
  newGateway,
  reached,
} from "./fan-out-gateway.ts";

export interface GatewaysHost {
  /** Whether the log ends with this life of the object. */
  readonly transient: boolean;
  /** Offset of the newest entry. */
  head(): number;
  saveGateway(row: GatewayRow): void;
  dropGateway(name: string): void;
}

export class FanOutGateways {
  readonly #host: GatewaysHost;
  readonly #gateways = new Map<string, Gateway>();
  /** Those that have said that they do not hear the channel, with what they had through patterns. */
  #gone: PatternInterest[] = [];

  constructor(host: GatewaysHost, rows: Iterable<GatewayRow>) {
    this.#host = host;
    for (const row of rows) this.#gateways.set(row.name, foundGateway(row, host));
  }

  get(name: string): Gateway | undefined {
    return this.#gateways.get(name);
  }

  /** As with a Map, one may go while they are iterated. */
  values(): IterableIterator<Gateway> {
    return this.#gateways.values();
  }

  /** Names of all. */
  names(): Iterable<string> {
    return this.#gateways.keys();
  }

  some(is: (gateway: Gateway) => boolean): boolean {
    for (const gateway of this.#gateways.values()) if (is(gateway)) return true;
    return false;
  }

  register(name: string, registration: string, follows: boolean): void {
    const gateway = this.#at(name);
    // What an answer brings to the registration before is no matter of the next one.
    gateway.confirmed = reached(gateway);
    gateway.registration = registration;
    gateway.follows = follows;
    this.keep(gateway);
  }

  /** The gateway that has a registration now. */
  registered(registration: string): Gateway | undefined {
    if (registration === "") return undefined;
    for (const gateway of this.#gateways.values()) {
      if (gateway.registration === registration) return gateway;
    }
    return undefined;
  }

  /** Acts only while the registration is the current one. Returns whether it was. */
  unregister(name: string, registration: string): boolean {
    const gateway = this.#gateways.get(name);
    if (gateway?.registration !== registration) return false;
    gateway.confirmed = reached(gateway);
    gateway.registration = "";
    gateway.follows = false;
    this.keep(gateway);
    return true;
  }

  /**
   * One more hears the channel through a pattern, after so many questions to the index.
   *
   * @returns it, where it follows presence through a pattern from now on
   */
  addInterest(interest: PatternInterest, round: number): Gateway | undefined {
    const gateway = this.#at(interest.gateway);
    const followed = gateway.pattern?.follows === true;
    this.#addInterest(gateway, interest, round);
    return !followed && gateway.pattern?.follows ? gateway : undefined;
  }

  /**
   * What the index has answered to a question: these hear the channel through patterns, and beside them only
   * those that were pushed since.
   *
   * @returns those that follow presence from now on
   */
  setInterests(interests: readonly PatternInterest[], round: number): Gateway[] {
    const named = new Set(interests.map(({ gateway }) => gateway));
    for (const gateway of [...this.#gateways.values()]) {
      const { name, pattern } = gateway;
      if (pattern === undefined || named.has(name) || isPushedSince(gateway, round)) continue;
      gateway.pattern = undefined;
      this.keep(gateway);
    }
    const followers: Gateway[] = [];
    for (const interest of interests) {
      const gateway = this.#at(interest.gateway);
      const followed = followsPresence(gateway);
      this.#addInterest(gateway, interest, isPushedSince(gateway, round) ? round : undefined);
      if (!followed && followsPresence(gateway)) followers.push(gateway);
    }
    return followers;
  }

  /** A gateway has said that it does not hear the channel through its patterns. */
  endPattern(name: string): void {
    const gateway = this.#gateways.get(name);
    if (gateway?.pattern === undefined) return;
    this.#gone.push({ gateway: name, version: gateway.pattern.version, presence: false });
    gateway.pattern = undefined;
    this.keep(gateway);
  }

  /** Those that have said so since the last call. */
  takeGone(): readonly PatternInterest[] {
    const gone = this.#gone;
    this.#gone = [];
    return gone;
  }

  putBackGone(gone: readonly PatternInterest[]): void {
    this.#gone = [...gone, ...this.#gone];
  }

  /**
   * Keeps a gateway's row as it must be, and forgets one that hears the channel no more. One that hears it through a
   * pattern alone needs no row unless it is owed something: the index knows it.
   */
  keep(gateway: Gateway): void {
    const { name, registration, confirmed, noted, follows, pattern } = gateway;
    const hears = registration !== "" || pattern !== undefined;
    if (!hears) this.#gateways.delete(name);
    if (hears && (registration !== "" || noted)) {
      const noting = noted ? confirmed : undefined;
      this.#host.saveGateway({ name, registration, confirmed: noting, presence: follows, pattern });
      gateway.stored = true;
    } else if (gateway.stored) {
      this.#host.dropGateway(name);
      gateway.stored = false;
    }
  }

  /** The gateway, which is new and begins at the head where it is not known. */
  #at(name: string): Gateway {
    return made(this.#gateways, name, () => newGateway(name, this.#host));
  }

  #addInterest(gateway: Gateway, interest: PatternInterest, pushed: number | undefined): void {
    const known = gateway.pattern !== undefined;
    addInterest(gateway, interest, pushed);
    // What it is owed stays owed when its own registration ends.
    if (gateway.noted && !known) this.keep(gateway);
  }
}
