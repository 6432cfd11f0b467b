/** The four kinds of clients of MessageLoop. */
import { create } from "@bufbuild/protobuf";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Inbound, SubscriptionInit } from "../../test/support/client.ts";
import type { Dialect, DialectSpec, Frame, Positions } from "../dialect.ts";

export interface MessageLoopOptions {
  readonly encoding: Encoding;
  /** Whether it announces capabilities; otherwise it is a client of v1. */
  readonly extended: boolean;
  /** Whether it takes compact frames, as extended clients may. Default false. */
  readonly compact?: boolean;
  /** Where clients go on. Default where the channel is. */
  readonly positions?: Positions;
  /** Patterns that a client subscribes to in place of its channel: one that stands for it, and others. */
  readonly patterns?: number;
  /** The API key by which subscribers read server-sent events. Without one they have a WebSocket. */
  readonly eventsKey?: string;
  /** What it shows in connect. Default nothing. */
  readonly token?: string;
  /** Whether it calls an RPC that answers with what it was sent, in place of publishing. */
  readonly rpc?: boolean;
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

export function messageLoopDialect(options: MessageLoopOptions): Dialect {
  const { encoding, extended, positions, patterns, rpc, eventsKey, token = "" } = options;
  const codec = codecFor(encoding);
  const capabilities = [
    positions === undefined ? "bench" : "recovery",
    ...(options.compact === true ? ["compact"] : []),
  ];
  const encoded = (message: Inbound): Frame =>
    codec.encodeInbound(create(InboundMessageSchema, message));
  const templates = new Map<string, Template>();
  return {
    path: "/ws",
    subprotocol: codec.subprotocol,
    binary: encoding === "proto",
    ...(eventsKey === undefined
      ? {}
      : { events: (channel: string) => eventsOf(channel, eventsKey) }),
    setup(client, channel) {
      const connect = encoded({
        id: "c",
        envelope: {
          case: "connect",
          value: {
            clientId: `bench-${client}`,
            version: "1",
            token,
            capabilities: extended ? capabilities : [],
          },
        },
      });
      if (channel === undefined) return [connect];
      const subscribe = encoded({
        id: "s",
        envelope: {
          case: "subscribe",
          value: { subscriptions: subscriptions(client, channel, options) },
        },
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
    publish(name, sequence, mark, padding) {
      const channel = patterns === undefined ? name : `${name}.bench`;
      const id = `${sequence}`.padStart(SEQUENCE_DIGITS, "0");
      const key = `${channel} ${padding.length}`;
      let template = templates.get(key);
      if (template === undefined) {
        const frame = encoded(request(channel, id, mark + padding, rpc === true));
        template = new Template(frame, [id, mark]);
        templates.set(key, template);
      }
      return template.with([id, mark]);
    },
  };
}

function eventsOf(channel: string, key: string) {
  return {
    path: `/channels/${encodeURIComponent(channel)}/events`,
    headers: [`Authorization: Bearer ${key}`],
  };
}

function subscriptions(
  client: number,
  channel: string,
  { patterns = 0, positions }: MessageLoopOptions,
): SubscriptionInit[] {
  if (patterns === 0) {
    const position = positions?.[channel];
    if (position === undefined) return [{ channel }];
    return [{ channel, since: { epoch: position.epoch, offset: BigInt(position.offset) } }];
  }
  const others = Array.from({ length: patterns - 1 }, (_, i) => ({
    channel: `other.${client}.${i}.*`,
  }));
  return [{ channel: `${channel}.*` }, ...others];
}

function request(channel: string, id: string, text: string, rpc: boolean): Inbound {
  const event = {
    id,
    source: "/bench",
    specVersion: "1.0",
    type: "bench",
    data: { case: "textData", value: text },
  } as const;
  return {
    id: "p",
    channel,
    ...(rpc ? { method: "echo" } : {}),
    envelope: { case: rpc ? "rpcRequest" : "publish", value: event },
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
