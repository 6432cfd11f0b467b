/** What the requests of one session work with, and what they have in common. */
import { DISCONNECTS } from "../../../protocol/codes.ts";
import { type MessagingError, rateLimited } from "../../../protocol/errors.ts";
import type { MessageKind } from "../../settings/settings.ts";
import { Slots } from "../../slots.ts";
import type { SessionChannels } from "../../subscription/session-channels.ts";
import { SurveyTurn } from "../../survey/survey-turn.ts";
import { TokenBucket } from "../../token-bucket.ts";
import { BackendCalls } from "../backend-calls.ts";
import type { ChannelOrder } from "../channel-order.ts";
import type { Client } from "../client.ts";
import type { FlowControl } from "../flow-control.ts";
import type { Intake } from "../intake.ts";
import type { SessionHost } from "../ports.ts";
import type { Replies, RepliesOwner } from "../replies.ts";
import { SessionLifecycle } from "./lifecycle.ts";

/** How long a client should wait when too much of its own is under way, in milliseconds. */
const BUSY_RETRY_MS = 1_000;

/** The session, as its requests see it. */
export interface RequestSession extends RepliesOwner {
  readonly connected: boolean;
  /** Where the client connects from; empty where it is unknown, as after a sleep of the host. */
  readonly address: string;
  /** Whether it has ended meanwhile. */
  readonly ended: boolean;
  /** Has a host that sleeps keep what the session is now. */
  save(): void;
  /** Has such a host keep the marks, soon. */
  changed(): void;
}

/** The part of a request that takes its turn in the channels that it names. */
export interface Work {
  readonly channels: readonly string[];
  readonly run: () => Promise<void>;
}

/** The parts of a session that its requests share. */
export interface SessionParts {
  readonly node: SessionHost;
  readonly session: RequestSession;
  readonly client: Client;
  readonly channels: SessionChannels;
  readonly order: ChannelOrder;
  readonly intake: Intake;
  readonly flow: FlowControl;
  readonly replies: Replies;
}

export class RequestContext implements SessionParts {
  readonly node: SessionHost;
  readonly session: RequestSession;
  readonly client: Client;
  readonly channels: SessionChannels;
  readonly order: ChannelOrder;
  readonly intake: Intake;
  readonly flow: FlowControl;
  readonly replies: Replies;
  /** Undefined where no backend hears of it. */
  readonly lifecycle: SessionLifecycle | undefined;
  /** Undefined where publishes are not limited. */
  readonly publishes: TokenBucket | undefined;
  /** Request id of the last survey that this client asked. */
  lastSurvey = "";
  /** Whether a new token of the connection is being looked at. */
  refreshing = false;
  /** Each is made when it is needed for the first time: most sessions need none. */
  #backend: BackendCalls | undefined;
  #rpcs: Slots | undefined;
  #surveys: SurveyTurn | undefined;

  constructor({ node, session, client, channels, order, intake, flow, replies }: SessionParts) {
    this.node = node;
    this.session = session;
    this.client = client;
    this.channels = channels;
    this.order = order;
    this.intake = intake;
    this.flow = flow;
    this.replies = replies;
    if (node.lifecycle !== undefined) {
      this.lifecycle = new SessionLifecycle(node, node.lifecycle, client);
    }
    const { publishesPerSecond: rate, publishBurst } = node.settings;
    if (rate > 0) this.publishes = new TokenBucket(rate, publishBurst, node.steadyNow());
  }

  get backend(): BackendCalls {
    this.#backend ??= new BackendCalls(this.node);
    return this.#backend;
  }

  /** RPCs that wait for their answer; authorization asks the same backends and takes no place. */
  get rpcs(): Slots {
    this.#rpcs ??= new Slots(this.node.settings.maxInFlightRpcs);
    return this.#rpcs;
  }

  /** Surveys that this client starts. */
  get surveys(): SurveyTurn {
    this.#surveys ??= new SurveyTurn(this.node.settings.surveysPerMinute, this.node.steadyNow());
    return this.#surveys;
  }

  /** Backend calls that wait for their answer. */
  get openCalls(): number {
    return this.#backend?.size ?? 0;
  }

  /** The session has ended: nobody waits for a backend or a survey any more. */
  cancel(): void {
    this.#backend?.cancelAll();
    this.#surveys?.cancel();
    this.#rpcs?.clear();
  }
}

/** @param retryAfterMs how long the client should wait, in milliseconds */
export function busy(message: string, retryAfterMs = BUSY_RETRY_MS): MessagingError {
  return rateLimited(message, retryAfterMs);
}

/** Closes a session that says what this deployment does not hear. Returns whether it does. */
export function switchedOff(
  { node, session }: RequestContext,
  kind: MessageKind | undefined,
): boolean {
  if (kind === undefined || !node.settings.disabledMessages.includes(kind)) return false;
  session.close(DISCONNECTS.notAvailable);
  return true;
}
