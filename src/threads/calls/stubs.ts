/** Stubs of objects over one call by numbers: bytes to a method of an object, wherever it is. */
import type {
  ChannelStub,
  GatewayStub,
  PatternStub,
  StatsStub,
  UserStub,
} from "../../objects/ports/calls.ts";
import { methodNumber } from "./methods.ts";

/** Calls a method of the object that a stub is of. */
export type Call = (method: number, request: Uint8Array) => Promise<Uint8Array | undefined>;

const NOTHING = new Uint8Array();

const CHANNEL = {
  register: methodNumber("channel", "register"),
  publish: methodNumber("channel", "publish"),
  read: methodNumber("channel", "read"),
  history: methodNumber("channel", "history"),
  removeHistory: methodNumber("channel", "removeHistory"),
  presence: methodNumber("channel", "presence"),
  gateways: methodNumber("channel", "gateways"),
  hear: methodNumber("channel", "hear"),
};
const GATEWAY = {
  deliver: methodNumber("gateway", "deliver"),
  call: methodNumber("gateway", "call"),
};
const INDEX = {
  subscribe: methodNumber("index", "subscribe"),
  unsubscribe: methodNumber("index", "unsubscribe"),
  lease: methodNumber("index", "lease"),
  active: methodNumber("index", "active"),
};
const USER = {
  update: methodNumber("user", "update"),
  revoke: methodNumber("user", "revoke"),
  sessions: methodNumber("user", "sessions"),
};
const STATS = {
  report: methodNumber("stats", "report"),
  list: methodNumber("stats", "list"),
  count: methodNumber("stats", "count"),
  figures: methodNumber("stats", "figures"),
};

export class ChannelCalls implements ChannelStub {
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  register(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(CHANNEL.register, request));
  }

  publish(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(CHANNEL.publish, request));
  }

  read(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(CHANNEL.read, request));
  }

  history(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(CHANNEL.history, request));
  }

  removeHistory(): Promise<void> {
    return done(this.#call(CHANNEL.removeHistory, NOTHING));
  }

  presence(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(CHANNEL.presence, request));
  }

  gateways(): Promise<Uint8Array> {
    return bytes(this.#call(CHANNEL.gateways, NOTHING));
  }

  hear(request: Uint8Array): Promise<void> {
    return done(this.#call(CHANNEL.hear, request));
  }
}

export class GatewayCalls implements GatewayStub {
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  deliver(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(GATEWAY.deliver, request));
  }

  call(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(GATEWAY.call, request));
  }
}

export class PatternCalls implements PatternStub {
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  subscribe(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(INDEX.subscribe, request));
  }

  unsubscribe(request: Uint8Array): Promise<void> {
    return done(this.#call(INDEX.unsubscribe, request));
  }

  lease(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(INDEX.lease, request));
  }

  active(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(INDEX.active, request));
  }
}

export class UserCalls implements UserStub {
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  update(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(USER.update, request));
  }

  revoke(request: Uint8Array): Promise<void> {
    return done(this.#call(USER.revoke, request));
  }

  sessions(): Promise<Uint8Array> {
    return bytes(this.#call(USER.sessions, NOTHING));
  }
}

export class StatsCalls implements StatsStub {
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  report(request: Uint8Array): Promise<void> {
    return done(this.#call(STATS.report, request));
  }

  list(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(STATS.list, request));
  }

  count(request: Uint8Array): Promise<void> {
    return done(this.#call(STATS.count, request));
  }

  figures(request: Uint8Array): Promise<Uint8Array> {
    return bytes(this.#call(STATS.figures, request));
  }
}

/** Which of the methods answer bytes the table of `objects/ports/calls.ts` says. */
function bytes(answer: Promise<Uint8Array | undefined>): Promise<Uint8Array> {
  return answer as Promise<Uint8Array>;
}

function done(answer: Promise<unknown>): Promise<void> {
  return answer as Promise<void>;
}
