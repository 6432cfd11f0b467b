/**
 * A broker of one channel whose log, deliveries and failures are in the hand of the test, and what its
 * subscribers were told, as short lines.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import type { MemberSession } from "../../src/channels/presence.ts";
import type { ClientSession } from "../../src/engine/engine.ts";
import type {
  ActiveChannels,
  Broker,
  BrokerHandler,
  HistoryFilter,
  HistoryPage,
  LogGap,
  PatternSubscribeResult,
  Position,
  PresenceSnapshot,
  PublishResult,
  SubscribeResult,
} from "../../src/engine/ports/broker.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type Entry,
  EntrySchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import type {
  Gap,
  OutboundMessage,
  StreamPosition,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from "../../src/protocol/limits.ts";
import { type Init, type SceneOptions, ScriptedTransport, sceneWith, send } from "./scene.ts";

export const ROOM = "room";

export class LogBroker implements Broker {
  handler!: BrokerHandler;
  epoch = "e";
  log: Entry[] = [];
  /** Entries up to here are gone. */
  trimmed = 0;
  reason: "head_trimmed" | "expired" = "head_trimmed";
  /** The last that was handed to the node; undefined where the node does not know it. */
  handed: Position | undefined = { epoch: "e", offset: 0 };
  generation = 0;
  /** The time of all channels, and what the broker says of those that something happened in. */
  time = 1_000;
  answered: ActiveChannels = { channels: [ROOM], gap: undefined };
  /** Entries that one page holds, where the broker stops short. */
  pageSize = MAX_BATCH_ENTRIES;
  readonly wanted = new Set<string>();
  /** Joins and leaves as they were told. */
  readonly members: string[] = [];
  readonly asked: HistoryFilter[] = [];
  /** Called, and waited for, before a registration is answered with what held when it was asked. */
  registering: (() => unknown) | undefined;
  /** Whether a registration says what history held. */
  saysHeld = false;
  /** Whether a registration is answered with what holds then. */
  answersLate = false;
  /** Called, and waited for, before a page is read; counted from 1. */
  reading: ((count: number) => unknown) | undefined;

  get head(): Position {
    return { epoch: this.epoch, offset: this.log.length };
  }

  /** Appends entries that are not delivered yet. */
  append(count: number, bytes = 1): void {
    for (let i = 0; i < count; i++) {
      const data = { case: "textData" as const, value: "x".repeat(bytes) };
      const id = `${this.log.length + 1}`;
      const event = create(CloudEventSchema, {
        ...{ id, source: "/s", type: "t", specVersion: "1.0" },
        data,
      });
      const body = { event: toBinary(CloudEventSchema, event) };
      this.log.push(create(EntrySchema, { offset: BigInt(this.log.length + 1), time: 1n, body }));
    }
  }

  /** Hands entries to the node that it has not been handed, as one batch. */
  hand(until = this.log.length): void {
    const from = this.handed?.epoch === this.epoch ? this.handed.offset : 0;
    this.handed = { epoch: this.epoch, offset: until };
    const entries = this.log.slice(from, until);
    if (entries.length > 0) this.handler.publications(ROOM, this.epoch, entries);
  }

  /** Appends and hands at once. */
  deliver(count: number, bytes = 1): void {
    this.append(count, bytes);
    this.hand();
  }

  /** The log begins anew; nobody is told. */
  lose(epoch: string): void {
    this.epoch = epoch;
    this.log = [];
    this.trimmed = 0;
  }

  /** The node learns that the log has begun anew. */
  tellEpoch(offset = 0): void {
    const after = this.handed;
    this.handed = { epoch: this.epoch, offset };
    this.tell({ reason: "epoch_changed", after, until: this.handed });
  }

  tell(gap: LogGap): void {
    this.handler.gap(ROOM, gap);
  }

  start(handler: BrokerHandler): void {
    this.handler = handler;
  }

  async subscribe(channel: string): Promise<SubscribeResult> {
    this.wanted.add(channel);
    const { head, generation, saysHeld } = this;
    const held = { first: this.trimmed + 1, reason: this.trimmed > 0 ? this.reason : undefined };
    await this.registering?.();
    const position = this.answersLate ? this.head : head;
    return { position, generation, held: saysHeld && !this.answersLate ? held : undefined };
  }

  unsubscribe(channel: string): void {
    this.wanted.delete(channel);
  }

  async subscribePattern(pattern: string): Promise<PatternSubscribeResult> {
    this.wanted.add(pattern);
    await this.registering?.();
    return { position: { epoch: "time", offset: this.time } };
  }

  unsubscribePattern(pattern: string): void {
    this.wanted.delete(pattern);
  }

  async activeChannels(): Promise<ActiveChannels> {
    return this.answered;
  }

  async publish(): Promise<PublishResult> {
    throw new Error("nobody publishes here");
  }

  async join(_channel: string, { sessionId }: MemberSession): Promise<void> {
    this.members.push(`${sessionId} joins`);
  }

  leave(_channel: string, sessionId: string, clean: boolean): void {
    this.members.push(`${sessionId} ${clean ? "leaves" : "drops"}`);
  }

  async history(_channel: string, filter: HistoryFilter): Promise<HistoryPage> {
    this.asked.push(filter);
    await this.reading?.(this.asked.length);
    const { head, log, trimmed, reason, pageSize } = this;
    const { since, limit, reverse = false, maxBytes = MAX_BATCH_BYTES } = filter;
    const kept = log.slice(trimmed);
    const known = since === undefined || since.epoch === head.epoch;
    const found = kept.filter(({ offset }) => {
      if (!known || since === undefined) return known;
      return reverse ? Number(offset) < since.offset : Number(offset) > since.offset;
    });
    if (reverse) found.reverse();
    const most = Math.min(limit < 0 ? MAX_BATCH_ENTRIES : limit, pageSize);
    const entries: Entry[] = [];
    let bytes = 0;
    for (const entry of found.slice(0, most)) {
      bytes += entry.body?.event.length ?? 0;
      if (entries.length > 0 && bytes > maxBytes) break;
      entries.push(entry);
    }
    return {
      position: head,
      first: trimmed + 1,
      reason: trimmed > 0 ? reason : undefined,
      entries,
      more: entries.length < found.length,
    };
  }

  async removeHistory(): Promise<void> {
    this.trimmed = this.log.length;
  }

  async presence(): Promise<PresenceSnapshot> {
    return { epoch: this.epoch, members: [], total: 0, generation: this.generation };
  }

  position(): Position | undefined {
    return this.handed;
  }
}

