/**
 * A client for loads: the real codec writes what it sends, a real socket carries it. Of what it receives
 * it reads only the id, so that it is not the slow one.
 */
import { create } from "@bufbuild/protobuf";
import { WebSocket } from "ws";
import { codecFor } from "../../src/protocol/codec.ts";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Inbound, SubscriptionInit } from "../../test/support/client.ts";

export interface PeerOptions {
  /** Those of an extended client; without any it is one of v0.1.1. */
  readonly capabilities?: readonly string[];
  /** Subscribed with the connect. */
  readonly channels?: readonly string[];
  /** Default `peer`. */
  readonly clientId?: string;
}

interface Waiting {
  resolve(): void;
  reject(error: Error): void;
}

const json = codecFor("json");
/** In JSON as the server writes it the first `"id"` is that of the frame. */
const ID = /"id":"([^"]*)"/;

export class Peer {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<string, Waiting>();
  readonly #pongs: Waiting[] = [];
  /** Answers that were errors, by their code. */
  readonly refused = new Map<string, number>();
  /** Code of the close; undefined while it is open. */
  closed: number | undefined;
  #requests = 0;

  /** A socket without a connect. */
  static async open(port: number): Promise<Peer> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, ["messageloop"], {
      perMessageDeflate: false,
    });
    const peer = new Peer(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
      socket.once("close", () => reject(new Error("closed in the handshake")));
    });
    return peer;
  }

  static async connect(port: number, options: PeerOptions = {}): Promise<Peer> {
    const peer = await Peer.open(port);
    await peer.request(connecting(options));
    return peer;
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data: Buffer) => this.#receive(data));
    socket.on("error", () => this.#end(1006));
    socket.on("close", (code) => this.#end(code));
  }

  send(message: Inbound): void {
    this.sendRaw(json.encodeInbound(create(InboundMessageSchema, message)) as string);
  }

  sendRaw(text: string): void {
    this.#socket.send(text);
  }

  /** Resolves with whatever answer; rejects when the connection ends first. */
  async request(message: Inbound): Promise<void> {
    this.#requests += 1;
    const id = `r${this.#requests}`;
    await new Promise<void>((resolve, reject) => {
      if (this.closed !== undefined) reject(new Error(`closed with ${this.closed}`));
      this.#waiting.set(id, { resolve, reject });
      this.send({ ...message, id });
    });
  }

  /** Milliseconds from the text frame `ping` to its `pong`. */
  async ping(): Promise<number> {
    const start = performance.now();
    await new Promise<void>((resolve, reject) => {
      if (this.closed !== undefined) reject(new Error(`closed with ${this.closed}`));
      this.#pongs.push({ resolve, reject });
      this.sendRaw("ping");
    });
    return performance.now() - start;
  }

  /** Closes as a browser does. */
  close(): void {
    this.#socket.close(1000);
  }

  /** Ends the connection without a word. */
  terminate(): void {
    this.#socket.terminate();
  }

  #receive(data: Buffer): void {
    const head = data.toString("latin1", 0, 256);
    if (head === "pong") {
      this.#pongs.shift()?.resolve();
      return;
    }
    const id = ID.exec(head)?.[1] ?? "";
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    const code = /"error":\{"code":"(\w+)"/.exec(head)?.[1];
    if (code !== undefined) this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
    waiting.resolve();
  }

  #end(code: number): void {
    this.closed ??= code;
    const error = new Error(`closed with ${this.closed}`);
    for (const waiting of [...this.#waiting.values(), ...this.#pongs]) waiting.reject(error);
    this.#waiting.clear();
    this.#pongs.length = 0;
  }
}

export function connecting({ capabilities, channels, clientId = "peer" }: PeerOptions): Inbound {
  return {
    envelope: {
      case: "connect",
      value: {
        clientId,
        version: "1",
        capabilities: [...(capabilities ?? [])],
        subscriptions: (channels ?? []).map((channel) => ({ channel })),
      },
    },
  };
}

export function subscribing(...subscriptions: readonly SubscriptionInit[]): Inbound {
  return { envelope: { case: "subscribe", value: { subscriptions: [...subscriptions] } } };
}

export function unsubscribing(...subscriptions: readonly SubscriptionInit[]): Inbound {
  return { envelope: { case: "unsubscribe", value: { subscriptions: [...subscriptions] } } };
}

let events = 0;

/** A publish of an event of its own. */
export function publishing(channel: string, text = "x"): Inbound {
  return { channel, envelope: { case: "publish", value: event(text) } };
}

export function event(text = "x") {
  events += 1;
  return {
    id: `e${process.pid}.${events}`,
    source: "/soak",
    specVersion: "1.0",
    type: "t",
    data: { case: "textData" as const, value: text },
  };
}
