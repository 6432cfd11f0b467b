/** What clients say: every kind of frame, most of them right, some of them wrong in some way. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { Position } from "../../../src/engine/ports/broker.ts";
import { codecFor, type Frame } from "../../../src/protocol/codec.ts";
import type { CloudEventSchema } from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type InboundMessage,
  InboundMessageSchema,
  OutboundMessageSchema,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { SeededRandom } from "../../support/random.ts";
import type { Init } from "../scene.ts";
import { FLAW } from "./backends.ts";
import { CHANNELS } from "./broker.ts";
import { BAD_CHANNELS, type World } from "./facts.ts";
import type { SessionModel } from "./model.ts";

export const PING = { envelope: { case: "ping", value: {} } } as const;

/** Whom the frames are for. */
export interface Audience extends World {
  readonly random: SeededRandom;
  id(prefix: string): string;
  /** Any place of a channel. */
  place(channel: string): Position;
}

export class RandomFrames {
  readonly #world: Audience;
  /** The last events that were published, and where. */
  #said: { event: { source: string; id: string }; channel: string }[] = [];

  constructor(world: Audience) {
    this.#world = world;
  }

  /** What no codec takes. */
  noise(): Frame {
    const { random } = this.#world;
    const texts = ["", "{", "not json", "[]", '{"ping":1}', '{"id":"\\ud800","ping":{}}'];
    const bytes = [Uint8Array.of(0xff), Uint8Array.of(0x0b, 1), Uint8Array.of(0x5a, 9)];
    return random.chance(0.5) ? random.pick(texts) : random.pick(bytes);
  }

  connect(): InboundMessage {
    const { random } = this.#world;
    const id = this.#world.id("connect");
    const capabilities = random.pick([
      [],
      [],
      ["x"],
      ["credit", "compact"],
      ["control"],
      ["recovery", "compact"],
      ["control", "recovery", "presence"],
      ["history", "credit", "presence", "recovery", "compact"],
      ["credit", "presence", "control", "history", "recovery"],
    ]);
    const value = {
      capabilities,
      token: "t",
      clientId: random.chance(0.03) ? "\u00e4".repeat(128) : random.pick(["", "client"]),
      clientType: random.chance(0.03) ? "x".repeat(256) : "",
      subscriptions: random.chance(0.5) ? this.#entries(id) : [],
    };
    return this.#message({ id, envelope: { case: "connect", value } });
  }

