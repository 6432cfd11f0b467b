/** A session over a scripted transport and a broker of empty channels, with time in the test's hand. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { HostCapabilities } from "../../src/engine/capabilities.ts";
import type { ClientSession } from "../../src/engine/engine.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { Backends } from "../../src/engine/ports/backends.ts";
import type {
  ActiveChannels,
  Broker,
  BrokerHandler,
  HistoryPage,
  PatternSubscribeResult,
  Position,
  PresenceSnapshot,
  PublishCommand,
  PublishResult,
  SubscribeResult,
} from "../../src/engine/ports/broker.ts";
import type { Lifecycle } from "../../src/engine/ports/lifecycle.ts";
import type { Logger } from "../../src/engine/ports/platform.ts";
import type { Tracer } from "../../src/engine/ports/tracing.ts";
import type { Transport } from "../../src/engine/ports/transport.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../src/engine/settings/settings.ts";
import { codecFor, type Frame } from "../../src/protocol/codec.ts";
import type { Disconnect } from "../../src/protocol/codes.ts";
import {
  type ConnectSchema,
  InboundMessageSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { SizedFrame } from "../../src/protocol/publication-frames.ts";

const NOWHERE: Position = { epoch: "e", offset: 0 };

/** A broker whose channels are all empty and whose publishes are never delivered. */
export class QuietBroker implements Broker {
  readonly wanted = new Set<string>();
  handler!: BrokerHandler;
  start(handler: BrokerHandler): void {
    this.handler = handler;
  }
  async subscribe(channel: string): Promise<SubscribeResult> {
    this.wanted.add(channel);
    return { position: NOWHERE, generation: 0 };
  }
  unsubscribe(channel: string): void {
    this.wanted.delete(channel);
  }
  async subscribePattern(pattern: string): Promise<PatternSubscribeResult> {
    this.wanted.add(pattern);
    return { position: NOWHERE };
  }
  unsubscribePattern(pattern: string): void {
    this.wanted.delete(pattern);
  }
  async activeChannels(): Promise<ActiveChannels> {
    return { channels: [], gap: undefined };
  }
  async publish(_channel: string, _command: PublishCommand): Promise<PublishResult> {
    return { position: { epoch: "e", offset: 1 }, duplicate: false };
  }
  async join(): Promise<void> {}
  leave(): void {}
  async history(): Promise<HistoryPage> {
    return { position: NOWHERE, first: 1, reason: undefined, entries: [], more: false };
  }
  async removeHistory(): Promise<void> {}
  async presence(): Promise<PresenceSnapshot> {
    return { epoch: "e", members: [], total: 0, generation: 0 };
  }
  position(): undefined {
    return undefined;
  }
}

export class ScriptedTransport implements Transport {
  readonly frames: Frame[] = [];
  closed: Disconnect | undefined;
  heardAt = 0;
  marks = 0;
  write({ data }: SizedFrame): void {
    this.frames.push(data);
  }
  close(disconnect: Disconnect): void {
    this.closed = disconnect;
  }
  save(): void {}
  mark(): void {
    this.marks += 1;
  }
  heard(): number {
    return this.heardAt;
  }
}

/** Timers that go off when the test says so. */
export class ManualTimers {
  readonly #waiting = new Set<{ readonly ms: number; readonly callback: () => void }>();
  after(ms: number, callback: () => void): () => void {
    const timer = { ms, callback };
    this.#waiting.add(timer);
    return () => this.#waiting.delete(timer);
  }
  /** Lets what waits go off. @param ms but for timers that are longer */
  fire(ms = Number.POSITIVE_INFINITY): void {
    const due = [...this.#waiting].filter((timer) => timer.ms <= ms);
    for (const timer of due) this.#waiting.delete(timer);
    for (const { callback } of due) callback();
  }
}

/** What was written, by envelope; errors with their code. */
export function kinds({ frames }: { readonly frames: readonly Frame[] }): string[] {
  return frames.map((frame) => {
    const { envelope } = codecFor("json").decodeOutbound(frame);
    return envelope.case === "error" ? `error ${envelope.value.code}` : `${envelope.case}`;
  });
}

export const CAPABILITIES: HostCapabilities = {
  name: "scene",
  bidirectionalStreams: false,
  grpc: false,
  observesBackpressure: false,
  slowsSenders: false,
  freeHeartbeat: true,
  keepsLifecycleEvents: false,
  keepsRevocations: false,
};

/** Settings that differ from the defaults, and the application's backends. */
export interface SceneOptions extends Partial<Settings> {
  readonly backends?: Backends;
  readonly lifecycle?: Lifecycle;
  /** Default: nothing is logged. */
  readonly logger?: Logger;
  /** Hears when the engine wants to be called. */
  readonly lookBy?: (at: number) => void;
  /** Default: nothing is traced. */
  readonly tracer?: Tracer;
}

export function scene(options: SceneOptions = {}) {
  return sceneWith(new QuietBroker(), options);
}

/** The same over a broker of the test's own. */
export function sceneWith<B extends Broker>(
  broker: B,
  {
    backends = {},
    lifecycle,
    logger = { warn: () => {} },
    lookBy = () => {},
    tracer,
    ...settings
  }: SceneOptions = {},
) {
  const clock = { time: 1_000_000, now: () => clock.time };
  const timers = new ManualTimers();
  let ids = 0;
  const random = {
    uuid: () => {
      ids += 1;
      return `id-${ids}`;
    },
  };
  const engine = new Engine({
    broker,
    clock,
    random,
    timers,
    nextTurn: (callback) => {
      setImmediate(callback);
    },
    logger,
    lookBy,
    capabilities: CAPABILITIES,
    backends,
    lifecycle,
    tracer,
    settings: { ...DEFAULT_SETTINGS, ...settings },
  });
  const transport = new ScriptedTransport();
  const session = engine.accept(transport, "s", "json");
  return { clock, timers, broker, engine, transport, session };
}

export type Init = Exclude<MessageInitShape<typeof InboundMessageSchema>, { $typeName: string }>;

export async function send(session: ClientSession, message: Init): Promise<void> {
  await session.receive(codecFor("json").encodeInbound(create(InboundMessageSchema, message)));
}

export async function connect(session: ClientSession, ...channels: string[]): Promise<void> {
  const subscriptions = channels.map((channel) => ({ channel }));
  await connectWith(session, { capabilities: ["x"], subscriptions });
}

export async function connectWith(
  session: ClientSession,
  value: MessageInitShape<typeof ConnectSchema>,
): Promise<void> {
  await send(session, { envelope: { case: "connect", value } });
}

export function subscribe(...channels: string[]): Init {
  const subscriptions = channels.map((channel) => ({ channel }));
  return { envelope: { case: "subscribe", value: { subscriptions } } };
}
