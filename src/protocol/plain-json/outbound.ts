/** Answers that clients get most, in JSON, without the runtime. All others are left to it. */
import type { OutboundMessage } from "../gen/messageloop/v1/service_pb.js";
import { outboundMessageJson } from "./gen/write.ts";

/**
 * The text of an answer to a publish, an RPC, a ping, a connect or a subscribe.
 *
 * @returns undefined for any other message, and for what is seldom in one of these
 */
export function plainOutbound(message: OutboundMessage): string | undefined {
  const json = outboundMessageJson(message);
  return json && JSON.stringify(json);
}
