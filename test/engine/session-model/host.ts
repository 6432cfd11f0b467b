/** The host's part that is not the broker: connections, and timers that go off when the test says so. */

import type { ClientSession } from "../../../src/engine/engine.ts";
import type { Timers } from "../../../src/engine/ports/platform.ts";
import type { Transport } from "../../../src/engine/ports/transport.ts";
import { codecFor, type Frame } from "../../../src/protocol/codec.ts";
import { type Disconnect, disconnectFor } from "../../../src/protocol/codes.ts";
import type {
  SessionMarks,
  SessionRecord,
} from "../../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import type { OutboundMessage } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { SizedFrame } from "../../../src/protocol/publication-frames.ts";
import { whole } from "../../support/expand.ts";
import { check } from "./facts.ts";
import type { SessionModel } from "./model.ts";

/** Who is told what happens to a connection. */
export interface Host {
  note(line: string, outcome?: string): void;
  /** Runs a check inside a call of the engine's. */
  guard(body: () => void): void;
}

/** One connection, from both of its ends. */
export class Connection implements Transport {
  readonly model: SessionModel;
  readonly #world: Host;
  session: ClientSession | undefined;
  record: SessionRecord | undefined;
  marks: SessionMarks | undefined;

  constructor(world: Host, model: SessionModel) {
    this.#world = world;
    this.model = model;
  }

  get alive(): boolean {
    return this.model.state !== "closed";
  }

  write(frame: SizedFrame): void {
    const { envelope } = whole(codecFor(this.model.encoding).decodeOutbound(frame.data));
    this.#world.note(`${this.model.id} <- ${show(frame.data)}`, outcomeOf(envelope));
    this.#world.guard(() => this.model.writes(frame));
  }

  close(disconnect: Disconnect): void {
    const { code } = disconnect;
    this.#world.note(`${this.model.id} is closed with ${code}`, `${code}`);
    this.#world.guard(() => this.model.closes(disconnect));
    const known = disconnectFor(disconnect.code)?.reason ?? "own reason";
    this.#world.guard(() => check(disconnect.reason === known, `because ${disconnect.reason}`));
  }

  save(record: SessionRecord): void {
    this.record = record;
  }

  mark(marks: SessionMarks): void {
    this.marks = marks;
  }

  heard(): number {
    return this.model.flow.heardAt;
  }
}

/** What the test wants to have seen. */
function outcomeOf(envelope: OutboundMessage["envelope"]): string {
  switch (envelope.case) {
    case "error":
      return envelope.value.code;
    case "recovered":
      return envelope.value.gap === undefined ? "recovered" : `no ${envelope.value.gap.reason}`;
    case "gap":
      return `gap ${envelope.value.reason}`;
    case "publication":
      return envelope.value.messages[0]?.replay ? "replay" : "publication";
    case "publishAck":
      return envelope.value.duplicate ? "duplicate" : "publishAck";
    default:
      return `${envelope.case}`;
  }
}

/** Timers that go off when the clock is moved over their time. */
export class ClockTimers implements Timers {
  readonly #clock: { readonly time: number };
  #waiting: { readonly at: number; readonly callback: () => void }[] = [];

  constructor(clock: { readonly time: number }) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#waiting.length;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#clock.time + ms, callback };
    this.#waiting.push(timer);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== timer);
    };
  }

  fire(): void {
    const due = this.#waiting.filter(({ at }) => at <= this.#clock.time);
    for (const timer of due.sort((one, other) => one.at - other.at)) {
      // One timer may have stopped another.
      if (!this.#waiting.includes(timer)) continue;
      this.#waiting = this.#waiting.filter((other) => other !== timer);
      timer.callback();
    }
  }

  /** The process is gone. */
  clear(): void {
    this.#waiting = [];
  }
}

export function show(frame: Frame): string {
  const text = typeof frame === "string" ? frame : Buffer.from(frame).toString("latin1");
  return JSON.stringify(text.slice(0, 200));
}
