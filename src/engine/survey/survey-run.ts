/**
 * A survey from its beginning to its end, over all nodes: the subscribers are counted first, so that none is
 * asked where they are too many; then every node that has subscribers asks its own, all at the same time.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { errorFrom, errorMessage, MessagingError, rateLimited } from "../../protocol/errors.ts";
import {
  type NodeAnswer,
  type NodeAnswerSchema,
  NodeCallSchema,
  type SurveyCall,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MAX_SURVEY_TIMEOUT_MS, SURVEY_COUNT_MS, SURVEYS_RETRY_MS } from "../../protocol/limits.ts";
import type { Cancellation } from "../ports/backends.ts";
import type { Cluster } from "../ports/cluster.ts";
import type { Timers } from "../ports/platform.ts";
import { withDeadline } from "../ports/timers.ts";
import { AnswerBudget } from "./answer-budget.ts";
import type {
  NodeQuestion,
  NodeSurvey,
  SurveyOutcome,
  UnreachedNode,
  UnreachedReason,
} from "./outcome.ts";
import type { SurveyLimits, Surveys } from "./surveys.ts";

/** How long what another node says may travel, in milliseconds, however short the survey is. */
const TRAVEL_MS = 250;

/** A question to the subscribers of a channel, wherever they are. */
export interface SurveyQuestion extends Omit<NodeQuestion, "most"> {
  /** How many may be asked. With more subscribers none is. */
  readonly maxAudience: number;
  /** Says when it is no longer waited for: then it ends everywhere. Default: it is, to its end. */
  readonly cancellation?: Cancellation | undefined;
}

/** Where surveys are counted. */
export interface SurveyCounters {
  surveys: number;
  surveyAnswers: number;
  surveySilent: number;
}

export interface SurveyRunsHost {
  readonly cluster: Cluster | undefined;
  readonly local: Pick<Surveys, "ask" | "audience" | "end">;
  readonly limits: Pick<SurveyLimits, "openSurveys" | "surveyResultBytes">;
  readonly counters: SurveyCounters;
  readonly timers: Timers;
  /** In milliseconds, of a clock that is never set. */
  steadyNow(): number;
}

type Call = NonNullable<MessageInitShape<typeof NodeCallSchema>["call"]>;
type Answer = NodeAnswer["answer"];
/** The same before it is made. */
export type AnswerInit = NonNullable<MessageInitShape<typeof NodeAnswerSchema>["answer"]>;

export class SurveyRuns {
  readonly #host: SurveyRunsHost;
  #running = 0;

  constructor(host: SurveyRunsHost) {
    this.#host = host;
  }

  /**
   * Asks the subscribers of all nodes. A node whose part is not known in the end is named.
   *
   * @throws MessagingError TOO_LARGE where more are subscribed than may be asked, RATE_LIMITED where as many surveys
   *   are open as may be, UNAVAILABLE where it is not known which nodes have subscribers, or where it is no longer waited for
   *   before any session is asked
   */
  async run(question: SurveyQuestion): Promise<SurveyOutcome> {
    const { counters, limits } = this.#host;
    if (this.#running >= limits.openSurveys) {
      throw rateLimited("too many surveys are open", SURVEYS_RETRY_MS);
    }
    this.#running += 1;
    try {
      const outcome = await this.#ask(question);
      counters.surveys += 1;
      counters.surveyAnswers += outcome.answers.length;
      counters.surveySilent += outcome.silent.length;
      return outcome;
    } finally {
      this.#running -= 1;
    }
  }

