/**
 * Frames that clients send most, publishes, RPCs and those that begin a session, in protobuf without the runtime, which
 * walks over a schema for them twice. All other frames are left to it.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { InboundMessage } from "../gen/messageloop/v1/service_pb.js";
import { blankInbound } from "../plain-json/blank.ts";
import { nextTag, plainEvent, tag } from "./event.ts";
import { plainConnect, plainSubscribe } from "./sessions.ts";

const ID = tag(1);
const CHANNEL = tag(2);
const METHOD = tag(3);
const METADATA = tag(4);
const TIME = (5 << 3) | WireType.Varint;
const CONNECT = tag(11);
const SUBSCRIBE = tag(12);
const RPC_REQUEST = tag(14);
const PUBLISH = tag(16);

/**
 * A publish, an RPC, a connect or a subscribe out of its protobuf.
 *
 * @returns undefined where it is another request, or holds anything that is seldom, or wrong: then the runtime has to
 * say what it is
 */
export function plainInbound(frame: Uint8Array): InboundMessage | undefined {
  try {
    return read(frame);
  } catch {
    return undefined;
  }
}

function read(frame: Uint8Array): InboundMessage | undefined {
  const message = blankInbound();
  const reader = new BinaryReader(frame);
  while (reader.pos < frame.length) {
    const field = nextTag(reader);
    switch (field) {
      case ID:
        message.id = reader.string(true);
        break;
      case CHANNEL:
        message.channel = reader.string(true);
        break;
      case METHOD:
        message.method = reader.string(true);
        break;
      case METADATA:
        if (!readText(reader, message.metadata)) return undefined;
        break;
      case TIME:
        message.time = reader.uint64() as bigint;
        break;
      case RPC_REQUEST:
      case PUBLISH: {
        // The runtime makes one of two.
        if (message.envelope.case !== undefined) return undefined;
        const length = reader.uint32();
        const event = plainEvent(reader, reader.pos + length);
        if (event === undefined) return undefined;
        const kind = field === PUBLISH ? "publish" : "rpcRequest";
        message.envelope = { case: kind, value: event };
        break;
      }
      case CONNECT: {
        const length = reader.uint32();
        const connect = plainConnect(reader, reader.pos + length);
        if (connect === undefined || message.envelope.case !== undefined) return undefined;
        message.envelope = { case: "connect", value: connect };
        break;
      }
      case SUBSCRIBE: {
        const length = reader.uint32();
        const subscribe = plainSubscribe(reader, reader.pos + length);
        if (subscribe === undefined || message.envelope.case !== undefined) return undefined;
        message.envelope = { case: "subscribe", value: subscribe };
        break;
      }
      default:
        return undefined;
    }
  }
  const whole = reader.pos === frame.length && message.envelope.case !== undefined;
  return whole ? message : undefined;
}

/** Reads the entry of a text under a name. Returns whether it is one as everybody writes it. */
export function readText(reader: BinaryReader, texts: { [name: string]: string }): boolean {
  const end = reader.uint32() + reader.pos;
  if (nextTag(reader) !== tag(1)) return false;
  const name = reader.string(true);
  if (reader.pos >= end || nextTag(reader) !== tag(2)) return false;
  const text = reader.string(true);
  // Assigned to an object that name would set the prototype.
  if (name === "__proto__" || reader.pos !== end) return false;
  texts[name] = text;
  return true;
}