  /** Anything but connect. */
  any(model: SessionModel): InboundMessage {
    const { random } = this.#world;
    const id = this.#world.id("r");
    const flaw = random.chance(0.06) ? FLAW : {};
    const anyChannel = () => random.pick(this.#misnames() ? BAD_CHANNELS : CHANNELS);
    const event = {
      id: random.chance(0.02) ? "x".repeat(1_100) : id,
      source: random.chance(0.3) ? "" : anyChannel(),
      type: "t",
      attributes: flaw,
      data: { case: "textData" as const, value: "x".repeat(random.int(60)) },
    };
    const frames: readonly [number, () => Init][] = [
      [10, () => this.#publish(id, event, random.chance(0.5) ? "" : anyChannel())],
      [10, () => subscriptions("subscribe", this.#entries(id, model))],
      [3, () => ({ envelope: { case: "historyRequest", value: this.#page(anyChannel(), model) } })],
      [2, () => ({ envelope: { case: "presenceRequest", value: { channel: anyChannel() } } })],
      [5, () => subscriptions("unsubscribe", this.#entries(id))],
      [5, () => ({ channel: "svc", method: "m", envelope: { case: "rpcRequest", value: event } })],
      [1, () => ({ envelope: { case: "subRefresh", value: {} } })],
      [1, () => ({ envelope: { case: undefined } })],
      [2, () => PING],
      [2, () => ({ envelope: { case: "received", value: { bytes: this.#received(model) } } })],
      [1, () => ({ envelope: { case: "surveyRequest", value: { requestId: this.#surveyId() } } })],
      [5, () => this.#surveyAnswer({ ...event, source: "/client" })],
    ];
    const all = frames.flatMap(([weight, make]) => Array.from({ length: weight }, () => make));
    return this.#message({ id, ...random.pick(all)() });
  }

  /** A frame of about this length; at the limit, of exactly that length or of one byte more. */
  ping(bytes: number): InboundMessage {
    const message = (pad: number) =>
      this.#message({ id, metadata: { pad: "x".repeat(pad) }, ...PING });
    const id = this.#world.id("ping");
    if (bytes === 0) return this.#message({ id, ...PING });
    if (bytes < this.#world.settings.maxMessageBytes) return message(bytes);
    const text = codecFor("json").encodeInbound(message(0));
    return message(bytes - text.length + this.#world.random.pick([0, 1]));
  }

  received(bytes: number): InboundMessage {
    const value = { bytes: BigInt(bytes) };
    return this.#message({ id: this.#world.id("r"), envelope: { case: "received", value } });
  }

  /** A ping whose pong is so long, where there is one. */
  pingFor(encoding: "json" | "proto", bytes: number): InboundMessage | undefined {
    if (bytes > this.#world.settings.maxMessageBytes) return undefined;
    const id = this.#world.id("ping");
    const time = BigInt(this.#world.clock.time);
    let pad = 0;
    // The lengths before the text need a second try.
    for (let attempt = 0; attempt < 3; attempt++) {
      const metadata = { pad: "x".repeat(pad) };
      const pong = { id, metadata, time, envelope: { case: "pong" as const, value: {} } };
      const message = create(OutboundMessageSchema, pong);
      const missing = bytes - Buffer.byteLength(codecFor(encoding).encodeOutbound(message));
      if (missing === 0) return this.#message({ id, metadata, ...PING });
      pad += missing;
      if (pad < 0) return undefined;
    }
    return undefined;
  }

  /** A publish, now and then of an event that somebody has published before. */
  #publish(frame: string, event: MessageInitShape<typeof CloudEventSchema>, channel: string): Init {
    const { random } = this.#world;
    const said = { event: { source: event.source ?? "", id: event.id ?? "" }, channel };
    const again = this.#said.length > 0 && random.chance(0.2);
    const { event: named, channel: place } = again ? random.pick(this.#said) : said;
    if (!again) this.#said = [...this.#said.slice(-4), said];
    const value = { ...event, ...named };
    // By the metadata the test knows the frame of an entry.
    return { channel: place, metadata: { frame }, envelope: { case: "publish", value } };
  }

  #entries(id: string, model?: SessionModel) {
    const { random } = this.#world;
    return Array.from({ length: 1 + random.int(3) }, (_, index) => {
      const channel = random.pick(this.#misnames() ? BAD_CHANNELS : CHANNELS);
      const recovery = random.chance(0.4) ? this.#recovery(channel, model) : {};
      const ephemeral = random.chance(0.2);
      return { channel, ephemeral, token: `${id}/${index}`, ...recovery };
    });
  }

  /** How a client asks for what it missed, rightly or not. */
  #recovery(channel: string, model: SessionModel | undefined) {
    const { random } = this.#world;
    const recover = random.chance(0.2);
    const rewind = random.chance(0.3) ? 1 + random.int(6) : 0;
    return random.chance(0.7)
      ? { recover, rewind, since: this.#since(channel, model) }
      : { recover, rewind };
  }

  #since(channel: string, model: SessionModel | undefined) {
    const { random } = this.#world;
    const stream = model?.streams.get(channel);
    if (stream !== undefined && random.chance(0.4)) {
      return { epoch: stream.epoch, offset: BigInt(stream.next - 1) };
    }
    if (BAD_CHANNELS.includes(channel)) return { epoch: "epoch1", offset: 1n };
    const { epoch, offset } = this.#world.place(channel);
    return { epoch, offset: BigInt(offset) };
  }

  #page(channel: string, model: SessionModel) {
    const { random } = this.#world;
    const limit = random.pick([-1, 0, 1, 3, 200]);
    const reverse = random.chance(0.4);
    const since = random.chance(0.6) ? { since: this.#since(channel, model) } : {};
    return { channel, limit, reverse, ...since };
  }

  /** What an honest client has taken in, or something else. */
  #received({ flow: { sent } }: SessionModel): bigint {
    const bytes = this.#world.random.chance(0.8)
      ? sent
      : this.#world.random.pick([0, sent >> 1, sent + 50]);
    return BigInt(bytes);
  }

  #surveyId(): string {
    return this.#world.random.pick(["", "nobody-asked", ...this.#world.surveys.ids.slice(-3)]);
  }

  #surveyAnswer(payload: MessageInitShape<typeof CloudEventSchema>): Init {
    const requestId = this.#surveyId();
    const error = { code: "BUSY", message: "later" };
    const answer = this.#world.random.chance(0.2) ? { error } : { payload };
    return { envelope: { case: "surveyResponse", value: { requestId, ...answer } } };
  }

  /** A message as it goes over the wire to a session of an encoding. */
  encode(message: InboundMessage, encoding: "json" | "proto"): Frame {
    const { random } = this.#world;
    const padded = message.metadata["pad"] !== undefined;
    const text = encoding === "json" || padded || random.chance(0.15);
    const frame = codecFor(text ? "json" : "proto").encodeInbound(message);
    // On a JSON connection every frame is JSON whatever its opcode.
    return encoding === "json" && random.chance(0.1) ? Buffer.from(frame) : frame;
  }

  #misnames(): boolean {
    return this.#world.random.chance(this.#world.calm ? 0.005 : 0.05);
  }

  #message(init: Init): InboundMessage {
    const metadata = this.#world.random.chance(0.2) ? { trace: "\u00e4" } : {};
    return create(InboundMessageSchema, { metadata, ...init });
  }
}

function subscriptions(name: "subscribe" | "unsubscribe", subscriptions: object[]): Init {
  return { envelope: { case: name, value: { subscriptions } } };
}
