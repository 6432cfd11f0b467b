/** Streams of events over a real engine and a broker in memory, with connections that a test cuts as it likes. */
import { setImmediate } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { MemoryBroker } from "../../src/brokers/memory/broker.ts";
import { type ChannelRules, DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import { type ClientSession, Engine } from "../../src/engine/engine.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../src/engine/settings/settings.ts";
import { EventStream } from "../../src/http/events/event-stream.ts";
import type { Disconnect } from "../../src/protocol/codes.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { SizedFrame } from "../../src/protocol/publication-frames.ts";
import { CAPABILITIES } from "../engine/scene.ts";
import { EventReader } from "../support/event-reader.ts";

export interface OpenStream {
  readonly reader: EventReader;
  readonly session: ClientSession;
  readonly frames: SizedFrame[];
  closed: Disconnect | undefined;
  /** The connection is gone. */
  cut(): void;
}

export class EventWorld {
  readonly clock = { time: 1_764_000_000_000, now: () => this.clock.time };
  readonly engine: Engine;
  #ids = 0;

  constructor(rules: Partial<ChannelRules> = {}, settings: Partial<Settings> = {}) {
    let epochs = 0;
    const nextTurn = (callback: () => void): void => {
      globalThis.setImmediate(callback);
    };
    const book = new RuleBook([], { ...DEFAULT_CHANNEL_RULES, ...rules });
    const timers = { after: () => () => {} };
    const random = {
      uuid: () => {
        this.#ids += 1;
        return `id-${this.#ids}`;
      },
      epoch: () => {
        epochs += 1;
        return `ep${this.clock.time}x${epochs}`;
      },
    };
    const { clock } = this;
    this.engine = new Engine({
      broker: new MemoryBroker({ clock, random, nextTurn, timers, rules: book }),
      clock,
      random,
      timers,
      nextTurn,
      logger: { warn: () => {} },
      capabilities: CAPABILITIES,
      settings: { ...DEFAULT_SETTINGS, ...settings, rules: book },
    });
  }

  async publish(channel: string, text: string): Promise<void> {
    this.clock.time += 1;
    await this.engine.publish(channel, eventOf(text));
  }

  /** Publishes outside of the log. */
  async transmit(channel: string, text: string): Promise<void> {
    await this.engine.transmit(channel, eventOf(text));
  }

  async publishToSession(sessionId: string, text: string): Promise<void> {
    await this.engine.publishToSessions([sessionId], eventOf(text));
  }

  /** Opens a stream, and resolves when nothing more comes by itself. */
  async open(name: string, lastEventId = ""): Promise<OpenStream> {
    this.clock.time += 1;
    const reader = new EventReader();
    const frames: SizedFrame[] = [];
    let gone = false;
    const open: { stream?: OpenStream } = {};
    const events = new EventStream({
      name,
      lastEventId,
      random: () => 0.5,
      sink: {
        write: (frame) => {
          if (gone) return;
          frames.push(frame);
          reader.feed(frame.data as string);
        },
        close: (disconnect) => open.stream?.session.close(disconnect),
      },
    });
    this.#ids += 1;
    const transport = {
      write: (frame: SizedFrame) => events.take(frame),
      close: (disconnect: Disconnect) => {
        if (open.stream !== undefined) open.stream.closed = disconnect;
        events.end(disconnect);
      },
    };
    const peer = { address: "", admitted: { userId: "" } };
    const session = this.engine.accept(transport, `s-${this.#ids}`, "json", peer);
    const cut = (): void => {
      gone = true;
      session.end(false);
    };
    const stream: OpenStream = { reader, session, frames, closed: undefined, cut };
    open.stream = stream;
    events.begin();
    await session.receiveMessage(events.connect, 0);
    await this.settle();
    return stream;
  }

  /** Lets everything that is under way come to its end. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 8; turn++) await setImmediate();
  }
}

function eventOf(text: string): CloudEvent {
  const data = { case: "textData", value: text } as const;
  return create(CloudEventSchema, { source: "/s", type: "t", data });
}
