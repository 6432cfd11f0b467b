/** A gateway's broker over channels that tests script: what was asked, what is answered, what was handed over. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import type { MemberSession } from "../../src/channels/presence.ts";
import type { BrokerHandler } from "../../src/engine/ports/broker.ts";
import { ObjectBroker } from "../../src/objects/gateway/broker.ts";
import { Turn } from "../../src/objects/gateway/turn.ts";
import type { ChannelStub } from "../../src/objects/ports/calls.ts";
import type { ChannelRegistrationRow } from "../../src/objects/ports/registrations.ts";
import {
  DeliverRequestSchema,
  DeliverResponseSchema,
  HistoryRequestSchema,
  HistoryResponseSchema,
  PresenceResponseSchema,
  ReadRequestSchema,
  ReadResponseSchema,
  type RegisterRequest,
  RegisterRequestSchema,
  RegisterResponseSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MemoryRegistrations } from "../../src/threads/objects/memory-stores.ts";
import { nextTurn, platform } from "../support/platform.ts";
import { PatternScene } from "./pattern-scene.ts";

const NAME = "room";

type Delivery = Omit<MessageInitShape<typeof DeliverRequestSchema>, "$typeName">;

export class BrokerScene {
  /** The gateway's database. */
  readonly rows = new Map<string, ChannelRegistrationRow>();
  /** The sessions that want the channel; those with a name of their own are present in it. */
  readonly sessions = new Map<string, MemberSession>();
  wanted = true;
  follows = false;
  /** Whether a session listens already, once the channel is registered. */
  listens = true;
  /** Whether a session hears the channel by a pattern. */
  hears = false;
  readonly patterns = new PatternScene();
  broker: ObjectBroker;
  /** Every request to register, in order, repeated ones included. */
  readonly registers: RegisterRequest[] = [];
  /** What was handed over: `e1:3` an entry, `gap ...`, `+a`/`-a` changes, `members ...`. */
  readonly told: string[] = [];
  /** The channel: its log as offsets, its epoch, its head, and who is present. */
  epoch = "e1";
  log: number[] = [];
  /** When entries were taken, Unix milliseconds, by their offsets; 0 for those that it lacks. */
  times: Readonly<Record<number, number>> = {};
  head = 0;
  generation = 0;
  members: string[] = [];
  /** Calls that were made, and what happens to them: by default they are answered. */
  readonly calls: string[] = [];
  before: (method: string) => Promise<void> | void = () => {};
  /** What an answer waits for on its way. */
  onTheWay: () => Promise<void> | void = () => {};

  constructor() {
    this.broker = this.#open();
  }

  /** The gateway is evicted: only its database is left, and what sessions remember. */
  restart(): void {
    this.broker = this.#open();
  }

  /** A delivery; by default of the channel's epoch and the newest registration. */
  async deliver(prev: number, offsets: readonly number[], init: Delivery = {}): Promise<boolean> {
    const entries = offsets.map((offset) => ({ offset: BigInt(offset) }));
    const request = create(DeliverRequestSchema, {
      channel: NAME,
      registration: this.rows.get(NAME)?.id ?? "",
      epoch: this.epoch,
      prev: BigInt(prev),
      entries,
      ...init,
    });
    const answer = await this.broker.deliver(toBinary(DeliverRequestSchema, request));
    return fromBinary(DeliverResponseSchema, answer).gone;
  }

  /** The last request to register. */
  get last(): RegisterRequest {
    const last = this.registers.at(-1);
    if (last === undefined) throw new Error("nothing was registered");
    return last;
  }

  /** What was handed over since the last question. */
  heard(): string[] {
    return this.told.splice(0);
  }

  #open(): ObjectBroker {
    const broker = new ObjectBroker({
      gateway: "g1",
      calls: {
        channel: () => this.#stub(),
        gateway: unasked,
        user: unasked,
        stats: unasked,
        ...this.patterns.calls(),
      },
      isGateway: () => false,
      region: "here",
      regions: ["here"],
      userRegistrations: new MemoryRegistrations(),
      keepsDirectory: false,
      channelRegistrations: new MemoryRegistrations(this.rows),
      random: { uuid: () => crypto.randomUUID() },
      turn: new Turn(platform.timers),
      platform,
      ...this.patterns.host(),
    });
    broker.start(this.#handler(), {
      hasDirectSubscriber: () => this.wanted,
      hasAnySubscriber: () => this.wanted || this.hears,
      hasActiveSubscriber: () => this.hears || (this.listens && this.rows.has(NAME)),
      hasPresenceFollower: () => this.follows,
      members: () => this.sessions.values(),
      ...this.patterns.interest(),
    });
    return broker;
  }

  #handler(): BrokerHandler {
    const at = (epoch: string, offset: number): string => `${epoch}:${offset}`;
    return {
      publications: (_, epoch, entries) => {
        for (const { offset } of entries) this.told.push(at(epoch, Number(offset)));
      },
      transients: (_, messages) => {
        for (const { id } of messages) this.told.push(`transient ${id}`);
      },
      gap: (_, { reason, after, until }) => {
        const from = after === undefined ? "?" : at(after.epoch, after.offset);
        this.told.push(`gap ${reason} ${from} ${at(until.epoch, until.offset)}`);
      },
      patternGap: () => {
        throw new Error("this broker forgets no channel of a pattern");
      },
      presence: (_, epoch, changes) => {
        for (const { joined, member, generation } of changes) {
          this.told.push(`${joined ? "+" : "-"}${member.userId} ${epoch}:${generation}`);
        }
      },
      presenceLost: (_, epoch, { members, generation }) => {
        const names = members.map(({ userId }) => userId).join();
        this.told.push(`members ${names} ${epoch}:${generation}`);
      },
    };
  }

  #stub(): ChannelStub {
    const called = async (method: string): Promise<void> => {
      this.calls.push(method);
      await this.before(method);
      await nextTurn();
    };
    const unused = (): never => {
      throw new Error("not scripted");
    };
    const position = () => ({ epoch: this.epoch, offset: BigInt(this.head) });
    const generation = () => BigInt(this.generation);
    return {
      register: async (bytes) => {
        this.registers.push(fromBinary(RegisterRequestSchema, bytes));
        await called("register");
        const answer = { position: position(), generation: generation() };
        await this.onTheWay();
        return toBinary(RegisterResponseSchema, create(RegisterResponseSchema, answer));
      },
      publish: unused,
      hear: unused,
      gateways: unused,
      read: async (bytes) => {
        await called("read");
        const { after, until } = fromBinary(ReadRequestSchema, bytes);
        const entries = this.log
          .filter((offset) => offset > Number(after) && offset <= Number(until))
          .map((offset) => ({ offset: BigInt(offset), time: BigInt(this.times[offset] ?? 0) }));
        const answer = { epoch: this.epoch, entries };
        return toBinary(ReadResponseSchema, create(ReadResponseSchema, answer));
      },
      history: async (bytes) => {
        await called("history");
        const { limit } = fromBinary(HistoryRequestSchema, bytes);
        const entries = this.log.slice(0, limit).map((offset) => ({ offset: BigInt(offset) }));
        const answer = { position: position(), first: BigInt(this.log[0] ?? 1), entries };
        return toBinary(HistoryResponseSchema, create(HistoryResponseSchema, answer));
      },
      removeHistory: async () => await called("removeHistory"),
      presence: async () => {
        await called("presence");
        const answer = {
          members: this.members.map((userId) => ({ userId })),
          total: this.members.length,
          generation: { epoch: this.epoch, number: generation() },
        };
        return toBinary(PresenceResponseSchema, create(PresenceResponseSchema, answer));
      },
    };
  }
}

/** Presence changes of a delivery. */
export function changes(...list: readonly (readonly [string, number])[]): Delivery {
  return {
    presence: list.map(([name, generation]) => ({
      member: { userId: name.slice(1) },
      joined: name.startsWith("+"),
      generation: BigInt(generation),
    })),
  };
}

export { NAME as ROOM };

function unasked(): never {
  throw new Error("neither gateways nor the directory are asked");
}
