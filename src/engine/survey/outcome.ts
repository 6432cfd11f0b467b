/** What is asked in a survey, and what comes of it. */
import type { MessagingError } from "../../protocol/errors.ts";
import type { CloudEvent } from "../../protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { Cancellation } from "../ports/backends.ts";

export interface SurveyOptions {
  /** How long to wait for answers, in milliseconds. Default 5 s, at most 60 s. */
  readonly timeoutMs?: number;
  /**
   * Says when the answers are no longer waited for: the survey ends then with those that there are, and takes no
   * place. Default: they are, until it ends by itself.
   */
  readonly cancellation?: Cancellation | undefined;
}

/** What one session said: an event, an error, or an event without data. */
export interface SurveyAnswer {
  readonly sessionId: string;
  /** The authenticated user; empty without authentication. */
  readonly userId: string;
  /** The client's own name for itself; never authenticated. */
  readonly clientId: string;
  readonly payload: CloudEvent | undefined;
  /** Of its own; TOO_LARGE in the place of an answer that was longer than it may be, or had no room any more. */
  readonly error: MessagingError | undefined;
}

/** Why it is not known what the sessions of a node have answered. */
export const UNREACHED_REASONS = ["timeout", "unavailable", "busy", "failed"] as const;
export type UnreachedReason = (typeof UNREACHED_REASONS)[number];

export interface UnreachedNode {
  readonly node: string;
  /**
   * `timeout`: it has not answered in time; `unavailable`: it cannot be reached; `busy`: it has as many open surveys
   * as it may have; `failed`: anything else, which its log reports.
   */
  readonly reason: UnreachedReason;
}

export interface SurveyOutcome {
  /** Those of one node in the order of their arrival, at most one for each session. */
  readonly answers: readonly SurveyAnswer[];
  /** Ids of the sessions that were asked and have not answered. */
  readonly silent: readonly string[];
  /** Nodes that did not say in time what their sessions answered; which sessions they asked is not known. */
  readonly unreached: readonly UnreachedNode[];
}

/** The part of one node. */
export type NodeSurvey = Omit<SurveyOutcome, "unreached">;

/** A question to subscribers of a channel on one node. */
export interface NodeQuestion {
  /** Becomes the request id of the question and the id of its event. */
  readonly id: string;
  /** Becomes the event's source, so that v1 clients know where the question comes from. */
  readonly channel: string;
  /** Canonical. */
  readonly question: CloudEvent;
  readonly timeoutMs: number;
  /** How many are asked, in the order in which they came. */
  readonly most: number;
  /** A session that is not asked. */
  readonly except?: string | undefined;
}
