/** Every envelope that a client may send, in one table: a new one is one row here, and its handler. */
import type { CloudEvent } from "../../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { InboundMessage } from "../../../protocol/gen/messageloop/v1/service_pb.js";
import type { Operation, Span } from "../../ports/tracing.ts";
import type { MessageKind } from "../../settings/settings.ts";
import { countOf } from "../../subscription/positions.ts";
import type { LaneKind } from "../channel-order.ts";
import type { Capability } from "../client.ts";
import type { Speaker } from "../log.ts";
import type { RequestContext, Work } from "./context.ts";
import { publish } from "./publish.ts";
import { history, presence } from "./reads.ts";
import { refresh } from "./refresh.ts";
import { rpc } from "./rpc.ts";
import { subRefresh } from "./sub-refresh.ts";
import { subscribe, unsubscribe } from "./subscriptions.ts";
import { surveyRequest, surveyResponse } from "./survey.ts";

/** The message in each envelope, by the envelope's name. */
type Envelopes = {
  [Envelope in Exclude<
    InboundMessage["envelope"],
    { case: undefined }
  > as Envelope["case"]]: Envelope["value"];
};

/** What the table says of an envelope. */
export interface EnvelopeRow {
  /** Its name in `server.disabled_messages`; undefined for what no deployment can do without. */
  readonly kind: MessageKind | undefined;
  /** What its client must have been granted. */
  readonly capability?: Capability;
  /** How it shares the channels that it names; undefined for what waits for no other request. */
  readonly lane: LaneKind | undefined;
  /**
   * Who may speak in its answer. Undefined for what has none: it is never refused because too much is
   * under way.
   */
  readonly answered: Speaker | undefined;
  /** Whether it is heard before connect, and whatever is under way. */
  readonly always?: true;
  /** Whether it changes subscriptions: with half of it done nobody knows what the session would hear. */
  readonly changes?: true;
}

/** What a request is in traces. */
export interface Traced<Value> {
  readonly operation: Operation;
  /** The event whose publisher may have put it in a trace. */
  event(value: Value): CloudEvent | undefined;
}

/** A request, which has a handler. What the handler throws is the client's refusal. */
export type RequestRow<Value> = EnvelopeRow & {
  /** Undefined for what has no span. */
  readonly traced?: Traced<Value>;
} & (
    | {
        readonly lane: LaneKind;
        /** Looks at the request, and leaves what has to take its turn. */
        handle(context: RequestContext, message: InboundMessage, value: Value, size: number): Work;
      }
    | {
        readonly lane: undefined;
        handle(
          context: RequestContext,
          message: InboundMessage,
          value: Value,
          size: number,
          span: Span | undefined,
        ): void | Promise<void>;
      }
  );

/** The names of all envelopes but connect's. */
export type RequestCase = Exclude<keyof Envelopes, "connect">;

/** An envelope of one of these names, with the message that belongs to it. */
export type RequestEnvelope<Case extends RequestCase = RequestCase> = {
  [Name in Case]: { readonly case: Name; readonly value: Envelopes[Name] };
}[Case];

/** Connect is no request of this table: it comes once, and what it decides is what the session is. */
export const CONNECT = {
  kind: undefined,
  lane: "exclusive",
  answered: "backend",
} as const satisfies EnvelopeRow;

export const REQUESTS: { readonly [Case in RequestCase]: RequestRow<Envelopes[Case]> } = {
  ping: {
    kind: undefined,
    lane: undefined,
    answered: "server",
    always: true,
    handle: ({ replies }, message) => replies.reply(message, { case: "pong", value: {} }),
  },
  publish: {
    kind: "publish",
    lane: "shared",
    answered: "server",
    traced: { operation: "publish", event: (event) => event },
    handle: publish,
  },
  subscribe: {
    kind: "subscribe",
    lane: "exclusive",
    answered: "backend",
    changes: true,
    handle: subscribe,
  },
  unsubscribe: {
    kind: "unsubscribe",
    lane: "exclusive",
    answered: "server",
    changes: true,
    handle: unsubscribe,
  },
  rpcRequest: {
    kind: "rpc_request",
    lane: undefined,
    answered: "backend",
    traced: { operation: "rpc", event: (event) => event },
    handle: rpc,
  },
  subRefresh: {
    kind: "sub_refresh",
    lane: undefined,
    answered: "backend",
    changes: true,
    handle: subRefresh,
  },
  refresh: {
    kind: "refresh",
    capability: "refresh",
    lane: undefined,
    answered: "backend",
    handle: refresh,
  },
  surveyRequest: {
    kind: "survey_request",
    lane: undefined,
    answered: "server",
    traced: { operation: "survey", event: ({ payload }) => payload },
    handle: surveyRequest,
  },
  surveyResponse: {
    kind: "survey_response",
    lane: undefined,
    answered: undefined,
    handle: surveyResponse,
  },
  historyRequest: {
    kind: "history_request",
    capability: "history",
    lane: "exclusive",
    answered: "server",
    handle: history,
  },
  presenceRequest: {
    kind: "presence_request",
    capability: "presence",
    lane: "exclusive",
    answered: "server",
    handle: presence,
  },
  received: {
    kind: undefined,
    capability: "credit",
    lane: undefined,
    answered: undefined,
    handle: ({ flow, session }, _message, { bytes }) => {
      flow.received(countOf(bytes));
      session.changed();
    },
  },
};
