/**
 * A channel's side of the contract with its gateways: who is registered, what each has been given,
 * and what is still owed. Pure logic over a few ports; the object around it only reads and writes.
 *
 * At most one deliver call per gateway is in flight. What is appended meanwhile leaves with the next
 * one. A delivery that cannot start at once, fails or overruns its deadline is owed: then an alarm is
 * stored and the gateway's row notes what it has confirmed, so that a fresh life of the object
 * delivers the rest from the log. A channel that sleeps without an alarm has every gateway at head.
 */
import type { LogRow } from "../channels/log-store.ts";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES, MAX_QUEUED_BYTES } from "../protocol/limits.ts";
import { encodeDelivery, encodeEntry } from "./internal-codec.ts";
import { delay, withDeadline } from "./timers.ts";

/** How long a delivery may be owed before the alarm makes sure of it, in milliseconds. */
export const OWED_ALARM_MS = 10_000;
/** How long a deliver call may take before it counts as failed, in milliseconds. */
const DELIVER_DEADLINE_MS = 10_000;
/** Pause before a failed delivery is tried again by an object that stays awake, in milliseconds. */
const RETRY_PAUSE_MS = 500;

/** A gateway as its row remembers it. */
export interface GatewayRow {
  readonly name: string;
  readonly registration: string;
  /** What it had confirmed when a delivery became owed; undefined means it was at head. */
  readonly confirmed: number | undefined;
}

/** What the fan-out needs from the object around it. */
export interface FanOutHost {
  readonly channel: string;
  readonly epoch: string;
  /** Offset of the newest entry. */
  head(): number;
  /** Rows in (after, until], ascending and dense; may start later where the log was trimmed. */
  read(after: number, until: number): Iterable<LogRow>;
  /** Calls a gateway. Resolves with whether it has gone from this registration. */
  deliver(gateway: string, request: Uint8Array): Promise<{ readonly gone: boolean }>;
  saveGateway(row: GatewayRow): void;
  dropGateway(name: string): void;
  /** Unix milliseconds. */
  now(): number;
  /** Stores the alarm, for Unix milliseconds. */
  setAlarm(at: number): void;
  warn(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export class ChannelFanOut {
  readonly #host: FanOutHost;
  readonly #gateways = new Map<string, Gateway>();
  /** The newest entries as bytes, dense up to the head, bounded; older ones are read from the log. */
  #recent: EncodedEntry[] = [];
  #recentBytes = 0;
  #alarmAt = 0;

  constructor(host: FanOutHost, rows: Iterable<GatewayRow>) {
    this.#host = host;
    for (const row of rows) {
      const confirmed = row.confirmed ?? host.head();
      this.#gateways.set(row.name, {
        name: row.name,
        registration: row.registration,
        confirmed,
        noted: row.confirmed !== undefined,
        call: undefined,
      });
    }
  }

  get size(): number {
    return this.#gateways.size;
  }

  /** Registers a gateway or replaces its registration; what it is owed stays owed. */
  register(name: string, registration: string): void {
    const known = this.#gateways.get(name);
    const gateway: Gateway = known ?? {
      name,
      registration,
      confirmed: this.#host.head(),
      noted: false,
      call: undefined,
    };
    gateway.registration = registration;
    this.#gateways.set(name, gateway);
    this.#save(gateway);
  }

  /** Acts only while the registration is the gateway's current one. */
  unregister(name: string, registration: string): void {
    const gateway = this.#gateways.get(name);
    if (gateway?.registration !== registration) return;
    this.#gateways.delete(name);
    this.#host.dropGateway(name);
  }

