/** What the model of a session is told and remembers, and the marks of SPEC.md that it goes by. */
import type { HistoryPage, Position, PresenceSnapshot } from "../../../src/engine/ports/broker.ts";
import type { Settings } from "../../../src/engine/settings/settings.ts";
import type { CloudEvent } from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type {
  InboundMessage,
  Subscription,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Channel } from "./channel.ts";
import type { SessionModel } from "./model.ts";
import type { SurveysModel } from "./surveys.ts";

/** Names that P5 refuses. */
export const BAD_CHANNELS: readonly string[] = [
  "",
  ".",
  "a..b",
  "a.",
  "**.a",
  "a.**.b",
  "a\u0001",
  "\u0085",
  "x".repeat(256),
];
/** The error codes that SPEC.md marks, by its columns. */
export const COUNTED = new Set(["BAD_REQUEST", "AUTH_ERROR", "ACL_ERROR", "INTERNAL_ERROR"]);
export const RETRIED = new Set(["RPC_TIMEOUT", "PROXY_ERROR", "RATE_LIMITED", "UNAVAILABLE"]);
/** What may not overtake deliveries, which it has to do with. */
export const KEEPS_ITS_PLACE = new Set([
  "connected",
  "subscribeAck",
  "unsubscribeAck",
  "subscribed",
  "unsubscribed",
  "publication",
  "recovered",
  "gap",
  "presence",
]);
/** What a deployment can switch off, by envelope. */
export const KINDS: Readonly<Record<string, string>> = {
  publish: "publish",
  subscribe: "subscribe",
  unsubscribe: "unsubscribe",
  rpcRequest: "rpc_request",
  subRefresh: "sub_refresh",
  surveyRequest: "survey_request",
  surveyResponse: "survey_response",
  historyRequest: "history_request",
  presenceRequest: "presence_request",
};

/** What the model has to know of the world around the session. */
export interface World {
  readonly clock: { readonly time: number };
  readonly settings: Settings;
  /** Whether little goes wrong, so that sessions grow old. */
  readonly calm: boolean;
  /** The bound of B2. */
  readonly maxUnheardBytes: number;
  /** Which backends the application has. */
  readonly asks: { readonly authenticate: boolean; authorize: boolean; readonly rpc: boolean };
  readonly surveys: SurveysModel;
  channel(name: string): Channel;
}

/** A question to a backend or to the broker. */
export interface Call {
  /** What the call means to its request when nobody has answered it by the deadline. */
  readonly late: string;
  readonly deadline: number;
  /** A backend's, not the broker's. */
  readonly backend: boolean;
  outcome: Outcome | undefined;
}

export interface Outcome {
  readonly error?: string;
  readonly position?: Position;
  /** Of a publish. */
  readonly duplicate?: boolean;
  /** Of a registration. */
  readonly generation?: number;
  readonly page?: HistoryPage;
  readonly snapshot?: PresenceSnapshot;
  /** Id of the event that an RPC is answered with. */
  readonly event?: string;
}

/** A frame that is owed an answer, or a wish of the server's side that the client is told of. */
export interface Request {
  /** What the server's side wishes is put as a client would. */
  readonly message: InboundMessage;
  readonly byServer: boolean;
  /** Entries that a client was told of in messages before the last. */
  readonly told: Subscription[];
  /** Nothing more comes of it, and what it could not join may still be left. */
  over: boolean;
  /** The answer where frame and moment alone decide it. */
  due: string | undefined;
  /** The channels to subscribe to, each with its last entry; none any more once that is answered. */
  joins: ReadonlyMap<string, Subscription>;
  /** What it may still replay, once its channels catch up. */
  readonly replay: { messages: number; bytes: number };
  /** How much of a channel's presence was told before the session was added to it. */
  readonly heard: Map<string, number>;
  /** The channels whose order the request keeps. */
  lanes: readonly string[];
  /** Publishes may run beside each other. */
  readonly shared: boolean;
  readonly calls: Map<string, Call>;
  started: boolean;
  /** Whether it had to wait for others before that. */
  waited: boolean;
  /** Whether it came in the very step in which what it waits for was answered. */
  hurried: boolean;
  /** Whether the request asks for more channels than there may be. */
  exceeds: "may" | "must" | undefined;
}

/** A call and whose it is; undefined where it should not have been made. */
export type Asked = { readonly model: SessionModel; readonly call: Call } | undefined;

export function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

export function answered(call: Call | undefined, ok: string): string[] {
  if (call?.outcome === undefined) return [];
  const { error } = call.outcome;
  return [error === undefined ? ok : `error ${error}`];
}

export function lastEntries(entries: readonly Subscription[]): Map<string, Subscription> {
  return new Map(entries.map((entry) => [entry.channel, entry]));
}

/** Whether an entry asks to catch up with what was missed. */
export function asksRecovery({ recover, since, rewind }: Subscription): boolean {
  return recover || since !== undefined || rewind > 0;
}

/** Which life of its log an epoch names; the broker of the test counts them. */
export function lifeOf(epoch: string): number {
  return Number(epoch.replace("epoch", ""));
}

/** The one flaw that the test gives to events. */
export function invalid(event: CloudEvent): boolean {
  return Object.values(event.attributes).some(({ attr }) => attr.case === undefined);
}

/** Acknowledgements list the entries of the request, in their order. */
export function checkEcho(asked: readonly Subscription[], listed: readonly Subscription[]): void {
  const text = (entries: readonly Subscription[]) =>
    JSON.stringify(entries.map(({ channel, ephemeral, token }) => [channel, ephemeral, token]));
  check(text(asked) === text(listed), `the acknowledgement lists ${text(listed)}`);
}
