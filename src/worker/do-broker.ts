/**
 * The broker of a gateway: the channel objects are its cluster. This is the gateway's side of the
 * contract between the two; `channel-fan-out.ts` is the other.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type {
  Broker,
  BrokerHandler,
  Logger,
  Position,
  PublishCommand,
  PublishResult,
  Random,
} from "../engine/ports.ts";
import {
  DeliverRequestSchema,
  type Entry,
  EntryBodySchema,
  PublishItemSchema,
  ReadRequestSchema,
  ReadResponseSchema,
  SubscribeRequestSchema,
  SubscribeResponseSchema,
  UnsubscribeRequestSchema,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { PublishQueue, retrying } from "./publish-queue.ts";
import { unavailable, withDeadline } from "./timers.ts";

/** A channel object as the gateway sees it. Each call may throw and then breaks the stub. */
export interface ChannelStub {
  subscribe(request: Uint8Array): Promise<Uint8Array>;
  unsubscribe(request: Uint8Array): Promise<void>;
  publish(request: Uint8Array): Promise<Uint8Array>;
  read(request: Uint8Array): Promise<Uint8Array>;
}

/** What this gateway has registered, kept so that a later life can take it back. */
export interface RegistrationTable {
  get(channel: string): string | undefined;
  set(channel: string, registration: string): void;
  /** Removes the row if it still holds this registration. */
  delete(channel: string, registration: string): void;
  all(): Iterable<{ readonly channel: string; readonly registration: string }>;
}

export interface DurableObjectBrokerOptions {
  /** Name of this gateway. */
  readonly gateway: string;
  /** A fresh stub of a channel's object. */
  readonly channel: (name: string) => ChannelStub;
  readonly registrations: RegistrationTable;
  /** Whether a session of this gateway wants the channel. */
  readonly wanted: (channel: string) => boolean;
  readonly random: Random;
  readonly logger: Logger;
}

export interface BrokerStats {
  /** Channels that this gateway is registered with, or that still have to be told that it is not. */
  readonly registrations: number;
  /** Channels with publishes that wait for their acknowledgement. */
  readonly publishing: number;
}

export class DurableObjectBroker implements Broker {
  readonly #options: DurableObjectBrokerOptions;
  readonly #channels = new Map<string, ChannelState>();
  #handler: BrokerHandler | undefined;

  constructor(options: DurableObjectBrokerOptions) {
    this.#options = options;
  }

  start(handler: BrokerHandler): void {
    this.#handler = handler;
  }

