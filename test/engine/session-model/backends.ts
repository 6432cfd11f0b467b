/** The application's backends: they answer at once, a little later, or when the test comes to it. */
import { create } from "@bufbuild/protobuf";
import type { Backends, Cancellation } from "../../../src/engine/ports/backends.ts";
import { MessagingError } from "../../../src/protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { SeededRandom } from "../../support/random.ts";
import { unawaited } from "../../support/unawaited.ts";
import { type Asked, type Call, check, type Outcome, type World } from "./facts.ts";
import type { SessionModel } from "./model.ts";

/** Who is told what the backends are asked and answer. */
export interface Caller extends World {
  readonly random: SeededRandom;
  id(prefix: string): string;
  asked(sessionId: string | undefined, ask: (model: SessionModel) => Call): Asked;
  answer(asked: Asked, outcome: Outcome): void;
}

/** A call that waits for the test, and what ends it. */
interface OpenCall {
  readonly model: SessionModel;
  readonly call: Call;
  readonly cancellation: Cancellation;
  settle(): void;
}

/** What a backend does: a value, or an error and what it means to the client. */
type Deed<T> = { readonly outcome: Outcome } & (
  | { readonly value: T }
  | { readonly error: unknown }
);

const EVENT = { source: "/backend", type: "t", specVersion: "1.0" } as const;
/** An attribute without value: what the door refuses in an event from anywhere. */
export const FLAW = { flaw: { attr: { case: undefined } } } as const;

export class ScriptedBackends {
  readonly backends: Backends;
  readonly #world: Caller;
  readonly #open: OpenCall[] = [];

  constructor(world: Caller) {
    this.#world = world;
    const { authenticate, authorize, rpc } = world.asks;
    this.backends = {
      ...(authenticate ? { authenticate: this.#authenticate } : {}),
      ...(authorize ? { authorizeSubscribe: this.#authorize } : {}),
      ...(rpc ? { rpc: this.#rpc } : {}),
    };
  }

  /** Whether a call waits for the test. */
  get busy(): boolean {
    return this.#open.length > 0;
  }

  /** One of the calls that wait gets its answer. */
  settleOne(): void {
    if (!this.busy) return;
    const [open] = this.#open.splice(this.#world.random.int(this.#open.length), 1);
    open?.settle();
  }

  /** Calls are cancelled when their session has ended or their time is over, and only then. */
  settled(): void {
    for (const { model, call, cancellation } of this.#open) {
      const over = model.state === "closed" || call.outcome !== undefined;
      check(cancellation.cancelled === over, `a call of ${model.id} is cancelled, or is not`);
    }
  }

  readonly #authenticate: NonNullable<Backends["authenticate"]> = (request, cancellation) => {
    const { sessionId, clientId } = request;
    const { authTimeoutMs } = this.#world.settings;
    const asked = this.#world.asked(sessionId, (model) => {
      check(clientId === model.clientId, "another client is authenticated");
      return model.asks("authenticate", model.connecting(), "UNAVAILABLE", authTimeoutMs);
    });
    return this.#work(asked, cancellation, this.#authenticated(`user of ${sessionId}`));
  };

  readonly #authorize: NonNullable<Backends["authorizeSubscribe"]> = (request, cancellation) => {
    const { channel, token, caller } = request;
    const { authTimeoutMs } = this.#world.settings;
    const asked = this.#world.asked(caller.sessionId, (model) => {
      check(caller.userId === model.userId, `asked for the user ${caller.userId}`);
      const joiner = model.joiner(channel, token);
      return model.asks(`authorize ${channel}`, joiner, "UNAVAILABLE", authTimeoutMs);
    });
    return this.#work(asked, cancellation, this.#authorized());
  };

  readonly #rpc: NonNullable<Backends["rpc"]> = (request, cancellation) => {
    const { id, channel, method, caller } = request;
    const { rpcTimeoutMs } = this.#world.settings;
    const asked = this.#world.asked(caller.sessionId, (model) => {
      check(channel === "svc" && method === "m", `asked for ${channel} ${method}`);
      check(caller.userId === model.userId, `asked for the user ${caller.userId}`);
      return model.asks("rpc", model.request(id), "RPC_TIMEOUT", rpcTimeoutMs);
    });
    return this.#work(asked, cancellation, this.#called());
  };

  #authenticated(userId: string): Deed<{ userId: string }> {
    const { random, calm } = this.#world;
    if (random.chance(calm ? 0.95 : 0.8)) return { value: { userId }, outcome: { event: userId } };
    return random.pick<Deed<{ userId: string }>>([
      { value: { userId: "" }, outcome: { error: "AUTH_ERROR" } },
      ...failures("UNAVAILABLE", ["AUTH_ERROR", "OWN_CODE", "UNAVAILABLE"]),
    ]);
  }

  #authorized(): Deed<void> {
    const { random, calm } = this.#world;
    if (random.chance(calm ? 0.97 : 0.85)) return { value: undefined, outcome: {} };
    return random.pick(failures("UNAVAILABLE", ["ACL_ERROR", "OWN_CODE", "UNAVAILABLE"]));
  }

  #called(): Deed<CloudEvent | undefined> {
    const { random } = this.#world;
    const id = this.#world.id("answer");
    const event = create(CloudEventSchema, { ...EVENT, id });
    const flawed = create(CloudEventSchema, { ...EVENT, id, attributes: FLAW });
    return random.pick<Deed<CloudEvent | undefined>>([
      ...Array.from({ length: 4 }, () => ({ value: event, outcome: { event: id } })),
      { value: undefined, outcome: { event: "" } },
      { value: flawed, outcome: { error: "PROXY_ERROR" } },
      ...failures("PROXY_ERROR", ["OWN_CODE", "BAD_REQUEST", "RPC_TIMEOUT"]),
    ]);
  }

  #work<T>(asked: Asked, cancellation: Cancellation, deed: Deed<T>): Promise<T> {
    const { random } = this.#world;
    if ("error" in deed && random.chance(0.2)) {
      this.#world.answer(asked, deed.outcome);
      throw deed.error;
    }
    return new Promise<T>((resolve, reject) => {
      const settle = () => {
        this.#world.answer(asked, deed.outcome);
        if ("error" in deed) reject(deed.error);
        else resolve(deed.value);
      };
      const waits = asked !== undefined && random.chance(0.5);
      if (waits) this.#open.push({ ...asked, cancellation, settle });
      else unawaited(later(random.int(4)).then(settle));
    });
  }
}

/** A backend that fails, and one that refuses with each of some codes. */
function failures(meaning: string, codes: readonly string[]): Deed<never>[] {
  return [
    { error: new Error("a stack trace"), outcome: { error: meaning } },
    ...codes.map((code) => ({ error: new MessagingError(code, "no"), outcome: { error: code } })),
  ];
}

/** After so many turns of the microtask queue. */
async function later(turns: number): Promise<void> {
  for (let i = 0; i < turns; i++) await null;
}
