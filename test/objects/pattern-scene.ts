/** The patterns of a gateway over indexes that tests script: what was asked, and what is answered. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { PatternStub } from "../../src/objects/ports/calls.ts";
import type { PatternRegistrationRow } from "../../src/objects/ports/registrations.ts";
import {
  ActiveRequestSchema,
  ActiveResponseSchema,
  type PatternSubscribeRequest,
  PatternSubscribeRequestSchema,
  PatternSubscribeResponseSchema,
  type PatternUnsubscribeRequest,
  PatternUnsubscribeRequestSchema,
} from "../../src/protocol/gen/messageloop/internal/v1/internal_pb.js";
import { MemoryPatternRegistrations } from "../../src/threads/objects/memory-stores.ts";
import { nextTurn } from "../support/platform.ts";

export class PatternScene {
  /** The gateway's database. */
  readonly rows = new Map<string, PatternRegistrationRow>();
  /** Patterns that sessions want, and whether one of them follows presence. */
  readonly wanted = new Map<string, boolean>();
  /** Calls as they came. */
  readonly subscribes: PatternSubscribeRequest[] = [];
  readonly unsubscribes: PatternUnsubscribeRequest[] = [];
  readonly asked: string[] = [];
  /** What happens to calls; by default they are answered. */
  before: (method: string, index: string) => Promise<void> | void = () => {};
  /** Each index's time, and the channels that it knows. */
  time: (index: string) => number = () => 1_000;
  active: (index: string) => { readonly channels: string[]; readonly gap?: string } = () => ({
    channels: [],
  });
  readonly #registrations = new MemoryPatternRegistrations(this.rows);

  calls() {
    return { index: (name: string) => this.#stub(name) };
  }

  host() {
    return { patternRegistrations: this.#registrations };
  }

  interest() {
    const { wanted } = this;
    return {
      patterns: () => wanted.keys(),
      hasPattern: (pattern: string) => wanted.has(pattern),
      hasPatternPresenceFollower: (pattern: string) => wanted.get(pattern) === true,
    };
  }

  #stub(name: string): PatternStub {
    const called = async (method: string): Promise<void> => {
      this.asked.push(name);
      await this.before(method, name);
      await nextTurn();
    };
    return {
      subscribe: async (bytes) => {
        this.subscribes.push(fromBinary(PatternSubscribeRequestSchema, bytes));
        await called("subscribe");
        const answer = create(PatternSubscribeResponseSchema, { time: BigInt(this.time(name)) });
        return toBinary(PatternSubscribeResponseSchema, answer);
      },
      unsubscribe: async (bytes) => {
        this.unsubscribes.push(fromBinary(PatternUnsubscribeRequestSchema, bytes));
        await called("unsubscribe");
      },
      lease: () => {
        throw new Error("a gateway asks for no lease");
      },
      active: async (bytes) => {
        fromBinary(ActiveRequestSchema, bytes);
        await called("active");
        const answer = create(ActiveResponseSchema, this.active(name));
        return toBinary(ActiveResponseSchema, answer);
      },
    };
  }
}