/** A connected client of a node, and what it is told of its channel. */
export class Listener {
  readonly session: ClientSession;
  readonly transport: ScriptedTransport;
  readonly broker: LogBroker;
  #read = 0;

  constructor(parts: Pick<Listener, "session" | "transport" | "broker">) {
    this.session = parts.session;
    this.transport = parts.transport;
    this.broker = parts.broker;
  }

  /** What it was told since the last call; runs of messages as one line. */
  told(): string[] {
    const frames = this.transport.frames.slice(this.#read);
    this.#read = this.transport.frames.length;
    return frames.flatMap((frame) => lines(codecFor("json").decodeOutbound(frame)));
  }

  /** Subscribes; resolves when it has caught up. */
  subscribe(entry: SubscriptionInit = {}): Promise<void> {
    return send(this.session, subscribing(entry));
  }
}

export interface SubscriptionInit {
  readonly channel?: string;
  readonly ephemeral?: boolean;
  readonly recover?: boolean;
  readonly since?: { readonly epoch?: string; readonly offset: bigint };
  readonly rewind?: number;
  readonly positions?: Readonly<
    Record<string, { readonly epoch: string; readonly offset: bigint }>
  >;
}

export function subscribing(entry: SubscriptionInit = {}): Init {
  const subscriptions = [{ channel: ROOM, ...entry }];
  return { envelope: { case: "subscribe", value: { subscriptions } } };
}

export function since(offset: number, epoch = "e"): Pick<SubscriptionInit, "since"> {
  return { since: { epoch, offset: BigInt(offset) } };
}

/** A node over a log, with one client that has connected with these capabilities; none is a v1 client. */
export async function listening(
  capabilities: readonly string[] = ["recovery"],
  options: SceneOptions = {},
) {
  const parts = sceneWith(new LogBroker(), options);
  const listener = new Listener(parts);
  await connects(listener, capabilities);
  return { ...parts, listener };
}

/** Another client of the same node. */
export async function joining(
  { engine, broker }: Awaited<ReturnType<typeof listening>>,
  capabilities: readonly string[] = ["recovery"],
): Promise<Listener> {
  const transport = new ScriptedTransport();
  const session = engine.accept(transport, crypto.randomUUID(), "json");
  const listener = new Listener({ session, transport, broker });
  await connects(listener, capabilities);
  return listener;
}

async function connects(listener: Listener, capabilities: readonly string[]): Promise<void> {
  const value = { capabilities: [...capabilities] };
  await send(listener.session, { envelope: { case: "connect", value } });
  listener.told();
}

/** Waits until nothing moves by itself. */
export async function settled(): Promise<void> {
  await new Promise(setImmediate);
}

function lines({ envelope }: OutboundMessage): string[] {
  switch (envelope.case) {
    case "subscribeAck":
      return envelope.value.subscriptions.map(({ position, error }) =>
        error === undefined ? `ack ${place(position)}` : `ack ${error.code}`,
      );
    case "publication": {
      const { messages } = envelope.value;
      const first = messages[0];
      if (first === undefined) return ["nothing"];
      const kind = first.replay ? "replay" : "live";
      const epoch = first.id.slice(0, first.id.lastIndexOf("-"));
      const offsets = messages.map(({ offset }) => Number(offset));
      const last = offsets.at(-1) ?? 0;
      const dense = offsets.every((offset, index) => offset === (offsets[0] ?? 0) + index);
      if (!dense || messages.some(({ replay }) => replay !== first.replay)) return ["mixed"];
      return [`${kind} ${epoch}/${offsets[0]}${last === offsets[0] ? "" : `-${last}`}`];
    }
    case "recovered": {
      const { position, gap } = envelope.value;
      return [`recovered ${place(position)}${gap === undefined ? "" : ` ${range(gap)}`}`];
    }
    case "gap":
      return [`gap ${range(envelope.value)}`];
    case "error":
      return [`error ${envelope.value.code}`];
    default:
      return [`${envelope.case}`];
  }
}

function range({ reason, after, until }: Gap): string {
  return `${reason} ${place(after)}..${place(until)}`;
}

function place(position: StreamPosition | undefined): string {
  return position === undefined ? "?" : `${position.epoch}/${position.offset}`;
}
