/** Stubs of objects over one call by numbers: bytes to a method of an object, wherever it is. */
import type {
  ChannelStub,
  GatewayStub,
  PatternStub,
  StatsStub,
  UserStub,
} from "../../objects/ports/calls.ts";
import { ALL_METHODS, type MethodOf } from "./methods.ts";

/** Calls a method of the object that a stub is of. */
export type Call = (method: number, request: Uint8Array) => Promise<Uint8Array | undefined>;

interface Stubs {
  readonly channel: ChannelStub;
  readonly gateway: GatewayStub;
  readonly index: PatternStub;
  readonly user: UserStub;
  readonly stats: StatsStub;
}

/** A class of stubs. It is none where the table of methods lacks one that the stub has. */
type StubClass<Kind extends keyof Stubs> =
  keyof Stubs[Kind] extends MethodOf<Kind> ? new (call: Call) => Stubs[Kind] : never;

const NOTHING = new Uint8Array();

export const ChannelCalls = stubClass("channel");
export const GatewayCalls = stubClass("gateway");
export const PatternCalls = stubClass("index");
export const UserCalls = stubClass("user");
export const StatsCalls = stubClass("stats");

/** The class of a kind's stubs, with the methods that the table has. What they answer `objects/ports/calls.ts` says. */
function stubClass<Kind extends keyof Stubs>(kind: Kind): StubClass<Kind> {
  class Calls {
    readonly #call: Call;

    constructor(call: Call) {
      this.#call = call;
    }

    // On the prototype: there is a stub for each channel that a thread has to do with.
    static {
      for (const [number, method] of ALL_METHODS.entries()) {
        if (method.kind !== kind) continue;
        const value = function (this: Calls, request = NOTHING): ReturnType<Call> {
          return this.#call(number, request);
        };
        Object.defineProperty(Calls.prototype, method.name, { value });
      }
    }
  }
  return Calls as unknown as StubClass<Kind>;
}
