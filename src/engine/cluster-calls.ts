/**
 * What the server's side does to sessions wherever they are: here, or on the node that the session's id
 * names. Both ends of the calls between nodes.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { MessagingError } from "../protocol/errors.ts";
import type { CloudEvent } from "../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  type NodeAnswer,
  NodeAnswerSchema,
  type NodeCall,
  NodeCallSchema,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { CHANNEL_TIMEOUT_MS } from "../protocol/limits.ts";
import type { Cluster } from "./ports/cluster.ts";
import type { NodeSurvey, SurveyOutcome } from "./survey.ts";

/** What another node's part of a survey ends before the whole, in milliseconds: its answer travels. */
const SURVEY_MARGIN_MS = 250;

export type ChannelResults = Readonly<Record<string, boolean>>;

/** A question to the subscribers of a channel. */
export interface SurveyQuestion {
  readonly id: string;
  readonly channel: string;
  readonly question: CloudEvent;
  readonly timeoutMs: number;
}

/** What a node does to its own sessions. */
export interface LocalSessions {
  disconnect(sessionId: string, code: number, reason: string | undefined): boolean;
  subscribe(sessionId: string, channels: readonly string[]): Promise<ChannelResults>;
  unsubscribe(sessionId: string, channels: readonly string[]): Promise<ChannelResults>;
  survey(question: SurveyQuestion): Promise<NodeSurvey>;
}

type Call = NonNullable<MessageInitShape<typeof NodeCallSchema>["call"]>;
type Answer = NodeAnswer["answer"];

export class ClusterCalls {
  readonly #cluster: Cluster | undefined;
  readonly #local: LocalSessions;

  constructor(cluster: Cluster | undefined, local: LocalSessions) {
    this.#cluster = cluster;
    this.#local = local;
    cluster?.start((call) => this.#answer(call));
  }

  async disconnect(sessionId: string, code: number, reason: string | undefined): Promise<boolean> {
    const node = this.#elsewhere(sessionId);
    if (node === undefined) return this.#local.disconnect(sessionId, code, reason);
    const value = { sessionId, code, reason: reason ?? "" };
    const answer = await this.#ask(node, { case: "disconnect", value });
    return answer?.case === "disconnected" && answer.value;
  }

  async subscribe(sessionId: string, channels: readonly string[]): Promise<ChannelResults> {
    const node = this.#elsewhere(sessionId);
    if (node === undefined) return await this.#local.subscribe(sessionId, channels);
    return await this.#change(node, "subscribe", sessionId, channels);
  }

  async unsubscribe(sessionId: string, channels: readonly string[]): Promise<ChannelResults> {
    const node = this.#elsewhere(sessionId);
    if (node === undefined) return await this.#local.unsubscribe(sessionId, channels);
    return await this.#change(node, "unsubscribe", sessionId, channels);
  }

  /** Asks the subscribers of all nodes. A node that does not answer in time is named. */
  async survey(question: SurveyQuestion): Promise<SurveyOutcome> {
    const others = this.#cluster === undefined ? [] : await this.#cluster.others();
    const here = this.#local.survey(question);
    const unreached: string[] = [];
    const parts = others.map(async (node) => {
      try {
        return await this.#surveyAt(node, question);
      } catch {
        unreached.push(node);
        return undefined;
      }
    });
    const outcomes = (await Promise.all([here, ...parts])).filter((part) => part !== undefined);
    return {
      answers: outcomes.flatMap(({ answers }) => answers),
      silent: outcomes.flatMap(({ silent }) => silent),
      unreached,
    };
  }

  async #surveyAt(
    node: string,
    { id, channel, question, timeoutMs }: SurveyQuestion,
  ): Promise<NodeSurvey | undefined> {
    const itsTimeoutMs = timeoutMs - Math.min(timeoutMs / 10, SURVEY_MARGIN_MS);
    const value = { id, channel, question, timeoutMs: Math.ceil(itsTimeoutMs) };
    const answer = await this.#ask(node, { case: "survey", value }, timeoutMs);
    if (answer?.case !== "survey") return undefined;
    const { answers, silent } = answer.value;
    return {
      answers: answers.map(({ sessionId, payload, error }) => ({
        sessionId,
        payload,
        error: error === undefined ? undefined : MessagingError.fromMessage(error),
      })),
      silent,
    };
  }

  async #change(
    node: string,
    what: "subscribe" | "unsubscribe",
    sessionId: string,
    channels: readonly string[],
  ): Promise<ChannelResults> {
    const answer = await this.#ask(node, {
      case: what,
      value: { sessionId, channels: [...channels] },
    });
    const results = answer?.case === "channels" ? answer.value.results : {};
    return Object.fromEntries(channels.map((channel) => [channel, results[channel] ?? false]));
  }

  /** The other node that a session's id names. An id of no node's is nowhere, which is found here. */
  #elsewhere(sessionId: string): string | undefined {
    const cluster = this.#cluster;
    const end = sessionId.indexOf(".");
    if (cluster === undefined || end < 1) return undefined;
    const node = sessionId.slice(0, end);
    return node === cluster.node ? undefined : node;
  }

  async #ask(
    node: string,
    call: Call,
    timeoutMs = CHANNEL_TIMEOUT_MS,
  ): Promise<Answer | undefined> {
    const made = create(NodeCallSchema, { call });
    const answer = await this.#cluster?.call(node, made, timeoutMs);
    if (answer?.case === "error") throw MessagingError.fromMessage(answer.value);
    return answer;
  }

  /** What another node asks. */
  async #answer({ call }: NodeCall): Promise<Answer> {
    switch (call.case) {
      case "disconnect": {
        const { sessionId, code, reason } = call.value;
        const value = this.#local.disconnect(sessionId, code, reason || undefined);
        return { case: "disconnected", value };
      }
      case "subscribe":
      case "unsubscribe": {
        const { sessionId, channels } = call.value;
        const results = { ...(await this.#local[call.case](sessionId, channels)) };
        return create(NodeAnswerSchema, { answer: { case: "channels", value: { results } } })
          .answer;
      }
      case "survey":
        return await this.#survey(call.value);
      default:
        throw new MessagingError(
          "BAD_REQUEST",
          "a node of another version asks for what is unknown",
        );
    }
  }

  async #survey({ id, channel, question, timeoutMs }: SurveyCall): Promise<Answer> {
    if (question === undefined) throw new MessagingError("BAD_REQUEST", "the question is missing");
    const { answers, silent } = await this.#local.survey({ id, channel, question, timeoutMs });
    const told = answers.map(({ sessionId, payload, error }) => ({
      sessionId,
      ...(payload === undefined ? {} : { payload }),
      ...(error === undefined ? {} : { error: error.toMessage() }),
    }));
    return create(NodeAnswerSchema, {
      answer: { case: "survey", value: { answers: told, silent: [...silent] } },
    }).answer;
  }
}

type SurveyCall = Extract<NodeCall["call"], { case: "survey" }>["value"];
