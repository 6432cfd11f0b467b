/**
 * A client's call of the application's backend. It runs beside everything else: a slow backend delays
 * nothing but its own answer.
 */
import { create } from "@bufbuild/protobuf";
import { canonicalEvent } from "../../../protocol/cloudevents.ts";
import { MessagingError } from "../../../protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { InboundMessage } from "../../../protocol/gen/messageloop/v1/service_pb.js";
import { largestFrame } from "../../../protocol/limits.ts";
import type { RpcOutcome } from "../../counters.ts";
import type { RpcRequest } from "../../ports/backends.ts";
import type { Span } from "../../ports/tracing.ts";
import { BadValue } from "../application-values.ts";
import { answeredEvent } from "../backend-answers.ts";
import type { CallTerms } from "../backend-calls.ts";
import { mustBeAllowed } from "./access.ts";
import { busy, type RequestContext } from "./context.ts";

const RPC: Omit<CallTerms<CloudEvent | undefined>, "timeoutMs"> = {
  backend: "rpc",
  check: answeredEvent,
  invalid: ["PROXY_ERROR", "the backend failed"],
  timeout: ["RPC_TIMEOUT", "the backend did not answer in time"],
  failure: ["PROXY_ERROR", "the backend failed"],
  // By it a stream says that it ends.
  reserved: ({ code }) => code === "DISCONNECT_ERROR",
  // What the application answers to a call is no error of the protocol, whatever its code.
  counts: false,
};

export async function rpc(
  context: RequestContext,
  message: InboundMessage,
  received: CloudEvent,
  _size: number,
  span: Span | undefined,
): Promise<void> {
  const { node, session, client, replies } = context;
  const payload = canonicalEvent(received);
  const channel = message.channel || received.source;
  mustBeAllowed(context, "rpc", channel);
  const { backends, settings } = node;
  if (backends.rpc === undefined) {
    // Without a backend the request comes back, as in v0.1.1.
    replies.reply(message, { case: "rpcReply", value: client.eventFor(payload) });
    return;
  }
  const { backend, rpcs } = context;
  if (!rpcs.take()) {
    if (client.extended) throw busy("too many RPCs are waiting for their answer");
    // A v1 client cannot know which of its RPCs was refused.
    if (!(await rpcs.next()) || session.ended) return;
  }
  const request = {
    id: message.id,
    channel,
    method: message.method || received.type,
    payload,
    metadata: message.metadata,
    caller: client.caller,
  };
  const terms = { ...RPC, timeoutMs: settings.rpcTimeoutMs, span, part: true };
  const answer = await asked(context, terms, request);
  const value = answer === undefined ? create(CloudEventSchema) : client.eventFor(answer);
  const frame = replies.answer(message, { case: "rpcReply", value });
  if (frame.bytes > largestFrame(settings.maxMessageBytes)) {
    throw backend.invalid(terms, new BadValue("answer", `takes ${frame.bytes} bytes`));
  }
  session.write(frame);
}

/** Asks the backend. Counts the RPC while it is open, and how long it took by how it ended. */
async function asked(
  { node, session, backend, rpcs }: RequestContext,
  terms: CallTerms<CloudEvent | undefined>,
  request: RpcRequest,
): Promise<CloudEvent | undefined> {
  const { backends, clock, counters } = node;
  const began = clock.now();
  let outcome: RpcOutcome = "ok";
  try {
    return await backend.run(terms, (cancellation) => backends.rpc?.(request, cancellation));
  } catch (error) {
    const late = MessagingError.from(error).code === RPC.timeout[0];
    outcome = session.ended ? "cancelled" : late ? "timeout" : "error";
    throw error;
  } finally {
    rpcs.free();
    counters.rpcs[outcome].observe(clock.now() - began);
  }
}