  async subscribe(channel: string): Promise<Position> {
    const { gateway, random, registrations } = this.#options;
    const registration = random.uuid();
    const state = this.#state(channel);
    const first = state.registration === undefined && registrations.get(channel) === undefined;
    state.registration = registration;
    registrations.set(channel, registration);
    const request = toBinary(
      SubscribeRequestSchema,
      create(SubscribeRequestSchema, { gateway, registration }),
    );
    // A repeated call registers the same id again, which changes nothing.
    const answer = await retrying((ms) =>
      withDeadline(this.#call(channel, "subscribe", request), ms),
    );
    const { position } = fromBinary(SubscribeResponseSchema, answer);
    if (position === undefined || position.epoch === "") {
      throw unavailable("the channel gave no position");
    }
    const head = { epoch: position.epoch, offset: Number(position.offset) };
    // Where others here listened before, their deliveries may still be on the way: a channel that was
    // forgotten in a sleep stays so until the next delivery says where they are.
    if (first && state.registration === registration) state.last ??= head;
    return head;
  }

  unsubscribe(channel: string): void {
    const state = this.#state(channel);
    const registration = state.registration ?? this.#options.registrations.get(channel);
    state.last = undefined;
    state.registration = undefined;
    this.#forget(channel, state);
    if (registration !== undefined) void this.#unregister(channel, registration);
  }

  publish(channel: string, command: PublishCommand): Promise<PublishResult> {
    const state = this.#state(channel);
    const body = toBinary(EntryBodySchema, command.body);
    const result = state.outbox.push(create(PublishItemSchema, { key: command.key, body }));
    return result.finally(() => this.#forget(channel, state));
  }

  seen(channel: string): Position | undefined {
    return this.#channels.get(channel)?.last;
  }

  stats(): BrokerStats {
    const outboxes = [...this.#channels.values()].filter(({ outbox }) => !outbox.idle);
    return {
      registrations: [...this.#options.registrations.all()].length,
      publishing: outboxes.length,
    };
  }

  /**
   * A deliver call from a channel. Without a hole everything down to the sockets happens in this
   * synchronous step; the promise is only for the case that the hole must be read back first.
   *
   * @returns whether this gateway has no subscriber for the channel.
   */
  deliver(bytes: Uint8Array): boolean | Promise<boolean> {
    const { channel, epoch, prev, entries } = fromBinary(DeliverRequestSchema, bytes);
    if (!this.#options.wanted(channel)) return true;
    const state = this.#state(channel);
    const run = { epoch, prev: Number(prev), entries };
    if (state.reading === undefined && !behind(state, run)) {
      this.#take(channel, state, run);
      return false;
    }
    const reading = (state.reading ?? Promise.resolve())
      .then(() => this.#fill(channel, state, run))
      .finally(() => {
        if (state.reading === settled) state.reading = undefined;
      });
    const settled = reading.catch(() => {});
    state.reading = settled;
    return reading.then(() => false);
  }

  /** Takes back what earlier lives registered and no session here wants any more. */
  async sweep(): Promise<void> {
    const { registrations, wanted } = this.#options;
    const stale = [...registrations.all()].filter(({ channel }) => !wanted(channel));
    await Promise.all(stale.map((row) => this.#unregister(row.channel, row.registration)));
  }

  /** Reads what lies between the last entry taken and the run, hands it over, then the run. */
  async #fill(channel: string, state: ChannelState, run: Run): Promise<void> {
    while (behind(state, run)) {
      const after = state.last?.offset ?? 0;
      const request = create(ReadRequestSchema, { after: BigInt(after), until: BigInt(run.prev) });
      const answer = await retrying((ms) =>
        withDeadline(this.#call(channel, "read", toBinary(ReadRequestSchema, request)), ms),
      );
      if (!this.#options.wanted(channel)) return;
      const { epoch, entries } = fromBinary(ReadResponseSchema, answer);
      const first = entries[0];
      if (epoch !== run.epoch || first === undefined) {
        this.#options.logger.warn("hole in a channel", { from: after + 1, until: run.prev });
        break;
      }
      if (Number(first.offset) > after + 1) {
        this.#options.logger.warn("hole in a channel", {
          from: after + 1,
          until: Number(first.offset) - 1,
        });
      }
      this.#take(channel, state, { epoch, prev: Number(first.offset) - 1, entries });
    }
    this.#take(channel, state, run);
  }

  /** Hands over the entries of a run that are new here. */
  #take(channel: string, state: ChannelState, run: Run): void {
    const known = state.last?.epoch === run.epoch ? state.last.offset : run.prev;
    const fresh = run.entries.filter((entry) => Number(entry.offset) > known);
    const newest = fresh.at(-1);
    state.last = { epoch: run.epoch, offset: newest === undefined ? known : Number(newest.offset) };
    if (fresh.length > 0) this.#handler?.publications(channel, run.epoch, fresh);
  }

  async #unregister(channel: string, registration: string): Promise<void> {
    const { gateway, registrations } = this.#options;
    const request = create(UnsubscribeRequestSchema, { gateway, registration });
    try {
      const bytes = toBinary(UnsubscribeRequestSchema, request);
      await retrying((ms) => withDeadline(this.#call(channel, "unsubscribe", bytes), ms));
      registrations.delete(channel, registration);
    } catch (error) {
      // The row stays: a later sweep tries again, and a delivery meanwhile is answered with "gone".
      this.#options.logger.warn("unsubscribe failed", { error: String(error) });
    } finally {
      this.#forget(channel, this.#state(channel));
    }
  }

  /** One stub per channel while it works: calls on one stub keep their order. */
  async #call<Method extends keyof ChannelStub>(
    channel: string,
    method: Method,
    request: Uint8Array,
  ): Promise<Awaited<ReturnType<ChannelStub[Method]>>> {
    const state = this.#state(channel);
    state.stub ??= this.#options.channel(channel);
    const stub = state.stub;
    try {
      const answer = (stub[method] as (bytes: Uint8Array) => ReturnType<ChannelStub[Method]>)(
        request,
      );
      return await answer;
    } catch (error) {
      if (state.stub === stub) state.stub = undefined;
      throw error;
    }
  }

  #state(channel: string): ChannelState {
    let state = this.#channels.get(channel);
    if (state === undefined) {
      state = {
        registration: undefined,
        last: undefined,
        reading: undefined,
        stub: undefined,
        outbox: new PublishQueue((request) => this.#call(channel, "publish", request)),
      };
      this.#channels.set(channel, state);
    }
    return state;
  }

  /** Drops the state of a channel that nobody here listens or publishes to. */
  #forget(channel: string, state: ChannelState): void {
    if (state.outbox.idle && !this.#options.wanted(channel) && state.registration === undefined) {
      this.#channels.delete(channel);
    }
  }
}

function behind(state: ChannelState, run: Run): boolean {
  return state.last !== undefined && state.last.epoch === run.epoch && state.last.offset < run.prev;
}

interface Run {
  readonly epoch: string;
  readonly prev: number;
  readonly entries: readonly Entry[];
}

interface ChannelState {
  /** The newest registration this life has made. */
  registration: string | undefined;
  /** The last entry handed over; undefined while unknown, as after a sleep. */
  last: Position | undefined;
  /** Deliveries wait in line while a hole is being read back. Never rejects. */
  reading: Promise<void> | undefined;
  stub: ChannelStub | undefined;
  readonly outbox: PublishQueue;
}
