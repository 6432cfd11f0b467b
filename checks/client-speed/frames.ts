/** What both clients are given: the same messages, as each server writes them to a subscriber. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { bytes, varint } from "../../bench/dialects/centrifugo.ts";
import {
  type Codec,
  createClient,
  dial,
  type Frame,
  type TransportFactory,
  webSocket,
} from "../../src/index.ts";
import { parseConfig } from "../../src/server/config/config.ts";
import { createServer } from "../../src/server/server.ts";

export interface Frames {
  /** Answers to what a client asks when it connects, in their order. */
  readonly answers: readonly Frame[];
  /** What comes at once. */
  readonly turns: readonly (readonly Frame[])[];
}

/** What an application publishes. */
export interface Note {
  /** From 1. */
  readonly n: number;
  readonly author: string;
  readonly text: string;
}

export const CHANNEL = "chat.lobby";
const USER = "ada";
const CLIENT = "5f0c2b8e-7c1d-4f5e-9a55-0d6f3b1c2a90";

export function notes(count: number): readonly Note[] {
  const text = "The quick brown fox jumps over the lazy dog, and the dog does not mind.";
  return Array.from({ length: count }, (_, i) => ({ n: i + 1, author: USER, text }));
}

/** What our server writes, recorded from one that runs, where so many are published at once. */
export async function ourFrames(
  all: readonly Note[],
  together: number,
  encoding: "json" | Codec,
): Promise<Frames> {
  const any = { addr: "127.0.0.1:0" };
  const server = createServer({
    config: parseConfig({
      server: { http: any, drain_timeout: "1s" },
      transport: { websocket: any, grpc: any },
    }),
    backends: { authenticate: async () => ({ userId: USER }) },
  });
  const { websocket } = await server.start();
  const url = `ws://127.0.0.1:${websocket}/ws`;
  let seen: Frame[] = [];
  const recording: TransportFactory = {
    name: "recording",
    open: (address, subprotocol, events) =>
      webSocket().open(address, subprotocol, {
        ...events,
        frame: (frame) => {
          seen.push(frame);
          events.frame(frame);
        },
      }),
  };
  const subscriber = createClient(url, { encoding, transport: recording });
  let heard = 0;
  // Asked for in connect, so that there is one answer.
  subscriber.subscribe(CHANNEL, () => {
    heard += 1;
  });
  await subscriber.ready;
  const answers = seen;
  const turns: Frame[][] = [];
  const publisher = await dial(url, { clientId: CLIENT, token: USER });
  try {
    for (const some of groups(all, together)) {
      seen = [];
      turns.push(seen);
      const wanted = heard + some.length;
      await Promise.all(some.map((note) => publisher.publish(CHANNEL, note)));
      while (heard < wanted) await nextTurn();
    }
  } finally {
    await Promise.all([publisher.close(), subscriber.close()]);
    await server.stop();
  }
  return { answers, turns };
}

/** What Centrifugo writes in JSON, where the channel has positions and the publisher a user: what waits in one frame. */
export function theirJson(all: readonly Note[], together: number): Frames {
  const connect = { client: CLIENT, version: "6.9.1", ping: 25, pong: true };
  const subscribe = { recoverable: true, epoch: "jfKa", positioned: true };
  return {
    answers: [JSON.stringify({ id: 1, connect }), JSON.stringify({ id: 2, subscribe })],
    turns: groups(all, together).map((some) => {
      const lines = some.map((data) => {
        const pub = { data, info: { user: USER, client: CLIENT }, offset: data.n };
        return JSON.stringify({ push: { channel: CHANNEL, pub } });
      });
      return [lines.join("\n")];
    }),
  };
}

/** The same in protobuf: messages with their lengths before them. */
export function theirProtobuf(all: readonly Note[], together: number): Frames {
  const text = (field: number, value: string) => bytes(field, Buffer.from(value));
  const number = (field: number, value: number) =>
    Buffer.concat([varint(field << 3), varint(value)]);
  const reply = (...fields: Buffer[]): Uint8Array<ArrayBuffer> => {
    const body = Buffer.concat(fields);
    return new Uint8Array(Buffer.concat([varint(body.length), body]));
  };
  const connect = [text(1, CLIENT), text(2, "6.9.1"), number(7, 25), number(8, 1)];
  const subscribe = [number(3, 1), text(6, "jfKa"), number(10, 1)];
  return {
    answers: [
      reply(number(1, 1), bytes(5, Buffer.concat(connect))),
      reply(number(1, 2), bytes(6, Buffer.concat(subscribe))),
    ],
    turns: groups(all, together).map((some) => {
      const replies = some.map((data) => {
        const info = bytes(5, Buffer.concat([text(1, USER), text(2, CLIENT)]));
        const pub = [text(4, JSON.stringify(data)), info, number(6, data.n)];
        return reply(bytes(4, Buffer.concat([text(2, CHANNEL), bytes(4, Buffer.concat(pub))])));
      });
      return [new Uint8Array(Buffer.concat(replies))];
    }),
  };
}

function groups<T>(all: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: all.length / size }, (_, i) => all.slice(i * size, (i + 1) * size));
}
