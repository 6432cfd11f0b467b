/** Traces of the frames of a user or a channel, a reading for each call. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { isPattern } from "../../channels/names.ts";
import { patternProblem } from "../../channels/patterns.ts";
import { RecentIds } from "../../channels/recent-ids.ts";
import type { Logger } from "../../engine/ports/platform.ts";
import { uint64Of } from "../../engine/subscription/positions.ts";
import { MessagingError } from "../../protocol/errors.ts";
import type {
  TraceRequest,
  TraceResponseSchema,
} from "../../protocol/gen/messageloop/server/v1/api_pb.js";
import { MAX_TRACE_MS, TRACE_MS } from "../../protocol/limits.ts";
import type { ApiCall } from "./context.ts";

export interface TraceHost {
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly logger: Logger;
}

/** When a trace ends stands in its id, so that every node knows it. */
const ID = /^(\d{1,15})-[\w-]{1,64}$/;

/** Traces that the audit has. Where there are many processes, or isolates, each of them audits a trace. */
const AUDITED = new RecentIds(1_024);

export async function trace(
  { engine, principal }: ApiCall,
  request: TraceRequest,
  { now, logger }: TraceHost,
): Promise<MessageInitShape<typeof TraceResponseSchema>> {
  const { user, channel, payloads } = request;
  if ((user === "") === (channel === "")) {
    throw new MessagingError("BAD_REQUEST", "a trace is of either a user or a channel");
  }
  const rights = payloads ? (["trace", "trace-payloads"] as const) : (["trace"] as const);
  for (const right of rights) {
    if (user === "") principal.check(right, channel);
    else principal.checkEverywhere(right);
  }
  const problem = user === "" ? channelProblem(channel) : undefined;
  if (problem !== undefined) throw new MessagingError("BAD_REQUEST", problem);
  const begins = request.traceId === "";
  const id = begins ? freshId(request, now()) : request.traceId;
  const until = Number(ID.exec(id)?.[1]);
  if (!(until <= now() + MAX_TRACE_MS))
    throw new MessagingError("NOT_FOUND", "there is no such trace");
  const about = { key: principal.id, user, channel, payloads, until };
  // The id says when a trace ends, and a caller can make up one by itself.
  if (AUDITED.add(JSON.stringify([id, about]))) {
    (logger.audit ?? logger.info)?.call(logger, "a trace has begun", about);
  }
  if (until <= now()) return { traceId: id, ended: true };
  const terms = { id, userId: user, channel, payloads, until };
  const { frames, leftOut, unreached } = await engine.trace(terms);
  return {
    traceId: id,
    frames: [...frames],
    leftOut: uint64Of(leftOut),
    ended: now() >= until,
    unreached: [...unreached],
  };
}

function channelProblem(channel: string): string | undefined {
  return isPattern(channel) ? "a trace is of one channel" : patternProblem(channel);
}

function freshId({ durationMs }: TraceRequest, now: number): string {
  if (durationMs > MAX_TRACE_MS) {
    throw new MessagingError("BAD_REQUEST", `a trace lasts for at most ${MAX_TRACE_MS} ms`);
  }
  const chance = Math.random().toString(36).slice(2);
  return `${now + (durationMs || TRACE_MS)}-${chance}`;
}
