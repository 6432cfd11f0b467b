/**
 * One thread among those of a process: a gateway with its engine's broker, the objects that the thread has, and the lines
 * to the others.
 *
 * What happens when a thread ends, in this order: every other thread hears it, forgets the thread's gateway, and drops the
 * leases that the thread's pattern indexes have granted; when all have done so, a new thread takes its place and is
 * joined with each of them; each registers with the new objects what its sessions want to hear, and reports that it is
 * settled; and when all are, the new objects take messages. So no message is taken that a session should hear and
 * would not. Calls to a thread that is not there wait for the one that takes its place, and messages for the time at which
 * they are taken: a client waits no longer than that.
 */

import { fromBinary } from "@bufbuild/protobuf";
import type { RuleBook } from "../channels/rules.ts";
import { background } from "../engine/background.ts";
import type { Broker } from "../engine/ports/broker.ts";
import type { Lifecycle } from "../engine/ports/lifecycle.ts";
import { encode } from "../objects/calls/encode.ts";
import { GONE } from "../objects/calls/gateway-calls.ts";
import { ObjectBroker } from "../objects/gateway/broker.ts";
import { Turn } from "../objects/gateway/turn.ts";
import type { GatewayStub, ObjectCalls } from "../objects/ports/calls.ts";
import type { ObjectPlatform } from "../objects/ports/platform.ts";
import type {
  ChannelRegistrationRow,
  UserRegistrationRow,
} from "../objects/ports/registrations.ts";
import {
  NodeAnswerSchema,
  NodeCallSchema,
} from "../protocol/gen/messageloop/internal/v1/internal_pb.js";
import { remoteError, threadEnded } from "./calls/errors.ts";
import type { Request } from "./calls/frames.ts";
import { type Line, Link } from "./calls/link.ts";
import { ALL_METHODS, methodNumber } from "./calls/methods.ts";
import { ChannelOwners, ownerOf } from "./calls/owner.ts";
import {
  type Call,
  ChannelCalls,
  GatewayCalls,
  PatternCalls,
  StatsCalls,
  UserCalls,
} from "./calls/stubs.ts";
import { MemoryPatternRegistrations, MemoryRegistrations } from "./objects/memory-stores.ts";
import { ThreadObjects } from "./objects/objects.ts";

const SETTLED = methodNumber("thread", "settled");
const FENCE = methodNumber("thread", "fence");
const NOTHING = new Uint8Array();
/** What was taken while a delivery was under way leaves with the one after it. */
const FENCES = 3;

export interface ThreadNodeOptions {
  /** 0 to `threads - 1`. A thread that takes the place of one that has ended has its index. */
  readonly index: number;
  readonly threads: number;
  /** What `ownersMemory` has made, the same for all threads. */
  readonly owners: SharedArrayBuffer;
  /** Names this life of the thread's gateway among all; sessions' ids begin with it. */
  readonly gateway: string;
  readonly platform: ObjectPlatform;
  readonly random: { uuid(): string; epoch(): string };
  readonly rules: RuleBook;
  /** Channels that this thread may have. */
  readonly maxChannels: number;
  /** Bytes of messages that its channels keep together. */
  readonly maxRetainedBytes: number;
  /** Whether users are found and channels are listed. */
  readonly keepsDirectory: boolean;
  /** Calls back at the end of this turn of the event loop. */
  readonly endOfTurn: (callback: () => void) => void;
}

/** Another thread, or the place where one was and will be. */
interface Peer {
  /** Undefined where there is none. Calls to its objects wait for one. */
  gateway: string | undefined;
  readonly link: Link;
  /** Whether it has registered what it wants to hear of the objects here. */
  settled: boolean;
}

type Answer = Uint8Array | undefined;

/** The channels of all threads, as the engine of one sees them. */
export class ThreadBroker extends ObjectBroker {
  /** Resolves when all has arrived here that was under way to this thread. */
  flush: NonNullable<Broker["flush"]> = () => {};
}

export class ThreadNode {
  readonly broker: ThreadBroker;
  readonly objects: ThreadObjects;
  readonly #options: ThreadNodeOptions;
  readonly #peers: Peer[];
  readonly #channelOwners: ChannelOwners;
  /** Whether all are joined that there were at the beginning. */
  #complete = false;

  constructor(options: ThreadNodeOptions) {
    const { gateway, index, keepsDirectory, owners, platform, random, threads } = options;
    this.#options = options;
    this.#channelOwners = new ChannelOwners(owners, threads, index);
    this.#peers = Array.from({ length: threads }, (_, other) => this.#place(other));
    const calls = this.#calls();
    this.objects = new ThreadObjects({
      ...options,
      calls,
      region: `${index}`,
      reports: keepsDirectory,
    });
    this.broker = new ThreadBroker({
      gateway,
      calls,
      channelRegistrations: new MemoryRegistrations<ChannelRegistrationRow>(),
      patternRegistrations: new MemoryPatternRegistrations(),
      userRegistrations: new MemoryRegistrations<UserRegistrationRow>(),
      keepsDirectory,
      durable: false,
      region: `${index}`,
      regions: Array.from({ length: threads }, (_, thread) => `${thread}`),
      isGateway: (name) => name === gateway || this.#peerOf(name) !== undefined,
      random,
      turn: new Turn(platform.timers),
      platform,
    });
    this.broker.flush = () => this.#flush();
  }

