/** What happens to a request before its handler sees it, and after. */
import { DISCONNECTS } from "../../../protocol/codes.ts";
import { MessagingError } from "../../../protocol/errors.ts";
import type { InboundMessage } from "../../../protocol/gen/messageloop/v1/service_pb.js";
import type { Span } from "../../ports/tracing.ts";
import { channelAttributes, traceAttributes } from "../../spans.ts";
import { busy, type RequestContext, switchedOff } from "./context.ts";
import { REQUESTS, type RequestCase, type RequestEnvelope, type Traced } from "./table.ts";

/**
 * Does what a request asks for, as far as the table lets it; what its handler throws is sent to the client.
 *
 * @param size length of the frame, in bytes
 */
export async function perform<Case extends RequestCase>(
  context: RequestContext,
  message: InboundMessage,
  envelope: RequestEnvelope<Case>,
  size: number,
): Promise<void> {
  const { node, session, client, intake, order, replies } = context;
  const row = REQUESTS[envelope.case];
  if (row.always !== true && !session.connected) {
    session.close(DISCONNECTS.stale);
    return;
  }
  if (switchedOff(context, row.kind)) return;
  const span =
    node.tracer === undefined
      ? undefined
      : spanOf(context, row.traced, message, envelope.value, size);
  try {
    const refusable = client.extended && row.answered !== undefined && row.always !== true;
    if (refusable && intake.full) throw busy("too many requests are waiting for their answer");
    if (row.capability !== undefined && !client.can(row.capability)) {
      const text = `${row.kind ?? envelope.case} needs the capability ${row.capability}`;
      throw new MessagingError("BAD_REQUEST", text);
    }
    if (row.lane === undefined) {
      await row.handle(context, message, envelope.value, size, span);
    } else {
      const work = row.handle(context, message, envelope.value, size);
      await order.run(work.channels, row.lane, work.run);
    }
  } catch (error) {
    span?.fail(MessagingError.from(error).code);
    replies.refuse(message, error, row.answered ?? "server");
    const half = row.changes === true && !(error instanceof MessagingError);
    if (half) session.close(DISCONNECTS.internal);
  } finally {
    span?.end();
  }
}

/** The span of a request that has one, where it is in the sample. */
function spanOf<Value>(
  { node, client }: RequestContext,
  traced: Traced<Value> | undefined,
  message: InboundMessage,
  value: Value,
  size: number,
): Span | undefined {
  if (traced === undefined) return undefined;
  const { operation } = traced;
  const event = traced.event(value);
  return node.tracer?.start(operation, {
    kind: "server",
    event: event && traceAttributes(event),
    attributes: {
      ...channelAttributes(operation, message.channel || (event?.source ?? "")),
      "messaging.message.id": event?.id ?? "",
      "messaging.message.envelope.size": size,
      "session.id": client.sessionId,
    },
  });
}
