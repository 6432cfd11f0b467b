/** What a tab and the hub of a shared connection say to each other, over whatever carries structured clones. */
import type { Codec, Frame, InboundFrame, OutboundFrame } from "../wire/frames.ts";

/** From a tab. The first message is `open`, the first frame `connect`. */
export type FromTab =
  | {
      readonly kind: "open";
      readonly version: string;
      readonly url: string;
      /** Names the encoding between the hub and the server. */
      readonly subprotocol: string;
    }
  | { readonly kind: "frame"; readonly frame: InboundFrame }
  | { readonly kind: "ping" | "pong" }
  /** So many messages of publications were handled since the last such message. */
  | { readonly kind: "taken"; readonly count: number }
  | { readonly kind: "close"; readonly code: number; readonly reason: string };

/** From the hub. The last message is `ended`. */
export type FromHub =
  | { readonly kind: "opened" }
  | { readonly kind: "frame"; readonly frame: OutboundFrame }
  | { readonly kind: "ping" | "pong" }
  | {
      readonly kind: "ended";
      readonly code: number;
      readonly reason: string;
      readonly fatal: boolean;
      readonly retryAfterMs: number;
    };

/** One end of a two-way connection between contexts of a browser. */
export interface Line<Out, In> {
  /** @throws DataCloneError for what no structured clone carries */
  send(message: Out): void;
  /** Calls the handler for each message from now on, in an event of its own. Once. */
  receive(handler: (message: In) => void): void;
  /** Nothing is received after it. What was sent before still arrives. */
  close(): void;
}

export type TabLine = Line<FromTab, FromHub>;
export type HubLine = Line<FromHub, FromTab>;

/** The part of a MessagePort or BroadcastChannel that a line needs. */
export interface PortLike {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  /** Of MessagePorts. */
  start?(): void;
  close(): void;
}

export function lineOver<Out, In>(port: PortLike): Line<Out, In> {
  let over = false;
  return {
    send: (message) => {
      // A BroadcastChannel that is closed throws.
      if (!over) port.postMessage(message);
    },
    receive(handler) {
      port.addEventListener("message", ({ data }) => handler(data as In));
      port.start?.();
    },
    close: () => {
      over = true;
      port.close();
    },
  };
}

/** A frame on a line: an object, which the structured clone encodes. It has no bytes that anybody counts. */
interface Parcel<T> {
  readonly length: 0;
  readonly frame: T;
}

/** The codec of a tab, whose frames stay objects: the hub encodes them, once for all tabs. */
export function parcels(subprotocol: string): Codec {
  return {
    subprotocol,
    encode: (frame) => pack(frame),
    decode: (frame) => unpack<OutboundFrame>(frame),
  };
}

export function pack(frame: InboundFrame | OutboundFrame): Frame {
  return { length: 0, frame } satisfies Parcel<unknown> as unknown as Frame;
}

export function unpack<T>(frame: Frame): T {
  return (frame as unknown as Parcel<T>).frame;
}
