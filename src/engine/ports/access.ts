/** What each user may do in which channel, as far as that is decided without asking the application. */
import type { MessagingError } from "../../protocol/errors.ts";

/** What a user may be allowed or refused to do in a channel. */
export const ACTIONS = ["subscribe", "publish", "presence", "history", "survey", "rpc"] as const;
export type Action = (typeof ACTIONS)[number];

/** What a token lets its bearer do in the channels of one pattern. */
export interface Grant {
  /** A pattern or a literal name. */
  readonly pattern: string;
  readonly actions: readonly Action[];
}

/** The user that wants to do something. One object for as long as nothing of it changes: decisions are remembered by it. */
export interface Subject {
  /** The authenticated user; empty for an anonymous one. */
  readonly userId: string;
  /** The client's own name for itself. */
  readonly clientId: string;
  /** Whether authentication vouches for that name. */
  readonly clientVouched: boolean;
  /** All that its token lets it do; undefined where the token says nothing of that. */
  readonly grants: readonly Grant[] | undefined;
}

/** Decides by rules and grants alone, at once. What it refuses no backend can allow. */
export interface Authorizer {
  /**
   * Why a subject may not do something: an ACL_ERROR that may be sent to the client, and says nothing of
   * whether the channel exists. Undefined is a yes.
   *
   * @param channel a channel, or a pattern: then all of its channels are meant
   * @example
   * const refusal = authorizer.refusal(subject, "publish", "chat.lobby");
   * if (refusal !== undefined) throw refusal;
   */
  refusal(subject: Subject, action: Action, channel: string): MessagingError | undefined;
  /**
   * Whether there may be a channel of a pattern in which a subject may do it. A yes may be wrong where several terms
   * rule out together what none of them rules out alone; a no is not.
   *
   * @param pattern a pattern or a literal name
   * @param except patterns; a channel of theirs is not meant
   */
  reaches(subject: Subject, action: Action, pattern: string, except: readonly string[]): boolean;
}
