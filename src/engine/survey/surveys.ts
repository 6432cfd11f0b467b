/**
 * Surveys: a node asks every subscriber of a channel that it has and gathers the answers. Its part of a
 * survey ends when all that were asked have answered or left, or when the time is over; those that said nothing
 * are named.
 */
import { canonicalEvent } from "../../protocol/cloudevents.ts";
import { errorFrom, MessagingError, rateLimited } from "../../protocol/errors.ts";
import type { SurveyResponse } from "../../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_SURVEY_TIMEOUT_MS, SURVEYS_RETRY_MS } from "../../protocol/limits.ts";
import type { Timers } from "../ports/platform.ts";
import { AnswerBudget, bytesOf, withoutPayload } from "./answer-budget.ts";
import type { NodeQuestion, NodeSurvey, SurveyAnswer } from "./outcome.ts";
import { Question } from "./question.ts";

/** A session that can be asked. */
export interface Respondent {
  readonly id: string;
  readonly userId: string;
  readonly clientId: string;
  ask(question: Question): void;
}

/** The surveys of a node, for hosts that bring answers by a transport of their own. */
export type OpenSurveys = Pick<Surveys, "answer" | "size">;

export interface SurveyLimits {
  /** Bytes of one answer. */
  readonly surveyAnswerBytes: number;
  /** Bytes of all answers of one survey. */
  readonly surveyResultBytes: number;
  /** Surveys that may be open on the node. */
  readonly openSurveys: number;
}

export interface SurveysHost {
  readonly timers: Timers;
  readonly limits: SurveyLimits;
  /** Unix milliseconds. */
  now(): number;
  /** The sessions of this node that are subscribed to a channel, by its name or by a pattern. */
  respondents(channel: string): readonly Respondent[];
}

/** Surveys that are over before they have begun that a node remembers. */
const MAX_OVER = 1_000;

export class Surveys {
  readonly #host: SurveysHost;
  readonly #open = new Map<string, OpenSurvey>();
  /** Those that are over before they have begun here, the oldest first: between nodes calls may overtake each other. */
  readonly #over = new Set<string>();
  #dropped = 0;

  constructor(host: SurveysHost) {
    this.#host = host;
  }

  /** Surveys that still wait for answers. */
  get size(): number {
    return this.#open.size;
  }

  /** Answers that were not waited for: not asked, said twice, or too late. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * How many a survey would ask here.
   *
   * @throws MessagingError RATE_LIMITED where as many surveys are open as may be
   */
  audience(channel: string, except?: string): number {
    this.#checkRoom();
    return this.#respondents(channel, except).length;
  }

  /**
   * Asks. A call that comes again has the outcome of the first, and asks no session twice.
   *
   * @throws MessagingError RATE_LIMITED where as many surveys are open as may be
   */
  async ask(asked: NodeQuestion): Promise<NodeSurvey> {
    const { id, channel, question, timeoutMs, most, except } = asked;
    const known = this.#open.get(id);
    if (known !== undefined) return await known.outcome;
    if (this.#over.delete(id)) return { answers: [], silent: [] };
    const respondents = this.#respondents(channel, except).slice(0, most);
    if (respondents.length === 0) return { answers: [], silent: [] };
    this.#checkRoom();
    const { timers, limits, now } = this.#host;
    const { promise, resolve } = Promise.withResolvers<NodeSurvey>();
    const survey: OpenSurvey = {
      awaited: new Map(respondents.map((respondent) => [respondent.id, respondent])),
      gone: [],
      answers: [],
      budget: new AnswerBudget(limits.surveyResultBytes),
      outcome: promise,
      finish: () => {
        if (!this.#open.delete(id)) return;
        stop();
        resolve({ answers: survey.answers, silent: [...survey.awaited.keys(), ...survey.gone] });
      },
    };
    const stop = timers.after(Math.min(timeoutMs, MAX_SURVEY_TIMEOUT_MS), survey.finish);
    this.#open.set(id, survey);
    const put = new Question(id, channel, question, now());
    for (const respondent of respondents) respondent.ask(put);
    return await promise;
  }

  /**
   * Takes a session's answer; the first one counts.
   *
   * @throws MessagingError BAD_REQUEST for an event that the door would refuse: another answer may follow. TOO_LARGE
   *   for one that is longer than it may be: it has been noted as such.
   */
  answer(sessionId: string, requestId: string, response: SurveyResponse): void {
    const survey = this.#open.get(requestId);
    const respondent = survey?.awaited.get(sessionId);
    if (survey === undefined || respondent === undefined) {
      this.#dropped += 1;
      return;
    }
    const { userId, clientId } = respondent;
    const { payload, error } = response;
    const answer: SurveyAnswer = {
      sessionId,
      userId,
      clientId,
      payload: payload === undefined ? undefined : canonicalEvent(payload),
      error: error === undefined ? undefined : errorFrom(error),
    };
    const { surveyAnswerBytes: most } = this.#host.limits;
    const tooLong =
      bytesOf(answer) > most
        ? new MessagingError("TOO_LARGE", `an answer to a survey has at most ${most} bytes`)
        : undefined;
    const kept = tooLong === undefined ? answer : withoutPayload(answer, tooLong);
    survey.answers.push(survey.budget.fit(kept));
    survey.awaited.delete(sessionId);
    if (survey.awaited.size === 0) survey.finish();
    if (tooLong !== undefined) throw tooLong;
  }

  /** A survey is no longer waited for: it ends with what has been answered. */
  end(id: string): void {
    const survey = this.#open.get(id);
    if (survey !== undefined) {
      survey.finish();
      return;
    }
    this.#over.add(id);
    for (const oldest of this.#over) {
      if (this.#over.size <= MAX_OVER) break;
      this.#over.delete(oldest);
    }
  }

  /** A session has ended: it is no longer waited for. */
  left(sessionId: string): void {
    for (const survey of [...this.#open.values()]) {
      if (!survey.awaited.delete(sessionId)) continue;
      survey.gone.push(sessionId);
      if (survey.awaited.size === 0) survey.finish();
    }
  }

  #respondents(channel: string, except: string | undefined): readonly Respondent[] {
    return this.#host.respondents(channel).filter(({ id }) => id !== except);
  }

  #checkRoom(): void {
    if (this.#open.size >= this.#host.limits.openSurveys)
      throw rateLimited("too many surveys are open", SURVEYS_RETRY_MS);
  }
}

interface OpenSurvey {
  /** By id. */
  readonly awaited: Map<string, Respondent>;
  /** Asked, and gone before they answered. */
  readonly gone: string[];
  readonly answers: SurveyAnswer[];
  readonly budget: AnswerBudget;
  readonly outcome: Promise<NodeSurvey>;
  finish(): void;
}
