/**
 * Sends boundary frames through sessions of an engine, whatever its broker and its runtime, and says what
 * went wrong. Needs no test runner and no platform.
 */
import {
  create,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  toBinary,
} from "@bufbuild/protobuf";
import type { ClientSession, Engine } from "../../src/engine/engine.ts";
import type { Transport } from "../../src/engine/ports/transport.ts";
import { codecFor, type Encoding, type Frame } from "../../src/protocol/codec.ts";
import type { Disconnect } from "../../src/protocol/codes.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type SessionMarks,
  SessionMarksSchema,
  type SessionRecord,
  SessionRecordSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  InboundMessageSchema,
  type OutboundMessage,
  OutboundMessageSchema,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { SizedFrame } from "../../src/protocol/publication-frames.ts";
import { decodeStrictV1 } from "../support/strict-v1.ts";
import { type BoundaryFrame, boundaryFrames, connectFrame, type Named } from "./frames.ts";

export interface Swept {
  /** Frames that were sent and written. */
  readonly sent: number;
  readonly written: number;
  /** One sentence for each thing that went wrong. */
  readonly problems: readonly string[];
}

export interface SweepOptions {
  /** The channel that frames name; its log is made here. */
  readonly channel: string;
  /** Frames that are under way at the same time. */
  readonly together: number;
  /** Which frames are sent. Default all. */
  readonly only?: (name: string) => boolean;
}

/** Both encodings, both kinds of clients. */
const CLIENTS: readonly (readonly [Encoding, boolean])[] = [
  ["proto", true],
  ["json", true],
  ["proto", false],
  ["json", false],
];

export async function sweep(engine: Engine, options: SweepOptions): Promise<Swept> {
  const { channel, together, only = () => true } = options;
  const event = create(CloudEventSchema, { id: "1", source: "/s", type: "t", specVersion: "1.0" });
  for (let i = 0; i < 3; i++) await engine.publish(channel, event);
  const { position } = await engine.history(channel, { limit: 0 });
  const pattern = channel.replace(/[^.]+$/, "*");
  const named: Named = { channel, epoch: position.epoch, pattern };
  const problems: string[] = [];
  const before = engine.stats().internalErrors;
  let [sent, written] = [0, 0];
  for (const [encoding, extended] of CLIENTS) {
    const frames = boundaryFrames(encoding, extended, named).filter(({ name }) => only(name));
    for (let i = 0; i < frames.length; i += together) {
      await Promise.all(
        frames.slice(i, i + together).map(async (one, k) => {
          const trial = new Trial(engine, encoding, extended, `boundary-${sent + k}`);
          problems.push(...(await trial.run(one, channel)));
          written += trial.written;
        }),
      );
      sent += Math.min(together, frames.length - i);
      // Those who never end would make a failure of one the failure of all.
      if (problems.length > 20) return { sent, written, problems };
    }
  }
  const failures = engine.stats().internalErrors - before;
  if (failures > 0) problems.push(`${failures} exceptions that nobody foresaw`);
  return { sent, written, problems };
}

/** One session that is sent one frame. */
class Trial implements Transport {
  readonly #encoding: Encoding;
  readonly #extended: boolean;
  readonly #session: ClientSession;
  readonly #frames: Frame[] = [];
  readonly #answers: Promise<void>[] = [];
  #closed: Disconnect | undefined;

  constructor(engine: Engine, encoding: Encoding, extended: boolean, id: string) {
    this.#encoding = encoding;
    this.#extended = extended;
    this.#session = engine.accept(this, id, encoding);
  }

  get written(): number {
    return this.#frames.length;
  }

  write({ data }: SizedFrame): void {
    this.#frames.push(data);
    const { envelope } = codecFor(this.#encoding).decodeOutbound(data);
    if (envelope.case === "surveyRequest") this.#answer(envelope.value.requestId);
  }

  /** Whoever is asked in a survey answers at once, so that it ends. */
  #answer(requestId: string): void {
    const envelope = { case: "surveyResponse", value: { requestId } } as const;
    const frame = codecFor(this.#encoding).encodeInbound(
      create(InboundMessageSchema, { envelope }),
    );
    this.#answers.push(this.#session.receive(frame));
  }

  close(disconnect: Disconnect): void {
    this.#closed = disconnect;
  }

  /** As a host that sleeps does: what cannot be encoded would be forgotten. */
  save(record: SessionRecord): void {
    toBinary(SessionRecordSchema, record);
  }

  mark(marks: SessionMarks): void {
    toBinary(SessionMarksSchema, marks);
  }

  async run({ name, connects, frame }: BoundaryFrame, channel: string): Promise<string[]> {
    const kind = `${this.#encoding} ${this.#extended ? "extended" : "v1"} ${name}`;
    const problems: string[] = [];
    const attempt = async (what: string, action: () => unknown): Promise<void> => {
      try {
        await action();
      } catch (error) {
        problems.push(`${kind}: ${what}: ${error}`);
      }
    };
    if (!connects) {
      const connect = connectFrame(this.#encoding, this.#extended, channel);
      await attempt("connect rejects", () => this.#session.receive(connect));
    }
    await attempt("receive rejects", () => this.#session.receive(frame));
    await attempt("marks", () => this.#session.saveMarks());
    if (this.#closed === undefined) {
      await attempt("ping rejects", () => this.#session.receive(pingFrame(this.#encoding)));
      const pong = this.#frames.at(-1);
      await attempt("no pong", () => {
        const { envelope } = codecFor(this.#encoding).decodeOutbound(pong ?? "");
        if (envelope.case !== "pong") throw new Error(`${envelope.case}`);
      });
    }
    for (const one of this.#frames) await attempt("a frame", () => this.#check(one));
    for (const one of this.#answers) await attempt("an answer rejects", () => one);
    if (this.#closed?.code === 1011) problems.push(`${kind}: closed with 1011`);
    this.#session.end(true);
    return problems;
  }

  #check(frame: Frame): void {
    if (this.#extended) decodeStrict(frame);
    else decodeStrictV1(frame);
  }
}

function pingFrame(encoding: Encoding): Frame {
  const envelope = { case: "ping", value: {} } as const;
  return codecFor(encoding).encodeInbound(create(InboundMessageSchema, { id: "p", envelope }));
}

/** Reads a frame for extended clients as strictly as a client may. @throws Error */
export function decodeStrict(frame: Frame): OutboundMessage {
  if (typeof frame === "string") {
    return fromJson(OutboundMessageSchema, JSON.parse(frame) as JsonValue);
  }
  const message = fromBinary(OutboundMessageSchema, frame);
  checkKnown(OutboundMessageSchema, message);
  return message;
}

/** @throws Error for an unknown field anywhere */
function checkKnown(schema: DescMessage, value: unknown): void {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
  if ("$unknown" in value && value.$unknown !== undefined) {
    throw new Error(`an unknown field in ${schema.typeName}`);
  }
  for (const inside of Object.values(value)) checkKnown(schema, inside);
}
