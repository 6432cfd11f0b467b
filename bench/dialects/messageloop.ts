/** The four kinds of clients of MessageLoop. */
import { create } from "@bufbuild/protobuf";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Inbound } from "../../test/support/client.ts";
import type { Dialect, DialectSpec, Frame, Positions } from "../dialect.ts";

export interface MessageLoopOptions {
  readonly encoding: Encoding;
  /** Whether it announces capabilities; otherwise it is a client of v1. */
  readonly extended: boolean;
  /** Where clients go on. Default where the channel is. */
  readonly positions?: Positions;
}

/** One of the kinds, by default extended JSON. */
export function messageLoop(options: Partial<MessageLoopOptions> = {}): DialectSpec {
  return { name: "messageloop", options: { encoding: "json", extended: true, ...options } };
}

export const ALL_KINDS: readonly DialectSpec[] = [
  messageLoop({ encoding: "json", extended: false }),
  messageLoop({ encoding: "proto", extended: false }),
  messageLoop({ encoding: "json", extended: true }),
  messageLoop({ encoding: "proto", extended: true }),
];

const SEQUENCE_DIGITS = 10;

export function messageLoopDialect({ encoding, extended, positions }: MessageLoopOptions): Dialect {
  const codec = codecFor(encoding);
  const capability = positions === undefined ? "bench" : "recovery";
  const encoded = (message: Inbound): Frame =>
    codec.encodeInbound(create(InboundMessageSchema, message));
  const templates = new Map<string, Template>();
  return {
    path: "/ws",
    subprotocol: codec.subprotocol,
    binary: encoding === "proto",
    setup(client, channel) {
      const connect = encoded({
        id: "c",
        envelope: {
          case: "connect",
          value: {
            clientId: `bench-${client}`,
            version: "1",
            capabilities: extended ? [capability] : [],
          },
        },
      });
      if (channel === undefined) return [connect];
      const position = positions?.[channel];
      const since =
        position === undefined
          ? {}
          : { since: { epoch: position.epoch, offset: BigInt(position.offset) } };
      const subscribe = encoded({
        id: "s",
        envelope: { case: "subscribe", value: { subscriptions: [{ channel, ...since }] } },
      });
      return [connect, subscribe];
    },
    position(answer) {
      const { envelope } = codec.decodeOutbound(answer);
      const acknowledged = envelope.case === "subscribeAck" ? envelope.value.subscriptions : [];
      const { epoch, offset } = acknowledged[0]?.position ?? {};
      if (epoch === undefined) throw new Error("the acknowledgement has no position");
      return { epoch, offset: Number(offset) };
    },
    publish(channel, sequence, mark, padding) {
      const id = `${sequence}`.padStart(SEQUENCE_DIGITS, "0");
      const key = `${channel} ${padding.length}`;
      let template = templates.get(key);
      if (template === undefined) {
        const frame = encoded(publication(channel, id, mark + padding));
        template = new Template(frame, [id, mark]);
        templates.set(key, template);
      }
      return template.with([id, mark]);
    },
  };
}

function publication(channel: string, id: string, text: string): Inbound {
  return {
    id: "p",
    channel,
    envelope: {
      case: "publish",
      value: {
        id,
        source: "/bench",
        specVersion: "1.0",
        type: "bench",
        data: { case: "textData", value: text },
      },
    },
  };
}

/**
 * A frame in which some texts are replaced by others of the same length: the codec would cost more than
 * everything else that the generator does for a publish.
 */
class Template {
  readonly #frame: Buffer;
  readonly #places: readonly number[];

  constructor(frame: Frame, texts: readonly string[]) {
    this.#frame = Buffer.from(frame);
    this.#places = texts.map((text) => this.#frame.indexOf(text, 0, "latin1"));
  }

  with(texts: readonly string[]): Frame {
    const frame = Buffer.from(this.#frame);
    for (const [i, text] of texts.entries()) frame.write(text, this.#places[i] as number, "latin1");
    return frame;
  }
}
