/** The client protocol of Centrifugo, in JSON and in protobuf. */
import type { Dialect, DialectSpec, Frame, Position, Positions } from "../dialect.ts";

export interface CentrifugoOptions {
  readonly encoding: "json" | "proto";
  /** Where JSON clients go on. Default where the channel is. */
  readonly positions?: Positions;
}

export function centrifugo(encoding: CentrifugoOptions["encoding"]): DialectSpec {
  return { name: "centrifugo", options: { encoding } };
}

export function centrifugoDialect({ encoding, positions = {} }: CentrifugoOptions): Dialect {
  const path = "/connection/websocket";
  if (encoding === "json") {
    const setup: Dialect["setup"] = (_client, channel) => jsonSetup(channel, positions);
    return { path, binary: false, setup, publish: jsonPublish, position: jsonPosition };
  }
  const subprotocol = "centrifuge-protobuf";
  return { path, subprotocol, binary: true, setup: protoSetup, publish: protoPublisher() };
}

/** A command with the number 0 is not answered, and is refused where an answer is due. */
const CONNECT = 1;
const SUBSCRIBE = 2;
/** Numbers of publishes begin here: they have one length in protobuf, and never are those of the set-up. */
const FIRST_PUBLISH = 2 ** 28;

function jsonSetup(channel: string | undefined, positions: Positions): readonly Frame[] {
  const connect = JSON.stringify({ id: CONNECT, connect: {} });
  if (channel === undefined) return [connect];
  const position = positions[channel];
  const since = position === undefined ? {} : { recover: true, ...position };
  return [connect, JSON.stringify({ id: SUBSCRIBE, subscribe: { channel, ...since } })];
}

function jsonPosition(answer: Frame): Position {
  const { subscribe } = JSON.parse(`${answer}`) as { subscribe: Partial<Position> };
  const { epoch, offset = 0 } = subscribe;
  if (epoch === undefined) throw new Error("the channel has no history");
  return { epoch, offset };
}

function jsonPublish(channel: string, sequence: number, mark: string, padding: string): Frame {
  const id = FIRST_PUBLISH + sequence;
  return `{"id":${id},"publish":{"channel":"${channel}","data":"${mark}${padding}"}}`;
}

/** Fields of a command, and of what stands in it. */
const ID = 1;
const CONNECT_REQUEST = 4;
const SUBSCRIBE_REQUEST = 5;
const PUBLISH_REQUEST = 7;
const CHANNEL = 1;
const DATA = 2;

function protoSetup(_client: number, channel: string | undefined): readonly Frame[] {
  const connect = command(CONNECT, CONNECT_REQUEST, Buffer.alloc(0));
  if (channel === undefined) return [connect];
  return [connect, command(SUBSCRIBE, SUBSCRIBE_REQUEST, bytes(CHANNEL, Buffer.from(channel)))];
}

/** Publishes of one channel and length differ in two places: a copy costs less than a new frame. */
function protoPublisher(): Dialect["publish"] {
  const frames = new Map<string, { frame: Buffer; id: number; mark: number }>();
  return (channel, sequence, mark, padding) => {
    const key = `${channel} ${padding.length}`;
    let known = frames.get(key);
    if (known === undefined) {
      const id = varint(FIRST_PUBLISH);
      const data = bytes(DATA, Buffer.from(mark + padding));
      const request = Buffer.concat([bytes(CHANNEL, Buffer.from(channel)), data]);
      const frame = command(FIRST_PUBLISH, PUBLISH_REQUEST, request);
      known = { frame, id: frame.indexOf(id), mark: frame.indexOf(mark) };
      frames.set(key, known);
    }
    const frame = Buffer.from(known.frame);
    varint(FIRST_PUBLISH + sequence).copy(frame, known.id);
    frame.write(mark, known.mark, "latin1");
    return frame;
  };
}

/** A whole command, with its length before it: a frame may hold several. */
function command(id: number, field: number, request: Buffer): Buffer {
  const body = Buffer.concat([varint(ID << 3), varint(id), bytes(field, request)]);
  return Buffer.concat([varint(body.length), body]);
}

/** A field with a length: a text, bytes or a message. */
export function bytes(field: number, value: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | 2), varint(value.length), value]);
}

/** A number as protobuf has it. */
export function varint(value: number): Buffer {
  const digits: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) digits.push((rest % 0x80) | 0x80);
  return Buffer.from([...digits, rest]);
}
