/** What the sessions of one node share. The engine makes it and hands it to each session; it is for them alone. */
import { RuleAuthorizer } from "../access/authorizer.ts";
import type { Snapshot } from "../channels/presence.ts";
import type { RuleBook } from "../channels/rules.ts";
import { DISCONNECTS } from "../protocol/codes.ts";
import { MAX_UNHEARD_BYTES } from "../protocol/limits.ts";
import type { EncodingCounters, FrameStamp } from "../protocol/publication-frames.ts";
import type { HostCapabilities } from "./capabilities.ts";
import { Counters } from "./counters.ts";
import { errorText } from "./error-text.ts";
import { Traces } from "./frames/traces.ts";
import type { FrameWatch } from "./frames/watch.ts";
import { MarkTimer } from "./mark-timer.ts";
import type { Authorizer } from "./ports/access.ts";
import type { Backends } from "./ports/backends.ts";
import type { Broker } from "./ports/broker.ts";
import type { Directory } from "./ports/directory.ts";
import type { Identity } from "./ports/identity.ts";
import type { Lifecycle } from "./ports/lifecycle.ts";
import type { Clock, Logger, Random, Timers } from "./ports/platform.ts";
import { revokes } from "./ports/revocations.ts";
import type { Tracer } from "./ports/tracing.ts";
import { PublishGate } from "./publishing/publish-gate.ts";
import type { FlowLimits } from "./session/flow-control.ts";
import type { SharedIntake } from "./session/intake.ts";
import type { ClosedSession, EndedSession, Entrance, SessionHost } from "./session/ports.ts";
import { membersFrame } from "./session/presence-frames.ts";
import type { Session } from "./session/session.ts";
import { DEFAULT_SETTINGS, type Settings } from "./settings/settings.ts";
import { Hub } from "./subscription/hub.ts";
import { NewChannels } from "./subscription/new-channels.ts";
import { Occupancy } from "./subscription/occupancy.ts";
import { SharedReads } from "./subscription/recovery/shared-reads.ts";
import type { PresenceNotice } from "./subscription/replay-buffer.ts";
import { SurveyRuns } from "./survey/survey-run.ts";
import { Surveys } from "./survey/surveys.ts";
import { Turns } from "./turns.ts";

/** Channels of a slow consumer that are named: it may have had thousands. */
const MAX_NAMED_CHANNELS = 8;

/** What a host gives to a node. */
export interface NodeOptions {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly timers: Timers;
  /** Calls back in the next turn of the event loop. Default: a timer of no time. */
  readonly nextTurn?: (callback: () => void) => void;
  /**
   * Asks the host to call `Engine.expire` by this time of the steady clock, in milliseconds, where it would not do so
   * sooner: a session has come whose token expires. Default: tokens are looked at whenever the host calls it anyway.
   */
  readonly lookBy?: (at: number) => void;
  readonly capabilities: HostCapabilities;
  /**
   * Bytes that a client without credit may be sent between two signs of life, where the host does not
   * see what its sockets hold back. Default 32 MiB.
   */
  readonly maxUnheardBytes?: number;
  /** The application's backends. Default none. */
  readonly backends?: Backends;
  /** @deprecated Use `backends`. */
  readonly proxy?: Backends;
  /** Where the lives of sessions are reported. Default: nowhere. */
  readonly lifecycle?: Lifecycle | undefined;
  /** Makes the spans of operations. Default: nothing is traced. */
  readonly tracer?: Tracer | undefined;
  readonly settings?: Settings;
}

export class Node implements SessionHost {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly timers: Timers;
  readonly backends: Backends;
  readonly lifecycle: Lifecycle | undefined;
  readonly tracer: Tracer | undefined;
  readonly authorizer: Authorizer;
  readonly settings: Settings;
  readonly rules: RuleBook;
  readonly flowLimits: FlowLimits;
  readonly hub: Hub;
  readonly turns: Turns;
  readonly reads = new SharedReads();
  readonly occupancy = new Occupancy();
  readonly surveys: Surveys;
  readonly surveyRuns: SurveyRuns;
  readonly marks: MarkTimer;
  readonly traces = new Traces(this);
  watch: FrameWatch | undefined;
  readonly counters = new Counters();
  readonly intake: SharedIntake = { waiting: 0, open: 0 };
  readonly publishGate: PublishGate;
  /** By id; connected or not yet. */
  readonly sessions = new Map<string, Session>();
  /** Sessions that the node has closed, by code. */
  readonly disconnects = new Map<number, number>();
  readonly encoding: EncodingCounters = { encoded: [0, 0, 0, 0, 0, 0], decoded: 0 };
  /** What every frame of publications takes from the node. */
  readonly stamp: FrameStamp;
  readonly #lookBy: ((at: number) => void) | undefined;

