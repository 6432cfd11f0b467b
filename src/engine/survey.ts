/**
 * Surveys: a node asks every subscriber of a channel that it has and gathers the answers. Its part of a
 * survey ends when all who were asked have answered or left, or when the time is over; who said nothing
 * is named.
 */
import { create } from "@bufbuild/protobuf";
import { attribute, canonicalEvent } from "../protocol/cloudevents.ts";
import { MessagingError } from "../protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { SurveyResponse } from "../protocol/gen/messageloop/v1/service_pb.js";
import { MAX_SURVEY_TIMEOUT_MS, SURVEY_TIMEOUT_MS } from "../protocol/limits.ts";
import type { Timers } from "./ports/platform.ts";

/** The event type of a question that names none, and its content type, as in v0.1.1. */
const QUESTION_TYPE = "com.messageloop.survey";
const QUESTION_CONTENT_TYPE = "application/octet-stream";

export interface SurveyOptions {
  /** How long to wait for answers, in milliseconds. Default 5 s, at most 60 s. */
  readonly timeoutMs?: number;
}

/** What one session said: an event, an error, or an event without data. */
export interface SurveyAnswer {
  readonly sessionId: string;
  readonly payload: CloudEvent | undefined;
  readonly error: MessagingError | undefined;
}

export interface SurveyOutcome {
  /** In the order of their arrival, at most one for each session. */
  readonly answers: readonly SurveyAnswer[];
  /** Ids of the sessions that were asked and have not answered. */
  readonly silent: readonly string[];
  /** Nodes that did not say in time what their sessions answered; whom they asked is not known. */
  readonly unreached: readonly string[];
}

/** The part of one node. */
export type NodeSurvey = Omit<SurveyOutcome, "unreached">;

/** A session that can be asked. */
export interface Respondent {
  readonly id: string;
  ask(requestId: string, question: CloudEvent): void;
}

/** The surveys of a node, for those who bring answers by a transport of their own. */
export type OpenSurveys = Pick<Surveys, "answer" | "size">;

export class Surveys {
  readonly #timers: Timers;
  readonly #open = new Map<string, OpenSurvey>();
  #dropped = 0;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Surveys that still wait for answers. */
  get size(): number {
    return this.#open.size;
  }

  /** Answers nobody waited for: not asked, said twice, or too late. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Asks. The question's id becomes the request id and its source the channel, so that v1 clients
   * know where it comes from.
   *
   * @throws MessagingError BAD_REQUEST for an event that the door would refuse.
   */
  async ask(
    id: string,
    channel: string,
    question: CloudEvent,
    respondents: readonly Respondent[],
    { timeoutMs = SURVEY_TIMEOUT_MS }: SurveyOptions = {},
  ): Promise<NodeSurvey> {
    const event = questionEvent(id, channel, canonicalEvent(question));
    if (respondents.length === 0) return { answers: [], silent: [] };
    return await new Promise<NodeSurvey>((resolve) => {
      const survey: OpenSurvey = {
        awaited: new Set(respondents.map((respondent) => respondent.id)),
        gone: [],
        answers: [],
        finish: () => {
          if (!this.#open.delete(id)) return;
          stop();
          resolve({ answers: survey.answers, silent: [...survey.awaited, ...survey.gone] });
        },
      };
      const stop = this.#timers.after(Math.min(timeoutMs, MAX_SURVEY_TIMEOUT_MS), survey.finish);
      this.#open.set(id, survey);
      for (const respondent of respondents) respondent.ask(id, event);
    });
  }

  /**
   * Takes a session's answer; the first one counts.
   *
   * @throws MessagingError BAD_REQUEST for an event that the door would refuse.
   */
  answer(sessionId: string, requestId: string, response: SurveyResponse): void {
    const survey = this.#open.get(requestId);
    if (survey === undefined || !survey.awaited.has(sessionId)) {
      this.#dropped += 1;
      return;
    }
    const { payload, error } = response;
    survey.answers.push({
      sessionId,
      payload: payload === undefined ? undefined : canonicalEvent(payload),
      error: error === undefined ? undefined : MessagingError.fromMessage(error),
    });
    survey.awaited.delete(sessionId);
    if (survey.awaited.size === 0) survey.finish();
  }

  /** A session has ended: nobody waits for it any more. */
  left(sessionId: string): void {
    for (const survey of [...this.#open.values()]) {
      if (!survey.awaited.delete(sessionId)) continue;
      survey.gone.push(sessionId);
      if (survey.awaited.size === 0) survey.finish();
    }
  }
}

interface OpenSurvey {
  readonly awaited: Set<string>;
  /** Asked, and gone before they answered. */
  readonly gone: string[];
  readonly answers: SurveyAnswer[];
  finish(): void;
}

function questionEvent(id: string, channel: string, event: CloudEvent): CloudEvent {
  return create(CloudEventSchema, {
    ...event,
    id,
    source: channel,
    type: event.type || QUESTION_TYPE,
    attributes: {
      datacontenttype: attribute({ case: "ceString", value: QUESTION_CONTENT_TYPE }),
      ...event.attributes,
    },
  });
}