  async #ask({ maxAudience, cancellation, ...question }: SurveyQuestion): Promise<SurveyOutcome> {
    const { cluster, limits, local, steadyNow } = this.#host;
    const { channel, except } = question;
    const timeoutMs = Math.min(question.timeoutMs, MAX_SURVEY_TIMEOUT_MS);
    const began = steadyNow();
    const unreached: UnreachedNode[] = [];
    const here = local.audience(channel, except);
    const counted =
      cluster === undefined ? [] : await this.#counts(cluster, channel, timeoutMs, unreached);
    const audience = counted.reduce((sum, [, count]) => sum + count, here);
    if (audience > maxAudience) {
      const text = `the channel has more subscribers than the ${maxAudience} that a survey may ask`;
      throw new MessagingError("TOO_LARGE", text);
    }
    if (cancellation?.cancelled) throw new MessagingError("UNAVAILABLE", "nobody waits for it");
    // Without other nodes no time has passed.
    const left = cluster === undefined ? timeoutMs : timeoutMs - (steadyNow() - began);
    const asked = { ...question, timeoutMs: Math.max(left, 1) };
    const parts = [
      this.#part(cluster?.node ?? "", unreached, () => local.ask({ ...asked, most: here })),
      ...counted.map(([node, most]) =>
        this.#part(node, unreached, () => this.#askNode(node, { ...asked, most })),
      ),
    ];
    let open = true;
    // Hosts say it as well when they have given the answer.
    cancellation?.onCancel(() => {
      if (open) this.#abandon(question.id, counted);
    });
    const outcomes = (await Promise.all(parts)).filter((part) => part !== undefined);
    open = false;
    const budget = new AnswerBudget(limits.surveyResultBytes);
    return {
      answers: outcomes.flatMap(({ answers }) => answers).map((answer) => budget.fit(answer)),
      silent: outcomes.flatMap(({ silent }) => silent),
      unreached,
    };
  }

  /** Ends a survey that is no longer waited for, so that it takes no place anywhere. */
  #abandon(id: string, others: readonly (readonly [node: string, count: number])[]): void {
    this.#host.local.end(id);
    for (const [node] of others) {
      // One that does not hear of it waits until the survey's time is over.
      this.#call(node, { case: "endSurvey", value: { id } }, SURVEY_COUNT_MS).catch(() => {});
    }
  }

  /** The other nodes that have subscribers, and how many each has. */
  async #counts(
    cluster: Cluster,
    channel: string,
    timeoutMs: number,
    unreached: UnreachedNode[],
  ): Promise<readonly (readonly [node: string, count: number])[]> {
    const { steadyNow } = this.#host;
    const until = steadyNow() + Math.max(Math.min(timeoutMs / 2, SURVEY_COUNT_MS), TRAVEL_MS);
    const left = (): number => Math.max(until - steadyNow(), 1);
    const others = await this.#inTime(left(), () => cluster.others(channel));
    const counts = await Promise.all(
      others.map((node) =>
        this.#part(node, unreached, async () => {
          const call = { case: "audience", value: { channel } } as const;
          const answer = await this.#call(node, call, left());
          return answer?.case === "audience" ? answer.value : 0;
        }),
      ),
    );
    return others
      .map((node, index) => [node, counts[index] ?? 0] as const)
      .filter(([, count]) => count > 0);
  }

  async #askNode(
    node: string,
    { id, channel, question, timeoutMs, most }: NodeQuestion,
  ): Promise<NodeSurvey | undefined> {
    // A short survey ends later than it should rather than without all that the node has got.
    const its = Math.ceil(timeoutMs - Math.min(timeoutMs / 10, TRAVEL_MS));
    const value = { id, channel, question, timeoutMs: its, most };
    const answer = await this.#call(node, { case: "survey", value }, its + TRAVEL_MS);
    if (answer?.case !== "survey") return undefined;
    const { answers, silent } = answer.value;
    return {
      answers: answers.map(({ sessionId, userId, clientId, payload, error }) => ({
        sessionId,
        userId,
        clientId,
        payload,
        error: error === undefined ? undefined : errorFrom(error),
      })),
      silent,
    };
  }

  async #call(node: string, call: Call, timeoutMs: number): Promise<Answer | undefined> {
    const { cluster } = this.#host;
    const made = create(NodeCallSchema, { call });
    const answer = await this.#inTime(timeoutMs, () => cluster?.call(node, made, timeoutMs));
    if (answer?.case === "error") throw errorFrom(answer.value);
    return answer;
  }

  /** What a node does; undefined where that fails, and then the node is named. */
  async #part<T>(
    node: string,
    unreached: UnreachedNode[],
    work: () => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      unreached.push({ node, reason: reasonOf(error) });
      return undefined;
    }
  }

  /** @throws Late when the time is over, whatever has its own deadline by then */
  #inTime<T>(ms: number, work: () => T | PromiseLike<T>): Promise<T> {
    // The time begins before the work, and so before a deadline of the work's own.
    return withDeadline(this.#host.timers, Promise.resolve().then(work), ms, () => new Late());
  }
}

/** What another node asks: this node's part of a survey. */
export async function answerSurvey(
  local: Pick<Surveys, "ask">,
  { id, channel, question, timeoutMs, most }: SurveyCall,
): Promise<AnswerInit> {
  if (question === undefined) throw new MessagingError("BAD_REQUEST", "the question is missing");
  const asked = { id, channel, question, timeoutMs };
  const { answers, silent } = await local.ask({ ...asked, most: most || Number.MAX_SAFE_INTEGER });
  const told = answers.map(({ sessionId, userId, clientId, payload, error }) => ({
    sessionId,
    userId,
    clientId,
    ...(payload === undefined ? {} : { payload }),
    ...(error === undefined ? {} : { error: errorMessage(error) }),
  }));
  return { case: "survey", value: { answers: told, silent: [...silent] } };
}

/** The time is over. As an error it is one that may pass. */
class Late extends MessagingError {
  constructor() {
    super("UNAVAILABLE", "it is not known in time who is subscribed");
  }
}

function reasonOf(error: unknown): UnreachedReason {
  if (error instanceof Late) return "timeout";
  const { code } = MessagingError.from(error);
  if (code === "RATE_LIMITED") return "busy";
  return code === "UNAVAILABLE" ? "unavailable" : "failed";
}