  constructor(options: NodeOptions) {
    this.broker = options.broker;
    this.clock = options.clock;
    this.random = options.random;
    this.logger = options.logger;
    this.timers = options.timers;
    this.backends = options.backends ?? options.proxy ?? {};
    this.lifecycle = options.lifecycle;
    this.tracer = options.tracer;
    this.settings = options.settings ?? DEFAULT_SETTINGS;
    this.rules = this.settings.rules;
    this.authorizer = new RuleAuthorizer(this.settings.access, this.logger);
    this.#lookBy = options.lookBy;
    this.flowLimits = {
      credit: this.settings.creditBytes,
      bytesSinceHeard: options.capabilities.observesBackpressure
        ? undefined
        : (options.maxUnheardBytes ?? MAX_UNHEARD_BYTES),
    };
    const soon = (callback: () => void): void => {
      this.timers.after(0, callback);
    };
    this.turns = new Turns(this.clock, options.nextTurn ?? soon);
    this.hub = new Hub(new NewChannels(this));
    this.surveys = new Surveys({
      timers: this.timers,
      limits: this.settings,
      now: () => this.clock.now(),
      respondents: (channel) => this.#respondents(channel),
    });
    this.surveyRuns = new SurveyRuns({
      cluster: this.broker.cluster,
      local: this.surveys,
      limits: this.settings,
      counters: this.counters,
      timers: this.timers,
      steadyNow: () => this.steadyNow(),
    });
    this.marks = new MarkTimer(this.timers);
    this.publishGate = new PublishGate(this.broker, this.timers);
    this.stamp = {
      id: () => this.random.uuid(),
      now: () => this.clock.now(),
      counters: this.encoding,
      unencodable: (variant, error) =>
        this.logger.warn("publication without an encoding", { variant, error: String(error) }),
    };
  }

  steadyNow(): number {
    return this.clock.steady?.() ?? this.clock.now();
  }

  /** A time of the clock as the steady clock has it, in milliseconds. */
  steadyAt(time: number): number {
    return time - this.clock.now() + this.steadyNow();
  }

  lookBy(time: number): void {
    this.#lookBy?.(this.steadyAt(time));
  }

  closed(code: number, { channels, id: sessionId }: ClosedSession): void {
    this.disconnects.set(code, (this.disconnects.get(code) ?? 0) + 1);
    if (code !== DISCONNECTS.slowConsumer.code) return;
    const at = this.clock.now();
    const named = channels.length === 0 ? [""] : channels.slice(0, MAX_NAMED_CHANNELS);
    for (const channel of named) {
      this.counters.incidents.note({ kind: "slow_consumer", channel, reason: "", sessionId, at });
    }
  }

  enter(identity: Identity, sessionId: string): Promise<Entrance> | undefined {
    const { directory, revocations } = this.broker;
    const { userId } = identity;
    if (userId === "") return undefined;
    if (revocations?.revoked(identity)) return Promise.resolve("revoked");
    return directory && this.#join(directory, identity, sessionId);
  }

  async #join(directory: Directory, identity: Identity, sessionId: string): Promise<Entrance> {
    const { maxUserConnections } = this.settings;
    const session = { sessionId, since: this.clock.now() };
    try {
      const answer = await directory.join(identity.userId, session, maxUserConnections);
      if (answer.full) return "full";
      return answer.revocations.some((one) => revokes(one, identity)) ? "revoked" : "entered";
    } catch (error) {
      // The client need not suffer for it: the directory goes on trying.
      const fields = { session: sessionId, error: errorText(error) };
      this.logger.warn("a session cannot be found by its user yet", fields);
      return "entered";
    }
  }

  forget(session: EndedSession): void {
    this.sessions.delete(session.id);
    if (session.userId !== "") this.broker.directory?.leave(session.userId, session.id);
    this.marks.forget(session);
    this.surveys.left(session.id);
  }

  presenceNotice(channel: string, epoch: string, snapshot: Snapshot): PresenceNotice {
    const { maxMessageBytes } = this.settings;
    const frame = membersFrame(this, channel, epoch, snapshot, maxMessageBytes);
    return { member: undefined, generation: snapshot.generation, frame };
  }

  /** Sessions that can be asked in a survey of a channel. */
  #respondents(channel: string): readonly Session[] {
    return (
      this.hub
        .subscribers(channel)
        .map((subscriber) => this.sessions.get(subscriber.id))
        .filter((session) => session !== undefined)
        // A session that still connects has sent its client no subscription yet.
        .filter((session) => session.connected)
    );
  }
}
