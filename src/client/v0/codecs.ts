/** The codecs of v0.1.1: whole frames as messages of the generated schema. */
import type { Encoding } from "../../protocol/codec.ts";
import type {
  InboundMessage,
  OutboundMessage,
} from "../../protocol/gen/messageloop/v1/service_pb.js";
import { generated } from "./peers.ts";

/** One encoding of frames. */
export interface Codec {
  /** The subprotocol that asks for it. */
  name(): string;
  /** @throws MessagingError UNIMPLEMENTED where `@bufbuild/protobuf` is not installed */
  encode(message: InboundMessage): string | Uint8Array;
  /** @throws MessagingError BAD_REQUEST for what is no frame; UNIMPLEMENTED as above */
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
    return `messageloop+${this.#encoding}`;
  }

  encode(message: InboundMessage): string | Uint8Array {
    return generated().codecFor(this.#encoding).encodeInbound(message);
  }

  decode(data: string | Uint8Array): OutboundMessage {
    return generated().codecFor(this.#encoding).decodeOutbound(data);
  }

  useBytes(): boolean {
    return this.#encoding === "proto";
  }
}

/**
 * JSON text.
 *
 * @example const transport = await WebSocketTransport.dial(url, new JSONCodec());
 */
export class JSONCodec extends EncodingCodec {
  constructor() {
    super("json");
  }
}

/**
 * Protobuf bytes.
 *
 * @example const transport = await WebSocketTransport.dial(url, new ProtobufCodec());
 */
export class ProtobufCodec extends EncodingCodec {
  constructor() {
    super("proto");
  }
}

/**
 * The codec for JSON.
 *
 * @example const text = jsonCodec.encode(createPingMessage());
 */
export const jsonCodec: JSONCodec = new JSONCodec();
/**
 * The codec for protobuf.
 *
 * @example const bytes = protobufCodec.encode(createPingMessage());
 */
export const protobufCodec: ProtobufCodec = new ProtobufCodec();
