/**
 * What the server's side does to sessions wherever they are: here, or on the node that the session's id
 * names. Both ends of the calls between nodes.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { errorFrom, errorMessage, MessagingError } from "../protocol/errors.ts";
import {
  type NodeAnswer,
  NodeAnswerSchema,
  type NodeCall,
  NodeCallSchema,
  type PublishCall,
  PublishCallSchema,
  type Revocation as RevocationMessage,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { CHANNEL_TIMEOUT_MS } from "../protocol/limits.ts";
import { utf8Decode, utf8Encode } from "../protocol/utf8.ts";
import type { TraceReading, Traces, TraceTerms } from "./frames/traces.ts";
import type { Cluster } from "./ports/cluster.ts";
import type { UserSession } from "./ports/directory.ts";
import type { Revocation } from "./ports/revocations.ts";
import type { SendCall } from "./session/stream/sends.ts";
import { countOf } from "./subscription/positions.ts";
import { type AnswerInit, answerSurvey } from "./survey/survey-run.ts";
import type { Surveys } from "./survey/surveys.ts";

export type ChannelResults = Readonly<Record<string, boolean>>;

/** What became of subscriptions from the server's side. */
export interface SubscribeOutcome {
  /** For each channel whether the session has it now. */
  readonly results: ChannelResults;
  /** Why it has not got those that were refused; none where there is no such session. */
  readonly errors: Readonly<Record<string, MessagingError>>;
}

/** Which of some sessions a message was handed to. Of those that are not named there are none. */
export interface SessionsOutcome extends HandedOver {
  /** Why it is not known whether the session got it. */
  readonly failed: ReadonlyMap<string, MessagingError>;
}

/** The same of the sessions of one node. */
export interface HandedOver {
  readonly reached: readonly string[];
  /** Those that are still being connected, to which nothing can be said. */
  readonly connecting: readonly string[];
}

/** A message for some sessions, outside of any log. */
export type SessionMessage = Pick<PublishCall, "id" | "body">;

/** What a node does to its own sessions. */
export interface LocalSessions {
  disconnect(sessionId: string, code: number, reason: string | undefined): boolean;
  subscribe(sessionId: string, channels: readonly string[]): Promise<SubscribeOutcome>;
  unsubscribe(sessionId: string, channels: readonly string[]): Promise<ChannelResults>;
  send(call: SendCall): number | undefined;
  publish(sessionIds: readonly string[], message: SessionMessage): HandedOver;
  /** Which of these sessions there are, connected or not yet. */
  present(sessionIds: readonly string[]): readonly string[];
  /** Ends the sessions whose tokens are revoked. */
  revoke(revocations: readonly Revocation[]): void;
}

/** A node's own part of traces. */
type LocalTraces = Pick<Traces, "read">;

/** What all nodes have of a trace. */
export interface TraceOutcome extends TraceReading {
  /** Nodes that did not answer. */
  readonly unreached: readonly string[];
}

/** A node's own part of surveys. */
type LocalSurveys = Pick<Surveys, "ask" | "audience" | "end">;

type Call = NonNullable<MessageInitShape<typeof NodeCallSchema>["call"]>;
type Answer = NodeAnswer["answer"];
type ChannelsAnswer = Extract<Answer, { case: "channels" }>["value"];

const NOBODY: HandedOver = { reached: [], connecting: [] };
const NO_FRAMES: TraceReading = { frames: [], leftOut: 0 };
const NOTHING_CHANGED: Pick<ChannelsAnswer, "results" | "errors"> = { results: {}, errors: {} };

export class ClusterCalls {
  readonly #cluster: Cluster | undefined;
  readonly #local: LocalSessions;
  readonly #surveys: LocalSurveys;
  readonly #traces: LocalTraces;

