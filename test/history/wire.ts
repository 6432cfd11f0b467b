/** One connection: frames in order, answers by the id of their request. It knows nothing of facts. */
import { create } from "@bufbuild/protobuf";
import { type Codec, codecFor, type Encoding, type Frame } from "../../src/protocol/codec.ts";
import {
  InboundMessageSchema,
  type OutboundMessage,
} from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Inbound } from "../support/client.ts";
import { whole } from "../support/expand.ts";
import type { LifeSocket } from "./host.ts";

/** What a wire tells its owner; each in the order of the frames. */
export interface WireOwner {
  received(message: OutboundMessage): void;
  /** The connection is gone. Called once. */
  lost(): void;
}

let ids = 0;

export class Wire {
  readonly #socket: LifeSocket;
  readonly #codec: Codec;
  readonly #owner: WireOwner;
  #open = true;

  constructor(socket: LifeSocket, encoding: Encoding, owner: WireOwner) {
    this.#socket = socket;
    this.#codec = codecFor(encoding);
    this.#owner = owner;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => {
      if (!this.#open) return;
      const frame: Frame = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
      if (frame !== "pong") owner.received(whole(this.#codec.decodeOutbound(frame)));
    });
    socket.addEventListener("close", () => this.#lose());
  }

  get open(): boolean {
    return this.#open;
  }

  /** Sends a request and returns its id. */
  send(message: Inbound): string {
    ids += 1;
    const id = `q${ids}`;
    const frame = this.#codec.encodeInbound(create(InboundMessageSchema, { ...message, id }));
    try {
      this.#socket.send(frame as string | Uint8Array<ArrayBuffer>);
    } catch {
      // The socket is closing: its end is told by the close event.
    }
    return id;
  }

  /** Ends the connection from this side: nothing that still arrives is heard. */
  end(rudely: boolean): void {
    if (!this.#open) return;
    if (rudely && this.#socket.terminate !== undefined) this.#socket.terminate();
    else this.#socket.close(rudely ? 4000 : 1000, "");
    this.#lose();
  }

  #lose(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#owner.lost();
  }
}
