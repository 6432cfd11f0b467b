/** What a session needs of the node around it. */
import type { Counters } from "../counters.ts";
import type { FrameWatch } from "../frames/watch.ts";
import type { Marked, MarkTimer } from "../mark-timer.ts";
import type { Authorizer } from "../ports/access.ts";
import type { Backends } from "../ports/backends.ts";
import type { Identity } from "../ports/identity.ts";
import type { Lifecycle } from "../ports/lifecycle.ts";
import type { Clock, Random, Timers } from "../ports/platform.ts";
import type { Tracer } from "../ports/tracing.ts";
import type { PublishGate } from "../publishing/publish-gate.ts";
import type { Settings } from "../settings/settings.ts";
import type { Occupancy } from "../subscription/occupancy.ts";
import type { ChannelsHost } from "../subscription/ports.ts";
import type { SurveyRuns } from "../survey/survey-run.ts";
import type { Surveys } from "../survey/surveys.ts";
import type { FlowLimits } from "./flow-control.ts";
import type { SharedIntake } from "./intake.ts";

/** The node, as its sessions see it. */
export interface SessionHost extends ChannelsHost {
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly backends: Backends;
  /** The backends that hear of the lives of sessions; undefined where there are none. */
  readonly lifecycle: Lifecycle | undefined;
  /** Undefined where nothing is traced. */
  readonly tracer: Tracer | undefined;
  readonly authorizer: Authorizer;
  readonly occupancy: Occupancy;
  readonly settings: Settings;
  readonly flowLimits: FlowLimits;
  readonly surveys: Surveys;
  /** Surveys of all nodes. */
  readonly surveyRuns: SurveyRuns;
  /** Looks at frames while somebody traces them. */
  readonly watch: FrameWatch | undefined;
  readonly marks: MarkTimer;
  readonly counters: Counters;
  /** What v1 clients have under way on this node. */
  readonly intake: SharedIntake;
  readonly publishGate: PublishGate;
  /** The time that silence is measured with, in milliseconds. */
  steadyNow(): number;
  /** Has the host look at the sessions by this time, Unix milliseconds. */
  lookBy(time: number): void;
  /** This node closes a session, which has its channels still. */
  closed(code: number, session: ClosedSession): void;
  /**
   * A session has authenticated, or has brought a new token. Resolves when it can be found by its user, or when that
   * cannot be waited for, or must not go on; undefined where there is nothing to ask. Never rejects.
   */
  enter(identity: Identity, sessionId: string): Promise<Entrance> | undefined;
  /** A session has ended. */
  forget(session: EndedSession): void;
}

/** Whether a session may go on: not with a revoked token, and not where its user has enough of them. */
export type Entrance = "entered" | "revoked" | "full";

export interface ClosedSession {
  readonly id: string;
  readonly channels: readonly string[];
}

export interface EndedSession extends Marked {
  readonly id: string;
  readonly userId: string;
}
