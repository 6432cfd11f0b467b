/**
 * A channel's side of the contract with its gateways: who is registered, what each has been given,
 * and what is still owed. Pure logic over a few ports; the object around it only reads and writes.
 *
 * At most one deliver call per gateway is in flight. What comes meanwhile leaves with the next one. A
 * delivery that cannot start at once, fails or overruns its deadline is owed: then an alarm is stored
 * and the gateway's row notes what it has confirmed, so that a fresh life of the object delivers the
 * rest from the log. A channel that sleeps without an alarm has every gateway at head.
 */
import type { LogRow } from "../channels/log-store.ts";
import type { PresenceChange } from "../channels/presence.ts";
import { type Call, foundGateway, type Gateway } from "./fan-out-gateway.ts";
import type { GatewayRow } from "./gateway-table.ts";
import { encodeDelivery, encodePresenceChange } from "./internal-codec.ts";
import { type EncodedEntry, encodeRows, RecentEntries, takeBatch } from "./recent-entries.ts";
import { delay, withDeadline } from "./timers.ts";

/** How long a delivery may be owed before the alarm makes sure of it, in milliseconds. */
export const OWED_ALARM_MS = 10_000;
/** How long a deliver call may take before it counts as failed, in milliseconds. */
const DELIVER_DEADLINE_MS = 10_000;
/** Pause before a failed delivery is tried again by an object that stays awake, in milliseconds. */
const RETRY_PAUSE_MS = 500;

