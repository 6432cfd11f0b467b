/**
 * What a gateway has to report to one channel: that it wants it, and which of its sessions are present
 * there. All that changes in one turn of the event loop travels in one call, at most one call is in
 * flight, and what comes meanwhile goes with the next. A call is repeated as it is until its deadline;
 * one that fails for good leaves the registration unsettled, and the next one names all sessions.
 *
 * | state | since | the next call names |
 * | --- | --- | --- |
 * | settled | a call was answered, or there was never a session | the sessions that have come and gone since |
 * | unsettled | a call failed for good, the channel has lost what it knew, or an earlier life left a row | all sessions |
 */
import { create, toBinary } from "@bufbuild/protobuf";
import type { MemberSession } from "../../channels/presence.ts";
import { Rerun } from "../../engine/background.ts";
import type { Interest, Position, SubscribeResult } from "../../engine/ports/broker.ts";
import type { Random } from "../../engine/ports/platform.ts";
import { withDeadline } from "../../engine/ports/timers.ts";
import { unavailable } from "../../protocol/errors.ts";
import {
  type RegisterRequest,
  RegisterRequestSchema,
  type RegisterResponse,
  RegisterResponseSchema,
} from "../../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { CHANNEL_TIMEOUT_MS } from "../../protocol/limits.ts";
import { readAnswer } from "../calls/answers.ts";
import { positionOf } from "../calls/channel-calls.ts";
import { interestMessage } from "../calls/pattern-calls.ts";
import type { PatternInterest } from "../calls/pattern-interest.ts";
import { retrying, toChannel } from "../calls/retry.ts";
import type { ObjectPlatform } from "../ports/platform.ts";
import type { ChannelRegistrationRow, RegistrationTable } from "../ports/registrations.ts";
import type { Trouble } from "../trouble.ts";
import type { CallSlots } from "./call-slots.ts";
import type { Turn } from "./turn.ts";

/** What the registration needs from the gateway around it. */
export interface ChannelRegistrationHost {
  readonly gateway: string;
  /** Where this gateway is, as its host names regions. */
  readonly region: string;
  readonly channelRegistrations: RegistrationTable<ChannelRegistrationRow>;
  readonly random: Random;
  readonly platform: ObjectPlatform;
  /** Of calls to channels. */
  readonly channelTrouble: Trouble;
  readonly turn: Turn;
  /** The calls to channels. */
  readonly tellings: CallSlots;
  /** What the sessions of this gateway want to hear. */
  interest(): Interest;
  /** How this gateway hears the channel through patterns; undefined where it does not. */
  patternInterest(channel: string): PatternInterest | undefined;
  /** The next number of a request. */
  sequence(): number;
}

/** What the registration needs to know of its channel. */
export interface RegisteredChannel {
  readonly name: string;
  /** Of the log that the gateway is in; undefined while it knows none. */
  readonly epoch: string | undefined;
  /** Sends a RegisterRequest, answers a RegisterResponse. */
  register(request: Uint8Array): Promise<Uint8Array>;
  /** The channel is about to be registered, and no session here has listened to it yet. */
  beginning(): void;
  /** The channel has answered a registration; returns what its subscribers take as the head. */
  registered(position: Position, first: boolean): Position;
  /** The channel has answered where it is to a gateway that may have missed something. */
  confirmed(head: Position): void;
}

export class ChannelRegistration {
  readonly #host: ChannelRegistrationHost;
  readonly #channel: RegisteredChannel;
  readonly #joined = new Map<string, MemberSession>();
  /** Whether each has said that it goes. */
  readonly #left = new Map<string, boolean>();
  #subscribers: PendingAnswer<SubscribeResult>[] = [];
  #joiners: PendingAnswer<void>[] = [];
  /** Undefined until it was read. */
  #row: { current: ChannelRegistrationRow | undefined } | undefined;
  /** Whether a subscriber has been answered since somebody wanted the channel: its session may not have taken that up yet. */
  #answered = false;
  /** The channel may know members that are none, or miss some. */
  #unsettled = false;
  readonly #telling: Rerun;
  /** Resolves when the channel is called first, which may have to wait for calls to other channels. */
  #begun = Promise.withResolvers<void>();

