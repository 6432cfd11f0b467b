/**
 * Sessions of all kinds on one engine with the memory broker, and frames to them: valid, strange and mutated. Whatever
 * comes, `receive` does not reject, no session ends for what nobody foresaw, every frame that is written can be
 * read by the strict decoder of its client, and nothing is left when all have gone.
 */
import { create } from "@bufbuild/protobuf";
import { MemoryBroker } from "../../src/brokers/memory/broker.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { Transport } from "../../src/engine/ports/transport.ts";
import type { Session } from "../../src/engine/session/session.ts";
import { DEFAULT_SETTINGS } from "../../src/engine/settings/settings.ts";
import { type Codec, codecFor, type Encoding, type Frame } from "../../src/protocol/codec.ts";
import type { Disconnect } from "../../src/protocol/codes.ts";
import {
  type InboundMessage,
  InboundMessageSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { SizedFrame } from "../../src/protocol/publication-frames.ts";
import { CAPABILITIES } from "../../src/server/capabilities.ts";
import { ManualTimers } from "../../test/engine/scene.ts";
import { anyFrame, mutated } from "../../test/protocol/fuzz-frames.ts";
import type { SeededRandom } from "../../test/support/random.ts";
import { decodeStrictV1 } from "../../test/support/strict-v1.ts";
import { anyRequest } from "./messages.ts";

/** Frames of one scene: then everything begins again. */
export const SCENE_FRAMES = 200;
const ENCODINGS: readonly Encoding[] = ["json", "proto", "json", "proto", "json"];
/** Everything that is kept for a while is over after this time, in milliseconds. */
const LONG_MS = 7 * 24 * 3_600_000;
const UNFORESEEN = 1011;

/** The client's end: it reads every frame as its kind of client does. */
class Reader implements Transport {
  closed: Disconnect | undefined;
  session: Session | undefined;
  readonly #encoding: Encoding;
  readonly #epochs: string[];
  readonly #failures: unknown[];

  constructor(encoding: Encoding, epochs: string[], failures: unknown[]) {
    this.#encoding = encoding;
    this.#epochs = epochs;
    this.#failures = failures;
  }

  /** A transport does not throw: what does not hold is noted. */
  write({ data }: SizedFrame): void {
    try {
      const variant = this.session?.variant ?? 0;
      if (variant === 0 || variant === 2) decodeStrictV1(data);
      const { envelope } = codecFor(this.#encoding).decodeOutbound(data);
      // Positions that are almost right find more than those that are not.
      if (envelope.case === "publishAck") this.#learn(envelope.value.epoch);
    } catch (error) {
      this.#failures.push(new Error(`a client cannot read ${shown(data)}`, { cause: error }));
    }
  }

  close(disconnect: Disconnect): void {
    this.closed = disconnect;
    if (disconnect.code === UNFORESEEN) this.#failures.push(new Error("closed with 1011"));
  }

  #learn(epoch: string): void {
    if (this.#epochs.includes(epoch)) return;
    this.#epochs.push(epoch);
    if (this.#epochs.length > 3) this.#epochs.shift();
  }
}

interface Connection {
  readonly reader: Reader;
  readonly session: Session;
  readonly encoding: Encoding;
}

/** Sends as many frames as a scene has. @throws Error where something does not hold */
export async function fuzzSessions(random: SeededRandom): Promise<void> {
  const scene = new Scene(random);
  for (let i = 0; i < SCENE_FRAMES; i++) await scene.step();
  await scene.end();
}

class Scene {
  readonly #random: SeededRandom;
  readonly #timers = new ManualTimers();
  readonly #later: (() => void)[] = [];
  readonly #failures: unknown[] = [];
  readonly #epochs: string[] = [];
  readonly #broker: MemoryBroker;
  readonly #engine: Engine;
  readonly #connections: Connection[];
  #now = 1_700_000_000_000;
  #ids = 0;
  #warned = "";

  constructor(random: SeededRandom) {
    this.#random = random;
    const clock = { now: () => this.#now };
    const unique = (): string => this.#unique();
    this.#broker = new MemoryBroker({
      clock,
      random: { epoch: unique },
      nextTurn: (callback) => this.#later.push(callback),
      timers: this.#timers,
    });
    this.#engine = new Engine({
      broker: this.#broker,
      clock,
      random: { uuid: unique },
      timers: this.#timers,
      logger: {
        warn: (message, fields) => {
          this.#warned = `${message} ${JSON.stringify(fields)}`;
        },
      },
      capabilities: CAPABILITIES,
      backends: { rpc: async ({ payload }) => payload },
      settings: { ...DEFAULT_SETTINGS, maxErrors: 1_000_000 },
    });
    this.#connections = ENCODINGS.map((encoding) => this.#open(encoding));
  }

  async step(): Promise<void> {
    const random = this.#random;
    const index = random.int(this.#connections.length);
    let connection = this.#connections[index] as Connection;
    if (connection.reader.closed !== undefined || random.chance(0.01)) {
      connection.session.end(random.chance(0.5));
      connection = this.#open(connection.encoding);
      this.#connections[index] = connection;
    }
    const { session } = connection;
    session.receive(this.#frame(connection)).catch((error) => this.#failures.push(error));
    this.#now += random.pick([0, 0, 1, 10, 1_000]);
    if (random.chance(0.02)) this.#timers.fire();
    if (random.chance(0.01)) this.#broker.sweep();
    await this.#turn();
  }

  /** Everybody goes, and time goes by: nothing is left. */
  async end(): Promise<void> {
    for (const { session } of this.#connections) session.end(false);
    for (let round = 0; round < 3; round++) {
      this.#now += LONG_MS;
      this.#timers.fire();
      this.#broker.sweep();
      await this.#turn();
    }
    const { sessions, subscriptions, channels, patterns, openCalls, openSurveys } =
      this.#engine.stats();
    const left = { sessions, subscriptions, channels, patterns, openCalls, openSurveys };
    if (Object.values(left).some((count) => count !== 0)) {
      throw new Error(`something is left: ${JSON.stringify(left)}`);
    }
  }

  #unique(): string {
    this.#ids += 1;
    return `id${this.#ids}`;
  }

  #open(encoding: Encoding): Connection {
    const reader = new Reader(encoding, this.#epochs, this.#failures);
    // Which kind of client it takes this one for is the node's own business, and the reader's.
    const session = this.#engine.accept(reader, this.#unique(), encoding) as Session;
    reader.session = session;
    return { reader, session, encoding };
  }

  #frame({ session, encoding }: Connection): Frame {
    const random = this.#random;
    if (random.chance(0.2)) return anyFrame(random);
    const request = anyRequest(random, !session.connected, this.#epochs);
    const codec = codecFor(random.chance(0.95) ? encoding : random.pick(ENCODINGS));
    const frame = encoded(codec, create(InboundMessageSchema, request)) ?? anyFrame(random);
    return random.chance(0.3) ? mutated(random, frame) : frame;
  }

  /** What the frame set off goes its way. */
  async #turn(): Promise<void> {
    do {
      for (const callback of this.#later.splice(0)) callback();
      await new Promise<void>((resolve) => setImmediate(resolve));
    } while (this.#later.length > 0);
    const { internalErrors } = this.#engine.stats();
    if (internalErrors > 0) this.#failures.push(new Error(`unforeseen: ${this.#warned}`));
    if (this.#failures.length > 0) throw this.#failures[0];
  }
}

/** Undefined where JSON has no form for the message, such as for an Any of a type that nobody knows. */
function encoded(codec: Codec, message: InboundMessage): Frame | undefined {
  try {
    return codec.encodeInbound(message);
  } catch {
    return undefined;
  }
}

function shown(data: Frame): string {
  return typeof data === "string" ? data.slice(0, 500) : Buffer.from(data).toString("base64");
}
