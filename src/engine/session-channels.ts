/**
 * The channels of one session: joining them with the broker's and the authorizer's consent, leaving
 * them, and what a sleeping host must remember of them.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { checkChannel } from "../channels/names.ts";
import { MessagingError } from "../protocol/errors.ts";
import type {
  SubscriptionRecord,
  SubscriptionRecordSchema,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import {
  type Subscription as SubscriptionMessage,
  SubscriptionSchema,
} from "../protocol/gen/messageloop/v1/service_pb.js";
import type { Hub, Subscriber, Subscription } from "./hub.ts";
import type { Broker, Position } from "./ports.ts";

/** What a request to join means for the session that makes it. */
export interface JoinTerms {
  /** An extended client keeps what was granted; a v1 client gets all or nothing. */
  readonly extended: boolean;
  /** Rejects with a MessagingError where this session may not subscribe. */
  authorize(channel: string, token: string): Promise<void>;
  /** Whether the session has ended meanwhile. */
  ended(): boolean;
}

export interface JoinOutcome {
  /** The entries of the acknowledgement, in the order of the request. */
  readonly acknowledged: SubscriptionMessage[];
  /** Held until `release`. */
  readonly joined: readonly Subscription[];
  /** Why entries were refused, one for each refused channel. */
  readonly errors: readonly MessagingError[];
}

export class SessionChannels {
  readonly #hub: Hub;
  readonly #broker: Broker;
  readonly #subscriber: Subscriber;
  readonly #subscriptions = new Map<string, Subscription>();
  /** Channels that are asked for and not decided yet; undefined while there are none. */
  #undecided: Set<string> | undefined;

  constructor(hub: Hub, broker: Broker, subscriber: Subscriber) {
    this.#hub = hub;
    this.#broker = broker;
    this.#subscriber = subscriber;
  }

  get names(): readonly string[] {
    return [...this.#subscriptions.keys()];
  }

  /** How many channels the session would have with these, if all that are asked for were granted. */
  sizeWith(requested: readonly SubscriptionMessage[]): number {
    const wanted = new Set(this.#undecided);
    for (const { channel } of requested) wanted.add(channel);
    for (const channel of this.#subscriptions.keys()) wanted.add(channel);
    return wanted.size;
  }

  /** Makes the subscriptions of a record live again. */
  restore(records: readonly SubscriptionRecord[]): void {
    for (const { channel, ephemeral, epoch, floor } of records) {
      const position = epoch === "" ? undefined : { epoch, offset: Number(floor) };
      this.#add({ channel, ephemeral, floor: position, held: undefined });
    }
  }

  records(): MessageInitShape<typeof SubscriptionRecordSchema>[] {
    return [...this.#subscriptions.values()]
      .filter((subscription) => subscription.floor !== undefined)
      .map(({ channel, ephemeral, floor }) => ({
        channel,
        ephemeral,
        epoch: floor?.epoch ?? "",
        floor: BigInt(floor?.offset ?? 0),
      }));
  }

  /** Registers the entries of one request with the broker, side by side. */
  async join(requested: readonly SubscriptionMessage[], terms: JoinTerms): Promise<JoinOutcome> {
    const unique = new Map(requested.map((entry) => [entry.channel, entry]));
    const positions = new Map<string, Position>();
    const joined: Subscription[] = [];
    const fresh: string[] = [];
    const errors = new Map<string, MessagingError>();
    this.#undecided ??= new Set();
    const undecided = this.#undecided;
    for (const channel of unique.keys()) undecided.add(channel);
    await Promise.all(
      [...unique.values()].map(async ({ channel, ephemeral, token }) => {
        const before = this.#subscriptions.get(channel);
        const subscription = before ?? { channel, ephemeral, floor: undefined, held: [] };
        try {
          checkChannel(channel);
          await terms.authorize(channel, token);
          if (terms.ended()) return;
          if (before === undefined) {
            this.#add(subscription);
            fresh.push(channel);
          }
          const position = await this.#position(channel, terms);
          if (terms.ended()) return;
          subscription.ephemeral = ephemeral;
          // A second subscribe of a live session moves nothing: it has taken what came before.
          subscription.floor ??= position;
          joined.push(subscription);
          positions.set(channel, position);
        } catch (error) {
          errors.set(channel, MessagingError.from(error));
          if (before === undefined) this.leave(channel);
        }
      }),
    );
    for (const channel of unique.keys()) undecided.delete(channel);
    if (undecided.size === 0) this.#undecided = undefined;
    if (errors.size > 0 && !terms.extended) {
      for (const channel of fresh) this.leave(channel);
      return { acknowledged: [], joined: [], errors: [...errors.values()] };
    }
    const acknowledged = requested.map((entry) =>
      acknowledgement(entry, terms, positions.get(entry.channel), errors.get(entry.channel)),
    );
    return { acknowledged, joined, errors: [...errors.values()] };
  }

  /** Lets what came in while the acknowledgement was being made go out. */
  release(subscriptions: readonly Subscription[]): void {
    for (const subscription of subscriptions) this.#hub.release(this.#subscriber, subscription);
  }

  leave(channel: string): void {
    this.#subscriptions.delete(channel);
    if (this.#hub.remove(this.#subscriber, channel)) this.#broker.unsubscribe(channel);
  }

  leaveAll(): void {
    for (const channel of this.names) this.leave(channel);
  }

  #add(subscription: Subscription): void {
    this.#subscriptions.set(subscription.channel, subscription);
    this.#hub.add(this.#subscriber, subscription);
  }

  /** Asks the channel for its head; v1 clients take what the node has seen where it knows. */
  async #position(channel: string, { extended }: JoinTerms): Promise<Position> {
    const seen = extended ? undefined : this.#broker.seen(channel);
    return seen ?? (await this.#broker.subscribe(channel));
  }
}

function acknowledgement(
  { channel, ephemeral, token }: SubscriptionMessage,
  { extended }: JoinTerms,
  position: Position | undefined,
  error: MessagingError | undefined,
): SubscriptionMessage {
  // v0.1.1 echoes the request, token included.
  const echo = { channel, ephemeral, token };
  if (!extended) return create(SubscriptionSchema, echo);
  if (error !== undefined) return create(SubscriptionSchema, { ...echo, error: error.toMessage() });
  if (position === undefined) return create(SubscriptionSchema, echo);
  const { epoch, offset } = position;
  return create(SubscriptionSchema, { ...echo, position: { epoch, offset: BigInt(offset) } });
}