  /** Takes an entry that was just appended. It leaves with the next flush. */
  append(row: LogRow): void {
    const entry = encodeEntry(row);
    this.#recent.push({ offset: row.offset, bytes: entry });
    this.#recentBytes += entry.length;
    this.#trimRecent();
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
      if (gateway.confirmed >= head) continue;
      if (gateway.call === undefined) this.#call(gateway);
      else if (gateway.call.until < head) this.#owe(gateway);
    }
  }

  /** The alarm: delivers what is owed, and keeps the alarm while anything is. */
  async alarm(): Promise<void> {
    this.#alarmAt = 0;
    this.flush();
    await Promise.all([...this.#gateways.values()].map((gateway) => gateway.call?.done));
    for (const gateway of this.#gateways.values()) {
      if (gateway.confirmed < this.#host.head()) this.#owe(gateway);
      else if (gateway.noted) {
        gateway.noted = false;
        this.#save(gateway);
      }
    }
  }

  #call(gateway: Gateway): void {
    const { batch, prev } = this.#batch(gateway);
    const last = batch.at(-1);
    if (last === undefined) return;
    const registration = gateway.registration;
    const request = encodeDelivery({
      channel: this.#host.channel,
      registration,
      epoch: this.#host.epoch,
      prev,
      entries: batch.map((entry) => entry.bytes),
    });
    const call: Call = { until: last.offset, done: Promise.resolve() };
    gateway.call = call;
    // The call is issued here, in the turn that acknowledges the publishes it carries.
    const answer = withDeadline(this.#host.deliver(gateway.name, request), DELIVER_DEADLINE_MS);
    call.done = answer.then(
      ({ gone }) => this.#delivered(gateway, call, registration, gone),
      (error: unknown) => this.#failed(gateway, call, error),
    );
    // More than one batch behind: the rest waits for the answer, and until then it is owed.
    if (last.offset < this.#host.head()) this.#owe(gateway);
  }

  #delivered(gateway: Gateway, call: Call, registration: string, gone: boolean): void {
    if (gateway.call !== call) return;
    gateway.call = undefined;
    if (gone && gateway.registration === registration) {
      this.unregister(gateway.name, registration);
      return;
    }
    if (!gone) gateway.confirmed = Math.max(gateway.confirmed, call.until);
    if (this.#gateways.get(gateway.name) !== gateway) return;
    if (gateway.confirmed < this.#host.head()) this.#call(gateway);
  }

  #failed(gateway: Gateway, call: Call, error: unknown): void {
    if (gateway.call !== call) return;
    gateway.call = undefined;
    if (this.#gateways.get(gateway.name) !== gateway) return;
    this.#host.warn("delivery failed", { gateway: gateway.name, error: String(error) });
    this.#owe(gateway);
    void delay(RETRY_PAUSE_MS).then(() => this.flush());
  }

  /** Makes sure that the delivery happens even if this object is reset now. */
  #owe(gateway: Gateway): void {
    if (!gateway.noted) {
      gateway.noted = true;
      this.#save(gateway);
    }
    const now = this.#host.now();
    if (this.#alarmAt > now) return;
    this.#alarmAt = now + OWED_ALARM_MS;
    this.#host.setAlarm(this.#alarmAt);
  }

  #save(gateway: Gateway): void {
    this.#host.saveGateway({
      name: gateway.name,
      registration: gateway.registration,
      confirmed: gateway.noted ? gateway.confirmed : undefined,
    });
  }

  /** The next run for a gateway: from memory where it reaches back far enough, else from the log. */
  #batch(gateway: Gateway): { batch: readonly EncodedEntry[]; prev: number } {
    const prev = gateway.confirmed;
    const first = this.#recent[0];
    const source =
      first !== undefined && first.offset <= prev + 1
        ? this.#recent.slice(prev + 1 - first.offset, prev + 1 - first.offset + MAX_BATCH_ENTRIES)
        : encodeRows(this.#host.read(prev, prev + MAX_BATCH_ENTRIES));
    const batch: EncodedEntry[] = [];
    let bytes = 0;
    for (const entry of source) {
      if (batch.length > 0 && bytes + entry.bytes.length > MAX_BATCH_BYTES) break;
      batch.push(entry);
      bytes += entry.bytes.length;
    }
    return { batch, prev };
  }

  #trimRecent(): void {
    let drop = 0;
    while (this.#recentBytes > MAX_QUEUED_BYTES && drop < this.#recent.length - 1) {
      this.#recentBytes -= this.#recent[drop]?.bytes.length ?? 0;
      drop += 1;
    }
    // What every gateway has is not kept: an idle channel holds no memory.
    if (this.#recent.length > 2 * MAX_BATCH_ENTRIES) {
      const behind = Math.min(this.#host.head(), ...this.#confirmed());
      while (drop < this.#recent.length - 1 && (this.#recent[drop]?.offset ?? 0) <= behind) {
        this.#recentBytes -= this.#recent[drop]?.bytes.length ?? 0;
        drop += 1;
      }
    }
    if (drop > 0) this.#recent = this.#recent.slice(drop);
  }

  *#confirmed(): Iterable<number> {
    for (const gateway of this.#gateways.values()) yield gateway.confirmed;
  }
}

interface Gateway {
  readonly name: string;
  registration: string;
  /** Offset up to which the gateway is known to have everything. */
  confirmed: number;
  /** Whether its row holds a `confirmed`. */
  noted: boolean;
  call: Call | undefined;
}

interface Call {
  /** Last offset of the batch. */
  readonly until: number;
  /** Settles when the answer has been dealt with. */
  done: Promise<void>;
}

interface EncodedEntry {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

function* encodeRows(rows: Iterable<LogRow>): Iterable<EncodedEntry> {
  for (const row of rows) yield { offset: row.offset, bytes: encodeEntry(row) };
}
