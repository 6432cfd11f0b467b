/**
 * A publisher that comes and goes. What it does not get an answer for it publishes again under the same
 * source and id, if that means the same event; until then its outcome is unknown.
 */
import type { Encoding } from "../../src/protocol/codec.ts";
import type { OutboundMessage } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { type EventSpec, type Fact, padded } from "./facts.ts";
import type { LifeHost } from "./host.ts";
import { Wire } from "./wire.ts";

export interface WriterOptions {
  readonly name: string;
  /** Authenticated as; several writers may be one user. */
  readonly user: string;
  readonly encoding: Encoding;
  readonly extended: boolean;
  readonly host: LifeHost;
  readonly note: (fact: Fact) => void;
  readonly complain: (problem: string) => void;
}

let attempts = 0;

export class Writer {
  readonly name: string;
  readonly user: string;
  readonly extended: boolean;
  readonly #options: WriterOptions;
  /** By request id. */
  readonly #pending = new Map<string, { readonly attempt: number; readonly event: EventSpec }>();
  /** Sent, and not known to be in the log. */
  readonly #unsettled = new Set<EventSpec>();
  #wire: Wire | undefined;
  #opening = false;
  #connect: string | undefined;

  constructor(options: WriterOptions) {
    this.name = options.name;
    this.user = options.user;
    this.extended = options.extended;
    this.#options = options;
  }

  get here(): boolean {
    return this.#wire !== undefined || this.#opening;
  }

  get connected(): boolean {
    return this.#wire !== undefined && this.#connect === undefined;
  }

  /** Whether every publish has been answered. */
  get idle(): boolean {
    return this.#pending.size === 0;
  }

  /** Events that should be published again. */
  get unsettled(): readonly EventSpec[] {
    const waiting = new Set([...this.#pending.values()].map(({ event }) => event));
    return [...this.#unsettled].filter((event) => !waiting.has(event));
  }

  async come(place: number): Promise<void> {
    if (this.here) return;
    this.#opening = true;
    const { host, encoding, name, user, extended } = this.#options;
    let wire: Wire;
    try {
      const socket = await host.open(encoding, place);
      wire = new Wire(socket, encoding, {
        received: (message) => this.#received(message),
        lost: () => this.#lost(wire),
      });
    } catch {
      // The host is away: the next attempt may find it.
      return;
    } finally {
      this.#opening = false;
    }
    this.#wire = wire;
    const capabilities = extended ? ["control"] : [];
    this.#connect = wire.send({
      envelope: { case: "connect", value: { clientId: name, token: user, capabilities } },
    });
  }

  drop(rudely: boolean): void {
    this.#wire?.end(rudely);
  }

  publish(event: EventSpec): void {
    const wire = this.#wire;
    if (wire === undefined || !this.connected) return;
    attempts += 1;
    const attempt = attempts;
    this.#options.note({ kind: "publish", attempt, event });
    if (event.named) this.#unsettled.add(event);
    const { channel, source, id } = event;
    const data = { case: "textData" as const, value: padded(event) };
    const value = { id, source, type: "t", data };
    this.#pending.set(wire.send({ channel, envelope: { case: "publish", value } }), {
      attempt,
      event,
    });
  }

  #lost(wire: Wire): void {
    if (this.#wire !== wire) return;
    this.#wire = undefined;
    this.#connect = undefined;
    for (const { attempt } of this.#pending.values())
      this.#options.note({ kind: "unknown", attempt });
    this.#pending.clear();
  }

  #received({ envelope, id }: OutboundMessage): void {
    const { note, complain } = this.#options;
    if (envelope.case === "connected") {
      this.#connect = undefined;
      return;
    }
    if (envelope.case === "disconnect") return;
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (pending === undefined) {
      complain(`${this.name} is sent ${envelope.case} that it did not ask for`);
      return;
    }
    const { attempt, event } = pending;
    if (envelope.case === "publishAck") {
      this.#unsettled.delete(event);
      const { offset, epoch, duplicate } = envelope.value;
      const told = this.extended
        ? { epoch, duplicate }
        : { epoch: undefined, duplicate: undefined };
      note({ kind: "published", attempt, offset: Number(offset), ...told });
    } else if (envelope.case === "error") {
      const { code } = envelope.value;
      if (code === "UNAVAILABLE") note({ kind: "unknown", attempt });
      else note({ kind: "refused", attempt, code });
    } else complain(`${this.name} publishes and is sent ${envelope.case}`);
  }
}