  /** Has channels report whether they have subscribers. */
  set lifecycle(lifecycle: Lifecycle) {
    this.objects.channels.lifecycle = lifecycle;
  }

  /** Another thread is there, which may have the place of one that has ended. */
  join(index: number, gateway: string, line: Line): void {
    const peer = this.#peers[index];
    if (peer === undefined) throw new RangeError(`there is no thread ${index}`);
    peer.gateway = gateway;
    peer.link.open(line);
    background(this.#settle(index, peer.link), this.#options.platform.logger, "joining a thread");
  }

  /** All are joined that have to be, so that messages are taken when they have settled. */
  complete(): void {
    this.#complete = true;
    this.#look();
  }

  /** A thread has ended. When this returns nothing here counts on it. */
  ended(index: number): void {
    const peer = this.#peers[index];
    if (peer?.gateway === undefined) return;
    this.#peers[index] = this.#place(index);
    peer.link.end();
    this.objects.threadEnded(peer.gateway, (_, name) => this.#ownerOf(name) === index);
    this.#look();
  }

  #place(index: number): Peer {
    const link = new Link({
      endOfTurn: this.#options.endOfTurn,
      serve: (request) => this.#serve(request, index),
    });
    return { gateway: undefined, link, settled: false };
  }

  /** Which thread has an object that is no channel. */
  #ownerOf(name: string): number {
    return ownerOf(name, this.#options.threads);
  }

  /** What sessions here want to hear of the other's objects is registered there, and then it hears that. */
  async #settle(index: number, link: Link): Promise<void> {
    const isLost = (name: string): boolean => this.#ownerOf(name) === index;
    const channel = (name: string): boolean => this.#channelOwners.known(name) === index;
    await this.broker.renew({ channel, index: isLost, user: isLost });
    await link.call(SETTLED, "", NOTHING).catch(() => {});
  }

  #look(): void {
    if (!this.#complete) return;
    if (this.#peers.every(({ gateway, settled }) => settled || gateway === undefined)) {
      this.objects.settle();
    }
  }

  async #flush(): Promise<void> {
    for (let round = 0; round < FENCES; round++) {
      // An answer comes after all that was on the way here before it.
      const fences = this.#peers.flatMap(({ gateway, link }) =>
        gateway === undefined ? [] : link.call(FENCE, "", NOTHING),
      );
      await Promise.allSettled(fences);
    }
  }

  /** @param from the thread that calls; undefined for this one */
  #serve(
    { method, name, body }: Omit<Request, "id" | "kind">,
    from?: number,
  ): Answer | Promise<Answer> {
    const { kind, name: called } = ALL_METHODS[method] ?? {};
    switch (kind) {
      case undefined:
        throw new TypeError(`there is no method ${method}`);
      case "gateway":
        return called === "deliver" ? this.broker.deliver(body) : this.broker.call(body);
      case "thread": {
        const peer = from === undefined ? undefined : this.#peers[from];
        if (peer !== undefined && method === SETTLED) {
          peer.settled = true;
          this.#look();
        }
        return undefined;
      }
      default:
        return this.objects.serve(kind, called as string, name, body);
    }
  }

  #calls(): ObjectCalls {
    return {
      channel: (name) => new ChannelCalls(this.#to(this.#channelOwners.of(name), name)),
      near: (name) =>
        this.#channelOwners.of(name) === this.#options.index ? this.objects.near(name) : undefined,
      gateway: (name) => this.#gateway(name),
      index: (name) => new PatternCalls(this.#to(this.#ownerOf(name), name)),
      user: (id) => new UserCalls(this.#to(this.#ownerOf(id), id)),
      stats: (region) => new StatsCalls(this.#to(Number(region), region)),
    };
  }

  #gateway(name: string): GatewayStub {
    if (name === this.#options.gateway) return new GatewayCalls(this.#here(""));
    const peer = this.#peerOf(name);
    if (peer === undefined) return ENDED_GATEWAY;
    return new GatewayCalls((method, request) => peer.link.call(method, "", request));
  }

  #peerOf(gateway: string): Peer | undefined {
    return this.#peers.find((peer) => peer.gateway === gateway);
  }

  #to(thread: number, name: string): Call {
    if (thread === this.#options.index) return this.#here(name);
    return (method, request) => {
      const peer = this.#peers[thread];
      if (peer === undefined) return Promise.reject(new RangeError(`there is no thread ${thread}`));
      return peer.link.call(method, name, request);
    };
  }

  /** A call to an object of this thread begins a moment later, as every call does, and copies nothing. */
  #here(name: string): Call {
    return async (method, body) => {
      await undefined;
      try {
        return await this.#serve({ method, name, body });
      } catch (error) {
        throw remoteError(error);
      }
    };
  }
}

/** A gateway whose thread has ended hears nothing any more, and has no sessions. */
const ENDED_GATEWAY: GatewayStub = {
  deliver: async () => GONE,
  call: async (request) => {
    switch (fromBinary(NodeCallSchema, request).call.case) {
      case "revoke":
        return encode(NodeAnswerSchema, { answer: { case: "revoked", value: true } });
      case "present":
        return encode(NodeAnswerSchema, { answer: { case: "present", value: {} } });
      default:
        throw threadEnded();
    }
  },
};
