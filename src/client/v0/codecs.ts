/** The codecs of v0.1.1: whole frames as messages of the generated schema. */
import { codecFor, type Encoding } from "../../protocol/codec.ts";
import type {
  InboundMessage,
  OutboundMessage,
} from "../../protocol/gen/messageloop/v1/service_pb.js";

/** One encoding of frames. */
export interface Codec {
  /** The subprotocol that asks for it. */
  name(): string;
  encode(message: InboundMessage): string | Uint8Array;
  /** @throws MessagingError BAD_REQUEST for what is no frame */
  decode(data: string | Uint8Array): OutboundMessage;
  /** Whether frames are bytes. */
  useBytes(): boolean;
}

class EncodingCodec implements Codec {
  readonly #encoding: Encoding;

  constructor(encoding: Encoding) {
    this.#encoding = encoding;
  }

  name(): string {
    return codecFor(this.#encoding).subprotocol;
  }

  encode(message: InboundMessage): string | Uint8Array {
    return codecFor(this.#encoding).encodeInbound(message);
  }

  decode(data: string | Uint8Array): OutboundMessage {
    return codecFor(this.#encoding).decodeOutbound(data);
  }

  useBytes(): boolean {
    return this.#encoding === "proto";
  }
}

/** JSON text. */
export class JSONCodec extends EncodingCodec {
  constructor() {
    super("json");
  }
}

/** Protobuf bytes. */
export class ProtobufCodec extends EncodingCodec {
  constructor() {
    super("proto");
  }
}

export const jsonCodec: JSONCodec = new JSONCodec();
export const protobufCodec: ProtobufCodec = new ProtobufCodec();
