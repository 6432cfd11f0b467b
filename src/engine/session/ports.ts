/** What a session needs of the node around it. */
import type { Counters } from "../counters.ts";
import type { Marked, MarkTimer } from "../mark-timer.ts";
import type { Backends } from "../ports/backends.ts";
import type { Clock, Random, Timers } from "../ports/platform.ts";
import type { PublishGate } from "../publish-gate.ts";
import type { Settings } from "../settings/settings.ts";
import type { ChannelsHost } from "../subscription/ports.ts";
import type { Surveys } from "../survey.ts";
import type { FlowLimits } from "./flow-control.ts";
import type { SharedIntake } from "./intake.ts";

/** The node, as its sessions see it. */
export interface SessionHost extends ChannelsHost {
  readonly clock: Clock;
  readonly random: Random;
  readonly timers: Timers;
  readonly backends: Backends;
  readonly settings: Settings;
  readonly flowLimits: FlowLimits;
  readonly surveys: Surveys;
  readonly marks: MarkTimer;
  readonly counters: Counters;
  /** What v1 clients have under way on this node. */
  readonly intake: SharedIntake;
  readonly publishGate: PublishGate;
  /** The time that silence is measured with, in milliseconds. */
  steadyNow(): number;
  /** This node has closed a session. */
  closed(code: number): void;
  /** A session has ended. */
  forget(session: EndedSession): void;
}

export interface EndedSession extends Marked {
  readonly id: string;
}