  constructor(
    cluster: Cluster | undefined,
    local: LocalSessions,
    surveys: LocalSurveys,
    traces: LocalTraces,
  ) {
    this.#cluster = cluster;
    this.#local = local;
    this.#surveys = surveys;
    this.#traces = traces;
    cluster?.start(async (call) => {
      return create(NodeAnswerSchema, { answer: await this.#answer(call) }).answer;
    });
  }

  async disconnect(sessionId: string, code: number, reason: string | undefined): Promise<boolean> {
    const node = this.#elsewhere(sessionId);
    if (node === undefined) return this.#local.disconnect(sessionId, code, reason);
    const value = { sessionId, code, reason: reason ?? "" };
    const answer = await this.#ask(node, { case: "disconnect", value });
    return answer?.case === "disconnected" && answer.value;
  }

  async subscribe(sessionId: string, channels: readonly string[]): Promise<SubscribeOutcome> {
    const node = this.#elsewhere(sessionId);
    if (node === undefined) return await this.#local.subscribe(sessionId, channels);
    return await this.#change(node, "subscribe", sessionId, channels);
  }

  async unsubscribe(sessionId: string, channels: readonly string[]): Promise<ChannelResults> {
    const node = this.#elsewhere(sessionId);
    if (node === undefined) return await this.#local.unsubscribe(sessionId, channels);
    return (await this.#change(node, "unsubscribe", sessionId, channels)).results;
  }

  async send(call: SendCall): Promise<number | undefined> {
    const node = this.#elsewhere(call.sessionId);
    if (node === undefined) return this.#local.send(call);
    const messages = call.frames.map((frame) =>
      typeof frame === "string" ? utf8Encode(frame) : frame,
    );
    const { sessionId, secret, seq, encoding } = call;
    const value = { sessionId, secret, seq, messages, encoding };
    const answer = await this.#ask(node, { case: "send", value });
    return answer?.case === "send" && answer.value.found ? countOf(answer.value.seq) : undefined;
  }

  /** Hands a message to sessions, with one call to each node that has any of them. */
  async publish(sessionIds: readonly string[], message: SessionMessage): Promise<SessionsOutcome> {
    const byNode = Map.groupBy(new Set(sessionIds), (id) => this.#elsewhere(id));
    const failed = new Map<string, MessagingError>();
    const calls = [...byNode].map(async ([node, ids]): Promise<HandedOver> => {
      if (node === undefined) return this.#local.publish(ids, message);
      try {
        const value = create(PublishCallSchema, { ...message, sessionIds: ids });
        const answer = await this.#ask(node, { case: "publish", value });
        if (answer?.case !== "published") return NOBODY;
        return { reached: answer.value.sessionIds, connecting: answer.value.connecting };
      } catch (error) {
        for (const id of ids) failed.set(id, MessagingError.from(error));
        return NOBODY;
      }
    });
    const parts = await Promise.all(calls);
    return {
      reached: parts.flatMap(({ reached }) => reached),
      connecting: parts.flatMap(({ connecting }) => connecting),
      failed,
    };
  }

  /**
   * What nodes have of a trace.
   *
   * @param sessions on whose nodes it is looked beside this one; those that may hear the channel as well
   * @throws MessagingError what this node says
   */
  async trace(terms: TraceTerms, sessions: readonly UserSession[]): Promise<TraceOutcome> {
    const hearing = terms.channel === "" ? [] : await this.#cluster?.others(terms.channel);
    const nodes = new Set([
      ...sessions.map(({ sessionId }) => this.#elsewhere(sessionId)),
      ...(hearing ?? []),
    ]);
    nodes.delete(undefined);
    const unreached: string[] = [];
    const others = [...nodes].map(async (node): Promise<TraceReading> => {
      try {
        const value = { ...terms, until: BigInt(terms.until) };
        const answer = await this.#ask(node ?? "", { case: "trace", value });
        if (answer?.case !== "trace") return NO_FRAMES;
        return { frames: answer.value.frames, leftOut: countOf(answer.value.leftOut) };
      } catch {
        unreached.push(node ?? "");
        return NO_FRAMES;
      }
    });
    const parts = await Promise.all([this.#traces.read(terms), ...others]);
    return {
      frames: parts.flatMap(({ frames }) => frames),
      leftOut: parts.reduce((sum, { leftOut }) => sum + leftOut, 0),
      unreached,
    };
  }

  async #change(
    node: string,
    what: "subscribe" | "unsubscribe",
    sessionId: string,
    channels: readonly string[],
  ): Promise<SubscribeOutcome> {
    const answer = await this.#ask(node, {
      case: what,
      value: { sessionId, channels: [...channels] },
    });
    const { results, errors } = answer?.case === "channels" ? answer.value : NOTHING_CHANGED;
    return {
      results: Object.fromEntries(
        channels.map((channel) => [
          channel,
          Object.hasOwn(results, channel) && results[channel] === true,
        ]),
      ),
      errors: mapped(errors, (error) => errorFrom(error)),
    };
  }

  /** The other node that a session's id names. An id of no node's is nowhere, which is found here. */
  #elsewhere(sessionId: string): string | undefined {
    const cluster = this.#cluster;
    const end = sessionId.indexOf(".");
    if (cluster === undefined || end < 1) return undefined;
    const node = sessionId.slice(0, end);
    return node === cluster.node ? undefined : node;
  }

  async #ask(node: string, call: Call): Promise<Answer | undefined> {
    const made = create(NodeCallSchema, { call });
    const answer = await this.#cluster?.call(node, made, CHANNEL_TIMEOUT_MS);
    if (answer?.case === "error") throw errorFrom(answer.value);
    return answer;
  }

  /** What another node asks. */
  async #answer({ call }: NodeCall): Promise<AnswerInit> {
    switch (call.case) {
      case "disconnect": {
        const { sessionId, code, reason } = call.value;
        const value = this.#local.disconnect(sessionId, code, reason || undefined);
        return { case: "disconnected", value };
      }
      case "subscribe": {
        const { sessionId, channels } = call.value;
        const { results, errors } = await this.#local.subscribe(sessionId, channels);
        const value = {
          results: { ...results },
          errors: mapped(errors, (error) => errorMessage(error)),
        };
        return { case: "channels", value };
      }
      case "unsubscribe": {
        const { sessionId, channels } = call.value;
        const results = { ...(await this.#local.unsubscribe(sessionId, channels)) };
        return { case: "channels", value: { results } };
      }
      case "survey":
        return await answerSurvey(this.#surveys, call.value);
      case "endSurvey":
        this.#surveys.end(call.value.id);
        return { case: "surveyEnded", value: true };
      case "audience":
        return { case: "audience", value: this.#surveys.audience(call.value.channel) };
      case "trace": {
        const terms = { ...call.value, until: countOf(call.value.until) };
        const { frames, leftOut } = await this.#traces.read(terms);
        return { case: "trace", value: { frames, leftOut: BigInt(leftOut) } };
      }
      case "send": {
        const { messages, encoding, ...rest } = call.value;
        const taken = this.#local.send({
          ...rest,
          frames: encoding === "json" ? messages.map(utf8Decode) : messages,
          encoding: encoding === "json" ? "json" : "proto",
        });
        const value = { found: taken !== undefined, seq: BigInt(taken ?? 0) };
        return { case: "send", value };
      }
      case "present": {
        const sessionIds = [...this.#local.present(call.value.sessionIds)];
        return { case: "present", value: { sessionIds } };
      }
      case "revoke": {
        const { revocations } = call.value;
        this.#local.revoke(revocations.map(revocationOf));
        return { case: "revoked", value: true };
      }
      case "publish": {
        const { sessionIds, id, body } = call.value;
        const { reached, connecting } = this.#local.publish(sessionIds, { id, body });
        const value = { sessionIds: [...reached], connecting: [...connecting] };
        return { case: "published", value };
      }
      default:
        throw new MessagingError(
          "BAD_REQUEST",
          "a node of another version asks for what is unknown",
        );
    }
  }
}

/** A revocation as a message has it. */
function revocationOf({ userId, tokenId, time, until }: RevocationMessage): Revocation {
  return { userId, tokenId, time: countOf(time), until: countOf(until) };
}

function mapped<From, To>(
  record: Readonly<Record<string, From>>,
  change: (value: From) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
