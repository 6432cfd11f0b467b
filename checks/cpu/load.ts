/**
 * A fixed load: subscribers of all four kinds on one channel, and one publisher that publishes at a rate of its own,
 * whatever the server does. Knows nothing but the protocol, so that any commit can be measured.
 */
import { create } from "@bufbuild/protobuf";
import { codecFor, type Encoding } from "../../src/protocol/codec.ts";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Inbound } from "../../test/support/client.ts";
import { pause } from "../report.ts";
import { RawSocket } from "./socket.ts";

export interface LoadOptions {
  readonly port: number;
  readonly subscribers: number;
  /** Publishes a second. */
  readonly rate: number;
}

export interface Delivered {
  readonly deliveries: number;
  /** How often a subscriber received something. A server that is given more at once writes less often. */
  readonly reads: number;
}

const MARK = "mark~";
const CHANNEL = "bench.room";
const TEXT = "x".repeat(128);
const KINDS: readonly (readonly [Encoding, boolean])[] = [
  ["json", false],
  ["proto", false],
  ["json", true],
  ["proto", true],
];
/** Connections that are opened at the same time, and the pause after that, in milliseconds. */
const OPENING = 10;
const OPENING_MS = 25;
const TICK_MS = 5;
/** What is published is delivered within this time, in milliseconds. */
const ARRIVAL_MS = 5_000;

export class Load {
  readonly #rate: number;
  readonly #publisher: RawSocket;
  readonly #subscribers: readonly RawSocket[];
  /** How often the mark stands in one delivery, for each subscriber: that is the encoding's affair. */
  #marks: readonly number[] = [];
  #published = 0;

  static async open({ port, subscribers, rate }: LoadOptions): Promise<Load> {
    const sockets: RawSocket[] = [];
    while (sockets.length < subscribers) {
      const kinds = Array.from(
        { length: Math.min(OPENING, subscribers - sockets.length) },
        (_, i) => KINDS[(sockets.length + i) % KINDS.length] as (typeof KINDS)[number],
      );
      sockets.push(...(await Promise.all(kinds.map((kind) => come(port, ...kind, [CHANNEL])))));
      await pause(OPENING_MS);
    }
    const load = new Load(rate, await come(port, "json", true, []), sockets);
    await load.#calibrate();
    return load;
  }

  private constructor(rate: number, publisher: RawSocket, subscribers: readonly RawSocket[]) {
    this.#rate = rate;
    this.#publisher = publisher;
    this.#subscribers = subscribers;
  }

  /** Publishes for so long, and resolves when everything has arrived. */
  async run(seconds: number): Promise<Delivered> {
    const before = this.#published;
    const reads = this.#reads;
    const start = performance.now();
    const end = start + seconds * 1_000;
    for (let now = start; now < end; now = performance.now()) {
      const due = before + Math.floor(((now - start) / 1_000) * this.#rate);
      while (this.#published < due) this.#publish();
      await pause(TICK_MS);
    }
    await this.#arrived();
    const deliveries = (this.#published - before) * this.#subscribers.length;
    return { deliveries, reads: this.#reads - reads };
  }

  get #reads(): number {
    return this.#subscribers.reduce((sum, { reads }) => sum + reads, 0);
  }

  close(): void {
    for (const socket of [...this.#subscribers, this.#publisher]) socket.end();
  }

  #publish(): void {
    this.#published += 1;
    const frame = encoded("json", {
      id: `${this.#published}`,
      channel: CHANNEL,
      envelope: {
        case: "publish",
        value: {
          id: `${MARK}${this.#published}`,
          source: "/bench",
          specVersion: "1.0",
          type: "bench",
          data: { case: "textData", value: TEXT },
        },
      },
    });
    this.#publisher.send(frame);
  }

  async #calibrate(): Promise<void> {
    this.#publish();
    const deadline = performance.now() + ARRIVAL_MS;
    while (this.#subscribers.some(({ marks }) => marks === 0)) {
      if (performance.now() > deadline) throw new Error("the first message does not arrive");
      await pause(TICK_MS);
    }
    await pause(100);
    this.#marks = this.#subscribers.map(({ marks }) => marks);
  }

  /** Resolves when every subscriber has had everything exactly once. */
  async #arrived(): Promise<void> {
    const deadline = performance.now() + ARRIVAL_MS;
    for (;;) {
      const late = this.#subscribers.filter(
        ({ marks }, i) => marks < this.#published * (this.#marks[i] ?? 1),
      );
      if (late.length === 0) break;
      if (performance.now() > deadline) {
        const gone = late.filter(({ closed }) => closed).length;
        throw new Error(`${late.length} subscribers did not get everything, ${gone} are closed`);
      }
      await pause(TICK_MS);
    }
    const twice = this.#subscribers.some(
      ({ marks }, i) => marks > this.#published * (this.#marks[i] ?? 1),
    );
    if (twice) throw new Error("somebody got something twice");
  }
}

async function come(
  port: number,
  encoding: Encoding,
  extended: boolean,
  channels: readonly string[],
): Promise<RawSocket> {
  const socket = await RawSocket.open(port, encoding, MARK);
  await socket.ask(
    encoded(encoding, {
      id: "c",
      envelope: {
        case: "connect",
        value: {
          clientId: "load",
          version: "1",
          capabilities: extended ? ["x"] : [],
          subscriptions: channels.map((channel) => ({ channel })),
        },
      },
    }),
  );
  return socket;
}

function encoded(encoding: Encoding, message: Inbound) {
  return codecFor(encoding).encodeInbound(create(InboundMessageSchema, message));
}