  constructor(host: ChannelRegistrationHost, channel: RegisteredChannel) {
    this.#host = host;
    this.#channel = channel;
    this.#telling = new Rerun({
      collect: () => host.turn.next(),
      work: () => this.#tellAll(),
      logger: host.platform.logger,
      what: "telling a channel who is here",
    });
  }

  /** Whether nothing waits and nothing is in flight. */
  get idle(): boolean {
    return this.#telling.idle;
  }

  /** The newest registration that was sent, by this life or an earlier one; undefined when there is none. */
  get id(): string | undefined {
    return this.#stored.current?.id;
  }

  /** @throws MessagingError UNAVAILABLE when the channel does not answer in time. */
  subscribe(): Promise<SubscribeResult> {
    const { promise, ...waiting } = Promise.withResolvers<SubscribeResult>();
    this.#subscribers.push(waiting);
    this.#tellSoon();
    return this.#inTime(promise);
  }

  /** @throws MessagingError UNAVAILABLE when the channel does not answer in time. */
  join(session: MemberSession): Promise<void> {
    const { promise, ...waiting } = Promise.withResolvers<void>();
    this.#left.delete(session.sessionId);
    this.#joined.set(session.sessionId, session);
    this.#joiners.push(waiting);
    this.#tellSoon();
    return this.#inTime(promise);
  }

  leave(sessionId: string, clean: boolean): void {
    this.#joined.delete(sessionId);
    this.#left.set(sessionId, clean);
    this.#tellSoon();
  }

  /** Something that the channel has delivered may not have arrived: the channel is asked where it is. */
  doubt(): void {
    if (this.#stored.current === undefined) return;
    this.#unsettle();
    this.#tellSoon();
  }

  /** The channel has lost all that it knew. The next time that it is called it hears everything. */
  forgotten(): void {
    if (this.#stored.current === undefined) return;
    this.#host.channelRegistrations.delete(this.#channel.name);
    this.#row = { current: undefined };
    this.#unsettled = true;
  }

  /** Reports to the channel what holds now, when something has changed that was not reported yet. */
  async settle(): Promise<void> {
    this.#tellSoon();
    await this.#telling.ask();
  }

  #tellSoon(): void {
    if (this.#telling.idle) this.#begun = Promise.withResolvers();
    this.#telling.soon();
  }

  /** Reports all that has to be reported now, and answers all waiters, after a failure too. */
  async #tellAll(): Promise<void> {
    const [subscribers, joiners] = [this.#subscribers, this.#joiners];
    this.#subscribers = [];
    this.#joiners = [];
    try {
      const wanted = this.#host.interest().hasDirectSubscriber(this.#channel.name);
      const batch = this.#take(wanted, subscribers.length > 0);
      if (!wanted) {
        // The subscriber has gone meanwhile.
        for (const { reject } of subscribers) reject(unavailable("nobody wants the channel"));
        for (const { resolve } of joiners) resolve();
      }
      if (batch === undefined) return;
      const registration = await this.#tell(batch);
      this.#answered ||= wanted && subscribers.length > 0;
      for (const { resolve } of subscribers) resolve(registration);
      for (const { resolve } of joiners) resolve();
    } catch (error) {
      for (const { reject } of [...subscribers, ...joiners]) reject(error);
      this.#failed(error);
    } finally {
      this.#begun.resolve();
    }
  }

  /** The channel's time to answer does not run while it has not been called. */
  async #inTime<T>(outcome: Promise<T>): Promise<T> {
    outcome.catch(() => {});
    await this.#begun.promise;
    return await withDeadline(this.#host.platform.timers, outcome, CHANNEL_TIMEOUT_MS);
  }

  /**
   * Everything that has to be reported now, or undefined when the channel need not know.
   *
   * @param asked whether a subscriber waits for a registration
   */
  #take(wanted: boolean, asked: boolean): Batch | undefined {
    const { name } = this.#channel;
    const row = this.#stored.current;
    const left = [...this.#left].map(([sessionId, clean]) => ({ sessionId, clean }));
    const joined = new Map(wanted ? this.#joined : []);
    const gone = new Set(this.#left.keys());
    this.#joined.clear();
    this.#left.clear();
    if (!wanted) this.#answered = false;
    if (!wanted && row === undefined) return undefined;
    const complete = this.#unsettled;
    if (complete && wanted) {
      for (const session of this.#host.interest().members(name)) {
        if (!gone.has(session.sessionId)) joined.set(session.sessionId, session);
      }
    }
    // A gateway that was reset has the row and no listener: where it was means nothing now. One
    // that hears the channel through a pattern has no row and goes on.
    const first = !this.#answered && !this.#host.interest().hasActiveSubscriber(name);
    const fresh = wanted && (asked || row === undefined);
    const changes = fresh || !wanted || complete || joined.size > 0 || left.length > 0;
    if (!changes) return undefined;
    const registration = fresh ? this.#host.random.uuid() : "";
    if (fresh) {
      this.#store({ id: registration, unsettled: row?.unsettled ?? false });
      if (first) this.#channel.beginning();
    }
    const interest = this.#host.patternInterest(name);
    const request = create(RegisterRequestSchema, {
      ...(interest && { pattern: interestMessage(interest) }),
      gateway: this.#host.gateway,
      region: this.#host.region,
      sequence: BigInt(this.#host.sequence()),
      registration,
      presence: fresh && this.#host.interest().hasPresenceFollower(name),
      ended: wanted ? "" : (row?.id ?? ""),
      joined: [...joined.values()].map(({ sessionId, userId, clientId }) => ({
        sessionId,
        userId,
        clientId,
      })),
      left,
      complete,
    });
    return { request, first };
  }

  async #tell({ request, first }: Batch): Promise<SubscribeResult> {
    const { tellings } = this.#host;
    const answer = await tellings.run(() => {
      this.#begun.resolve();
      request.waiting = tellings.waiting;
      return this.#ask(toBinary(RegisterRequestSchema, request));
    });
    const head = positionOf(answer.position);
    this.#told(request);
    const position = request.registration === "" ? head : this.#channel.registered(head, first);
    if (request.complete) this.#channel.confirmed(head);
    return { position, generation: Number(answer.generation) };
  }

  /**
   * Calls the channel. Where a delivery has led this gateway into another log than that of the answer meanwhile, nobody
   * knows which of the two is the later one, and the channel is called again.
   */
  async #ask(request: Uint8Array): Promise<RegisterResponse> {
    const { channelTrouble, platform } = this.#host;
    for (;;) {
      const before = this.#channel.epoch;
      // A repeated call has the same number and registration, and changes nothing.
      const call = () => this.#channel.register(request);
      const answer = await retrying(call, toChannel(platform, channelTrouble));
      const response = readAnswer(RegisterResponseSchema, answer);
      const { epoch } = this.#channel;
      if (epoch === undefined || epoch === before || epoch === response.position?.epoch) {
        return response;
      }
    }
  }

  #told({ ended, complete }: RegisterRequest): void {
    const { name } = this.#channel;
    const row = this.#stored.current;
    if (ended !== "") {
      this.#host.channelRegistrations.delete(name);
      this.#row = { current: undefined };
    }
    if (!complete) return;
    this.#unsettled = false;
    if (ended === "" && row?.unsettled) this.#store({ ...row, unsettled: false });
  }

  /** The channel may have heard it or not. A later request names all sessions, at the latest a sweep's. */
  #failed(error: unknown): void {
    this.#host.channelTrouble.failed(error);
    this.#unsettle();
  }

  #unsettle(): void {
    this.#unsettled = true;
    const row = this.#row?.current;
    if (row === undefined || row.unsettled) return;
    try {
      this.#store({ ...row, unsettled: true });
    } catch (cause) {
      // A later life takes every row that it finds for unsettled.
      this.#host.platform.logger.warn("a registration cannot be noted", { error: String(cause) });
    }
  }

  #store(row: ChannelRegistrationRow): void {
    this.#host.channelRegistrations.set(this.#channel.name, row);
    this.#row = { current: row };
  }

  /** The channel's row. One that an earlier life has left says that its members may be lost. */
  get #stored(): { readonly current: ChannelRegistrationRow | undefined } {
    if (this.#row === undefined) {
      const current = this.#host.channelRegistrations.get(this.#channel.name);
      this.#row = { current };
      this.#unsettled ||= current !== undefined;
    }
    return this.#row;
  }
}

interface PendingAnswer<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

interface Batch {
  readonly request: RegisterRequest;
  /** No session here listened before. */
  readonly first: boolean;
}
