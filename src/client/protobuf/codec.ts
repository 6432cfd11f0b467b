/** Frames as protobuf, without a runtime of protobuf. */
import { expanded } from "../wire/compact.ts";
import type { Codec, OutboundFrame, ReceivedFrame } from "../wire/frames.ts";
import { json, undecodable } from "../wire/json.ts";
import { readByHead } from "./compact.ts";
import { read } from "./reader.ts";
import { write } from "./writer.ts";

/**
 * The encoding `protobuf` of a client.
 *
 * @example
 * import { dial } from "messageloop";
 * import { protobuf } from "messageloop/protobuf";
 *
 * const client = await dial("wss://example.com/ws", { encoding: protobuf });
 */
export const protobuf: Codec = {
  subprotocol: "messageloop+proto",
  encode: (frame) => write(frame, "Inbound"),
  decode(frame): OutboundFrame {
    if (typeof frame === "string") return json.decode(frame);
    try {
      const known = readByHead(frame);
      if (known) return known;
      const received: ReceivedFrame = read(frame, "Outbound");
      const { compact } = received;
      return compact ? { publication: expanded(compact) } : received;
    } catch (cause) {
      throw undecodable(cause);
    }
  },
};
