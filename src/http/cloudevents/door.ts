/**
 * `POST /channels/{channel}`: events by the HTTP binding of CloudEvents, from any SDK, into the engine. It
 * is for servers, which have a key; pages have none, so that no preflight is answered here and no cookie read.
 */
import type { Engine } from "../../engine/engine.ts";
import { MessagingError } from "../../protocol/errors.ts";
import type { CloudEvent } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { type KeepAlive, readBody } from "../body.ts";
import { type ChannelPath, channelIn } from "../channel-path.ts";
import type { KeyPeer, Keys } from "../keys/keys.ts";
import { problemResponse, statusOf } from "../statuses.ts";
import { eventReader } from "./events.ts";

export interface CloudEventsOptions {
  readonly keys: Keys;
  /** Asked for once it is known that there is something to publish. */
  readonly engine: () => Engine;
  readonly peer: KeyPeer;
  /** Called once the key is known to be good for it: the request may take its time from then on. */
  readonly admitted?: () => void;
  /** Whether the host has read values of headers as UTF-8; see ReadingOptions. */
  readonly headersAreText: boolean;
  /** The longest event that is taken, in bytes; of a batch, each. */
  readonly maxEventBytes: number;
  /** For what is left of a body that is given up. Default: nothing needs to be done for it. */
  readonly keepAlive?: KeepAlive | undefined;
}

/** What became of an event, as JSON. */
type Published =
  | {
      readonly id: string;
      readonly position: { readonly epoch: string; readonly offset: string };
      /** The event was in the log already; position is where. */
      readonly duplicate: boolean;
    }
  | {
      /** Absent where it could not be read. */
      readonly id?: string;
      readonly error: { readonly code: string; readonly message: string };
    };

type Outcome = { readonly published: Published; readonly error?: MessagingError };

/**
 * Publishes the events of a request.
 *
 * The answer is an object for an event, and a list for a batch, in which each event stands for itself: 200 where
 * all are published, else the status of the gravest error, so that a client that looks at nothing else sends
 * them again. That does no harm, since an event that is in the log already is not published twice.
 *
 * @param path of the request; what there is beside the channel is 404
 */
export async function publishCloudEvents(
  request: Request,
  path: ChannelPath,
  options: CloudEventsOptions,
): Promise<Response> {
  try {
    return await answer(request, path, options);
  } catch (error) {
    return problemResponse(error);
  }
}

async function answer(
  request: Request,
  path: ChannelPath,
  { keys, engine, peer, admitted, headersAreText, maxEventBytes, keepAlive }: CloudEventsOptions,
): Promise<Response> {
  if (path.rest !== "") {
    throw new MessagingError(
      "NOT_FOUND",
      "a channel is one part of the path: a / in its name is %2F",
    );
  }
  if (request.method !== "POST") {
    const error = new MessagingError("METHOD_NOT_ALLOWED", "events are published by POST");
    return problemResponse(error, { Allow: "POST" });
  }
  const principal = await keys.authorize(request.headers.get("Authorization"), peer);
  const channel = channelIn(path.encoded);
  principal.check("publish", channel);
  admitted?.();
  const reader = eventReader(request.headers, { maxEventBytes, headersAreText });
  const events = reader.read(await readBody(request, reader.maxBytes, { keepAlive }));
  const publish = publisher(engine(), channel, principal.id);
  // Not one after the other: events of one channel take effect in the order of the calls.
  const outcomes = await Promise.all(events.map(publish));
  return reader.batch ? list(outcomes) : one(outcomes);
}

function publisher(
  engine: Engine,
  channel: string,
  principal: string,
): (event: CloudEvent | MessagingError) => Promise<Outcome> {
  return async (event) => {
    try {
      if (event instanceof MessagingError) throw event;
      const { position, duplicate } = await engine.publish(channel, event, { principal });
      const { epoch, offset } = position;
      return { published: { id: event.id, position: { epoch, offset: `${offset}` }, duplicate } };
    } catch (error) {
      const known = MessagingError.from(error);
      const { code, message } = known;
      const name = event instanceof MessagingError ? {} : { id: event.id };
      return { published: { ...name, error: { code, message } }, error: known };
    }
  };
}

function one([outcome]: readonly Outcome[]): Response {
  if (outcome?.error !== undefined) return problemResponse(outcome.error);
  return json(200, outcome?.published);
}

function list(outcomes: readonly Outcome[]): Response {
  const [gravest] = outcomes
    .flatMap(({ error }) => (error === undefined ? [] : [error]))
    // What may succeed another time stands above what never will.
    .toSorted(
      (left, right) => Number(right.retry) - Number(left.retry) || grade(right) - grade(left),
    );
  const body = outcomes.map(({ published }) => published);
  if (gravest === undefined) return json(200, body);
  const { headers, status } = problemResponse(gravest);
  return new Response(JSON.stringify(body), { status, headers });
}

function grade(error: MessagingError): number {
  return statusOf(error).http;
}

function json(status: number, body: unknown): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store" },
  });
}
