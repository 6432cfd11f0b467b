/** Looks at what servers send over real sockets, to know that a life has met what it is meant to meet. */
import { codecFor, type Encoding, type Frame } from "../../src/protocol/codec.ts";
import type { Message } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { LifeSocket } from "../history/host.ts";

export class Witness {
  /** Publishes that were acknowledged. */
  acknowledged = 0;
  /** Requests that were told to try again. */
  unavailable = 0;
  /** Messages that came from the server that they were published to. */
  direct = 0;
  /** Messages that came from another one. */
  crossed = 0;

  watch(socket: LifeSocket, encoding: Encoding): void {
    const codec = codecFor(encoding);
    let server = "";
    socket.addEventListener("message", ({ data }) => {
      const frame: Frame = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
      if (frame === "pong") return;
      const { envelope } = codec.decodeOutbound(frame);
      if (envelope.case === "connected") server = serverOf(envelope.value.sessionId);
      if (envelope.case === "publishAck") this.acknowledged += 1;
      if (envelope.case === "error" && envelope.value.code === "UNAVAILABLE") this.unavailable += 1;
      if (envelope.case !== "publication") return;
      for (const message of envelope.value.messages) this.#count(message, server);
    });
  }

  #count({ publisher, replay }: Message, server: string): void {
    // What is replayed was read from the log, wherever it came from.
    if (publisher === undefined || replay) return;
    if (serverOf(publisher.sessionId) === server) this.direct += 1;
    else this.crossed += 1;
  }
}

/** The id of a session begins with that of the process that has it. */
function serverOf(sessionId: string): string {
  return sessionId.split(".", 1)[0] ?? "";
}