/** What the fan-out needs from the object around it. */
export interface FanOutHost {
  readonly channel: string;
  readonly epoch: string;
  /** Whether the log ends with this life of the object. */
  readonly transient: boolean;
  /** Offset of the newest entry. */
  head(): number;
  /** Rows in (after, until], ascending and dense; may start later where the log was trimmed. */
  read(after: number, until: number): Iterable<LogRow>;
  /** Calls a gateway. Resolves with whether it has gone from this registration. */
  deliver(gateway: string, request: Uint8Array): Promise<{ readonly gone: boolean }>;
  saveGateway(row: GatewayRow): void;
  /** A gateway is not registered any more. */
  left(gateway: string): void;
  /** Unix milliseconds. */
  now(): number;
  /** Makes sure that the alarm comes by then, Unix milliseconds. */
  alarmBy(at: number): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export class ChannelFanOut {
  readonly #host: FanOutHost;
  readonly #gateways = new Map<string, Gateway>();
  readonly #recent = new RecentEntries();

  constructor(host: FanOutHost, rows: Iterable<GatewayRow>) {
    this.#host = host;
    for (const row of rows) this.#gateways.set(row.name, foundGateway(row, host));
  }

  get size(): number {
    return this.#gateways.size;
  }

  /** Registers a gateway or replaces its registration; what it is owed stays owed. */
  register(name: string, registration: string, follows: boolean): void {
    const gateway =
      this.#gateways.get(name) ??
      foundGateway({ name, registration, confirmed: undefined, presence: follows }, this.#host);
    gateway.registration = registration;
    gateway.follows = follows;
    this.#gateways.set(name, gateway);
    this.#save(gateway);
  }

  /** Acts only while the registration is the gateway's current one. */
  unregister(name: string, registration: string): void {
    if (this.#gateways.get(name)?.registration !== registration) return;
    this.#gateways.delete(name);
    this.#host.left(name);
  }

  /** Takes an entry that was just appended. It leaves with the next flush. */
  append(row: LogRow): void {
    this.#recent.push(row, () => Math.min(this.#host.head(), ...this.#confirmed()));
  }

  /** Takes presence changes for those who follow them. They leave with the next flush. */
  changed(changes: readonly PresenceChange[]): void {
    const encoded = changes.map(encodePresenceChange);
    for (const { follows, presence } of this.#gateways.values()) {
      if (follows) presence.push(encoded);
    }
  }

  /**
   * Delivers again from an offset on. For an entry that an earlier life of the object appended and
   * may not have delivered: gateways that have it ignore it.
   */
  offerAgain(offset: number): void {
    for (const gateway of this.#gateways.values()) {
      if (gateway.confirmed < offset) continue;
      gateway.confirmed = offset - 1;
      // The answer of a call in flight must not confirm what it did not carry.
      if (gateway.call !== undefined) gateway.presence.putBack(gateway.call.presence);
      gateway.call = undefined;
    }
  }

  /**
   * Issues a deliver call to each gateway that is behind and has none in flight; the others are
   * owed. When it returns, publishes may be acknowledged.
   */
  flush(): void {
    const head = this.#host.head();
    for (const gateway of this.#gateways.values()) {
      const { call } = gateway;
      if (call === undefined) {
        if (this.#behind(gateway)) this.#call(gateway);
      } else if (call.until < head || !gateway.presence.empty) this.#owe(gateway);
    }
  }

  /** The alarm: delivers what is owed, and keeps the alarm while anything is. */
  async alarm(): Promise<void> {
    this.flush();
    await Promise.all([...this.#gateways.values()].map((gateway) => gateway.call?.done));
    for (const gateway of this.#gateways.values()) {
      if (gateway.call !== undefined || this.#behind(gateway)) this.#owe(gateway);
      else if (gateway.noted) {
        gateway.noted = false;
        this.#save(gateway);
      }
    }
  }

  #behind({ confirmed, presence, announce }: Gateway): boolean {
    return confirmed < this.#host.head() || !presence.empty || announce;
  }

  #call(gateway: Gateway): void {
    const { registration, announce } = gateway;
    const batch = this.#batch(gateway.confirmed);
    // Without a batch the gateway has everything, or there is nothing that it could be given.
    const prev = batch.length > 0 ? gateway.confirmed : this.#host.head();
    const presence = gateway.presence.take();
    const { channel, epoch } = this.#host;
    const request = encodeDelivery({
      channel,
      registration,
      epoch,
      prev,
      entries: batch.map((entry) => entry.bytes),
      presence: presence.changes,
      presenceLost: presence.lost,
    });
    const until = batch.at(-1)?.offset ?? prev;
    const call: Call = { until, presence, announce, done: Promise.resolve() };
    gateway.call = call;
    gateway.announce = false;
    // The call is issued here, in the turn that acknowledges the publishes it carries.
    const answer = withDeadline(this.#host.deliver(gateway.name, request), DELIVER_DEADLINE_MS);
    call.done = answer.then(
      ({ gone }) => this.#delivered(gateway, call, registration, gone),
      (error: unknown) => this.#failed(gateway, call, error),
    );
    // More than one batch behind: the rest waits for the answer, and until then it is owed.
    if (until < this.#host.head()) this.#owe(gateway);
  }

  #delivered(gateway: Gateway, call: Call, registration: string, gone: boolean): void {
    if (gateway.call !== call) return;
    gateway.call = undefined;
    if (gone && gateway.registration === registration) {
      this.unregister(gateway.name, registration);
      return;
    }
    if (gone) this.#putBack(gateway, call);
    else gateway.confirmed = Math.max(gateway.confirmed, call.until);
    if (this.#gateways.get(gateway.name) !== gateway) return;
    if (this.#behind(gateway)) this.#call(gateway);
  }

  #failed(gateway: Gateway, call: Call, error: unknown): void {
    if (gateway.call !== call) return;
    gateway.call = undefined;
    this.#putBack(gateway, call);
    if (this.#gateways.get(gateway.name) !== gateway) return;
    this.#host.warn("delivery failed", { gateway: gateway.name, error: String(error) });
    this.#owe(gateway);
    void delay(RETRY_PAUSE_MS).then(() => this.flush());
  }

  #putBack(gateway: Gateway, call: Call): void {
    gateway.presence.putBack(call.presence);
    gateway.announce ||= call.announce;
  }

  /** Makes sure that the delivery happens even if this object is reset now. */
  #owe(gateway: Gateway): void {
    if (!gateway.noted) {
      gateway.noted = true;
      this.#save(gateway);
    }
    this.#host.alarmBy(this.#host.now() + OWED_ALARM_MS);
  }

  #save({ name, registration, confirmed, noted, follows }: Gateway): void {
    const noting = noted ? confirmed : undefined;
    this.#host.saveGateway({ name, registration, confirmed: noting, presence: follows });
  }

  /**
   * The next run for a gateway: from memory where it reaches back far enough, else from the log. In a
   * transient channel there is only memory; the gateway meets the hole.
   */
  #batch(after: number): readonly EncodedEntry[] {
    const head = this.#host.head();
    if (after >= head) return [];
    const { first } = this.#recent;
    if (first !== undefined && (first <= after + 1 || this.#host.transient)) {
      return this.#recent.batch(after);
    }
    return takeBatch(encodeRows(this.#host.read(after, head)));
  }

  *#confirmed(): Iterable<number> {
    for (const gateway of this.#gateways.values()) yield gateway.confirmed;
  }
}
