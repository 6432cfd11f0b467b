/** The key that a publish is known by, whichever door it comes in by. */
import { eventKey } from "../../channels/event-key.ts";
import type { RuleBook } from "../../channels/rules.ts";
import { MessagingError } from "../../protocol/errors.ts";
import type { CloudEvent } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { utf8Length } from "../../protocol/lean/utf8-length.ts";
import { MAX_EVENT_KEY_BYTES } from "../../protocol/limits.ts";
import type { Random } from "../ports/platform.ts";

/** Principals that mean the same event by the same source and id. */
export interface Principal {
  readonly side: "user" | "server";
  readonly name: string;
}

/**
 * An event that its principal publishes again has the same key. Where nobody is meant, the event has no
 * name or the channel does not recognise repeated ones, the key is fresh: it only guards against being
 * repeated inside.
 *
 * @throws MessagingError BAD_REQUEST where source and id are longer than 1,024 bytes together
 */
export function publishKey(
  { rules, random }: { readonly rules: RuleBook; readonly random: Random },
  channel: string,
  { source, id }: CloudEvent,
  principal: Principal | undefined,
): string {
  const recognised = isRecognised(rules, channel, { source, id }, principal);
  if (principal === undefined || !recognised) return random.uuid();
  if (utf8Length(source) + utf8Length(id) > MAX_EVENT_KEY_BYTES) {
    const text = `source and id are longer than ${MAX_EVENT_KEY_BYTES} bytes together`;
    throw new MessagingError("BAD_REQUEST", text);
  }
  return eventKey(principal.side, principal.name, source, id);
}

/** Whether an event that its principal has published before would be known as the same. */
export function isRecognised(
  rules: RuleBook,
  channel: string,
  { source, id }: Pick<CloudEvent, "source" | "id">,
  principal: Principal | undefined,
): boolean {
  const named = principal !== undefined && source !== "" && id !== "";
  return named && rules.of(channel).exactlyOnce;
}
