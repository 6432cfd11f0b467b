/** Rules at every entrance of a session, before any backend: the threats are lines of a list of what went wrong elsewhere. */
import { expect, test } from "vitest";
import type { AccessRules } from "../../src/access/rules.ts";
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import { ACTIONS, type Action } from "../../src/engine/ports/access.ts";
import type { Backends } from "../../src/engine/ports/backends.ts";
import type { Identity } from "../../src/engine/ports/identity.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { rule, rulesOf } from "../access/subjects.ts";
import { eventually } from "../support/eventually.ts";
import { listening, ROOM, settled, since } from "./log-broker.ts";
import {
  connectWith,
  type Init,
  kinds,
  type SceneOptions,
  ScriptedTransport,
  scene,
  send,
  subscribe,
} from "./scene.ts";

const EVENT = { id: "e", source: "/s", type: "t" };

/** The request of each action, and what answers it where it is allowed. */
const REQUESTS: Readonly<Record<Action, readonly [request: (channel: string) => Init, string]>> = {
  subscribe: [(channel) => subscribe(channel), "subscribeAck"],
  publish: [(channel) => ({ channel, envelope: { case: "publish", value: EVENT } }), "publishAck"],
  presence: [
    (channel) => ({ envelope: { case: "presenceRequest", value: { channel } } }),
    "presence",
  ],
  history: [(channel) => ({ envelope: { case: "historyRequest", value: { channel } } }), "history"],
  survey: [
    (channel) => ({ channel, envelope: { case: "surveyRequest", value: { requestId: "r" } } }),
    "surveyResponse",
  ],
  rpc: [
    (channel) => ({ channel, method: "m", envelope: { case: "rpcRequest", value: EVENT } }),
    "rpcReply",
  ],
};

interface Asked extends SceneOptions {
  readonly userId?: string;
  /** Default all that there is. */
  readonly capabilities?: readonly string[];
}

/** A connected session, and who was asked about it. */
async function open(
  access: AccessRules,
  { userId = "ada", capabilities = ["history", "presence", "recovery"], ...options }: Asked = {},
) {
  const asked: string[] = [];
  const backends: Backends = {
    authenticate: async () => ({ userId }),
    authorizeSubscribe: async ({ channel }) => {
      asked.push(channel);
    },
    rpc: async ({ channel }) => {
      asked.push(`rpc ${channel}`);
      return undefined;
    },
    ...options.backends,
  };
  const made = scene({ ...options, access, backends });
  await connectWith(made.session, { capabilities: [...capabilities] });
  made.transport.frames.length = 0;
  return { ...made, asked };
}

/** What a session is told of something, by the kind of its answer; of a refused entry its code. */
async function told(
  { session, transport }: Pick<Awaited<ReturnType<typeof open>>, "session" | "transport">,
  action: Action,
  channel: string,
): Promise<string> {
  transport.frames.length = 0;
  const request = REQUESTS[action][0](channel);
  // A survey ends when its time is over.
  const sending = send(session, request);
  if (action !== "survey") await sending;
  // Reads take turns.
  for (let i = 0; i < 20 && transport.frames.length === 0; i++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  const frame = transport.frames[0];
  if (frame === undefined) return "nothing";
  const { envelope } = codecFor("json").decodeOutbound(frame);
  if (envelope.case === "subscribeAck") {
    const error = envelope.value.subscriptions[0]?.error;
    if (error !== undefined) return `error ${error.code}`;
  }
  return kinds(transport)[0] ?? "";
}

test.each(ACTIONS)("%s: allowed, denied, and no rule, by either default", async (action) => {
  const [, done] = REQUESTS[action];
  const rest = ACTIONS.filter((other) => other !== action);
  const closed = await open(
    rulesOf(
      "deny",
      rule("allow", "yes", { actions: [action] }),
      rule("allow", ["yes", "other"], { actions: rest }),
    ),
  );
  if (action !== "subscribe") {
    for (const channel of ["yes", "other"]) await told(closed, "subscribe", channel);
  }
  expect(await told(closed, action, "yes")).toBe(done);
  expect(await told(closed, action, "other")).toBe("error ACL_ERROR");
  expect(await told(closed, action, "unknown")).toBe("error ACL_ERROR");
  const opened = await open(rulesOf("allow", rule("deny", "no", { actions: [action] })));
  if (action !== "subscribe") {
    for (const channel of ["no", "unknown"]) await told(opened, "subscribe", channel);
  }
  expect(await told(opened, action, "no")).toBe("error ACL_ERROR");
  expect(await told(opened, action, "unknown")).toBe(done);
  expect(opened.session.ended || closed.session.ended).toBe(false);
});

test("S7: subscriptions of connect are decided like any others", async () => {
  const access = rulesOf("allow", rule("deny", "secret.**"));
  const subscriptions = ["open", "secret.a", "**"].map((channel) => ({ channel }));
  const extended = scene({ access });
  await connectWith(extended.session, { capabilities: ["x"], subscriptions });
  expect([...extended.session.channels]).toEqual(["open"]);
  const v1 = scene({ access });
  await connectWith(v1.session, { subscriptions });
  expect(kinds(v1.transport)).toEqual(["error ACL_ERROR"]);
  expect(v1.transport.closed?.code).toBe(3500);
  expect([...v1.broker.wanted]).toEqual([]);
});

test("a v1 client that subscribes to what is denied gets none of it, and 3500", async () => {
  const { session, transport, broker } = await open(rulesOf("allow", rule("deny", "no")), {
    capabilities: [],
  });
  await send(session, subscribe("yes", "no"));
  expect(kinds(transport)).toEqual(["error ACL_ERROR"]);
  expect(transport.closed?.code).toBe(3500);
  expect([...broker.wanted]).toEqual([]);
});

test("a v1 client's publish, RPC and survey that are denied are errors, and its session goes on", async () => {
  const opened = await open(rulesOf("allow", rule("deny", "no")), { capabilities: [] });
  for (const action of ["publish", "rpc", "survey"] as const) {
    expect(await told(opened, action, "no")).toBe("error ACL_ERROR");
  }
  expect(await told(opened, "publish", "yes")).toBe("publishAck");
  expect(opened.session.ended).toBe(false);
});

test("S9: a backend is not asked about what rules deny, and may refuse what they allow", async () => {
  const access = rulesOf("deny", rule("allow", "a.**"), rule("deny", "a.secret"));
  const opened = await open(access);
  expect(await told(opened, "subscribe", "a.secret")).toBe("error ACL_ERROR");
  expect(await told(opened, "subscribe", "a.*")).toBe("error ACL_ERROR");
  expect(await told(opened, "rpc", "a.secret")).toBe("error ACL_ERROR");
  expect(opened.asked).toEqual([]);
  expect(await told(opened, "subscribe", "a.b")).toBe("subscribeAck");
  expect(await told(opened, "rpc", "a.b")).toBe("rpcReply");
  expect(opened.asked).toEqual(["a.b", "rpc a.b"]);
  const refusing = await open(access, {
    backends: {
      authorizeSubscribe: async () => {
        throw new MessagingError("NOT_YOURS", "not yours");
      },
    },
  });
  expect(await told(refusing, "subscribe", "a.b")).toBe("error NOT_YOURS");
});

test("S13: what names several channels is no channel, whatever rules say", async () => {
  const opened = await open(rulesOf("allow", rule("deny", "x")));
  for (const action of ["publish", "history", "presence"] as const) {
    for (const wide of ["a.*", "a.**", "**", "*"]) {
      expect([action, wide, await told(opened, action, wide)]).toEqual([
        action,
        wide,
        "error BAD_REQUEST",
      ]);
    }
  }
  // Backends take an RPC's channel as it is: one that could mean what is denied does not get there.
  expect(await told(opened, "rpc", "*")).toBe("error ACL_ERROR");
  expect(await told(opened, "survey", "**")).toBe("error ACL_ERROR");
});

test("S26: history and presence need the right, and the channel as well", async () => {
  const access = rulesOf(
    "deny",
    rule("allow", "heard", { actions: ["subscribe"] }),
    rule("allow", "read", { actions: ["history", "presence"] }),
  );
  const opened = await open(access);
  expect(await told(opened, "subscribe", "heard")).toBe("subscribeAck");
  for (const action of ["history", "presence"] as const) {
    for (const channel of ["heard", "read", "neither"]) {
      expect(await told(opened, action, channel)).toBe("error ACL_ERROR");
    }
  }
});

test("a survey of one's own needs the right, whatever the channel's own settings say", async () => {
  const rules = new RuleBook([
    { pattern: "**", rules: { ...DEFAULT_CHANNEL_RULES, survey: true } },
  ]);
  const access = rulesOf("allow", rule("deny", "no", { actions: ["survey"] }));
  const opened = await open(access, { rules, capabilities: ["survey"] });
  for (const channel of ["yes", "no"]) await told(opened, "subscribe", channel);
  expect(await told(opened, "survey", "no")).toBe("error ACL_ERROR");
  // The client is a subscriber, and is asked first.
  expect(await told(opened, "survey", "yes")).toBe("surveyRequest");
});

test("what is refused of presence is refused before the channel's own settings are looked at", async () => {
  const opened = await open(rulesOf("deny"));
  expect(await told(opened, "presence", "whatever")).toBe("error ACL_ERROR");
});

test("by {user} a session reaches its own channels, and by no pattern more", async () => {
  const access = rulesOf("deny", rule("allow", "inbox.{user}.**"));
  const ada = await open(access);
  expect(await told(ada, "subscribe", "inbox.ada.**")).toBe("subscribeAck");
  expect(await told(ada, "publish", "inbox.ada.new")).toBe("publishAck");
  expect(await told(ada, "publish", "inbox.grace.new")).toBe("error ACL_ERROR");
  for (const wide of ["inbox.*.**", "inbox.**", "**"]) {
    expect(await told(ada, "subscribe", wide)).toBe("error ACL_ERROR");
  }
  for (const userId of ["*", "**", "ada.grace", "ada.**"]) {
    const other = await open(access, { userId });
    for (const channel of ["inbox.*", "inbox.**", "inbox.ada.x", "inbox.ada.grace.x"]) {
      expect(await told(other, "subscribe", channel)).toBe("error ACL_ERROR");
    }
  }
});

test("grants of an authenticator are all that a session may do, before and after a sleep", async () => {
  const grants = [{ pattern: "chat.*", actions: ["subscribe", "publish"] as Action[] }];
  const opened = await open(rulesOf("allow", rule("deny", "chat.admin")), {
    backends: { authenticate: async () => ({ userId: "ada", grants }) },
  });
  const transport = new ScriptedTransport();
  const session = scene({ access: opened.engine.settings.access }).engine.restore(
    transport,
    opened.session.record(),
  );
  for (const one of [opened, { session, transport }]) {
    expect(await told(one, "publish", "chat.room")).toBe("publishAck");
    expect(await told(one, "publish", "chat.admin")).toBe("error ACL_ERROR");
    expect(await told(one, "publish", "news")).toBe("error ACL_ERROR");
    expect(await told(one, "rpc", "chat.room")).toBe("error ACL_ERROR");
    expect(await told(one, "subscribe", "chat.*")).toBe("error ACL_ERROR");
  }
});

/** A session that has slept, and wakes with other rules. */
async function woken(
  before: Awaited<ReturnType<typeof open>>,
  access: AccessRules,
): Promise<Pick<Awaited<ReturnType<typeof open>>, "broker" | "session" | "transport">> {
  const transport = new ScriptedTransport();
  const { broker, engine } = scene({ access });
  return { broker, transport, session: engine.restore(transport, before.session.record()) };
}

test("D7: rules that have come in a sleep take away what they deny, and the client is told", async () => {
  const before = await open(rulesOf("allow"), { capabilities: ["control"] });
  await send(before.session, subscribe("a", "b", "x.*", "y.*"));
  await before.engine.subscribe("s", ["served", "x.served"]);
  const access = rulesOf("allow", rule("deny", ["b", "x.**", "served"]));
  const { broker, session, transport } = await woken(before, access);
  expect([...session.channels].sort()).toEqual(["a", "served", "x.served", "y.*"]);
  expect([...broker.wanted]).toEqual([]);
  expect(kinds(transport)).toEqual(["unsubscribed"]);
  const { envelope } = codecFor("json").decodeOutbound(transport.frames[0] ?? "");
  if (envelope.case !== "unsubscribed") throw new Error("it is something else");
  expect(envelope.value.subscriptions.map(({ channel }) => channel)).toEqual(["b", "x.*"]);
  // With the same rules nothing is said.
  const again = scene({ access });
  const silent = new ScriptedTransport();
  const second = again.engine.restore(silent, session.record());
  expect([...second.channels].sort()).toEqual([...session.channels].sort());
  expect(silent.frames).toEqual([]);
});

test("D7: a new token that grants less takes away the rest, and the client is told", async () => {
  const granted = (channels: readonly string[], pattern: string): Identity => ({
    userId: "ada",
    channels,
    grants: [{ pattern, actions: ["subscribe", "publish"] }],
  });
  const tokens: Readonly<Record<string, Identity>> = {
    "": granted(["given", "left"], "*"),
    less: granted(["given"], "a"),
  };
  const backends: Backends = {
    authenticate: async ({ token }) => tokens[token] ?? { userId: "nobody" },
  };
  const refresh: Init = { id: "r", envelope: { case: "refresh", value: { token: "less" } } };
  const opened = await open(rulesOf("allow"), {
    capabilities: ["refresh", "control"],
    backends,
  });
  await send(opened.session, subscribe("a", "b"));
  await opened.engine.subscribe("s", ["served"]);
  opened.transport.frames.length = 0;
  await send(opened.session, refresh);
  expect(kinds(opened.transport)).toEqual(["refreshAck", "unsubscribed"]);
  expect([...opened.session.channels].sort()).toEqual(["a", "given", "served"]);
  expect(await told(opened, "publish", "b")).toBe("error ACL_ERROR");
  const silent = await open(rulesOf("allow"), { capabilities: ["refresh"], backends });
  await send(silent.session, subscribe("b"));
  await send(silent.session, refresh);
  expect(kinds(silent.transport)).toEqual(["subscribeAck", "refreshAck"]);
  expect(silent.transport.closed?.code).toBe(3000);
});

/** What a new token takes away: everything but one channel. */
async function shrinking() {
  const granted = (pattern: string): Identity => ({
    userId: "ada",
    grants: [{ pattern, actions: ["subscribe", "history"] }],
  });
  const backends: Backends = {
    authenticate: async ({ token }) => granted(token === "less" ? "other" : "*"),
  };
  const opened = await listening(["recovery", "refresh", "control"], {
    access: rulesOf("allow"),
    backends,
  });
  const refresh: Init = { id: "r", envelope: { case: "refresh", value: { token: "less" } } };
  return { ...opened, refresh: () => send(opened.listener.session, refresh) };
}

const CHANNEL = { channel: ROOM, ...since(1) };
const PATTERN = { channel: "*", ...since(0, "time") };

test.each([
  ["a channel, in its replay", CHANNEL, 1, ["ack e/3"]],
  ["a channel, in what was held", CHANNEL, 2, ["ack e/3", "replay e/2-3", "recovered e/3"]],
  ["a pattern, by its channels", PATTERN, 1, ["ack time/1000"]],
  ["a pattern, in its replay", PATTERN, 2, ["ack time/1000"]],
  [
    "a pattern, in what was held",
    PATTERN,
    3,
    ["ack time/1000", "replay e/1-3", "recovered e/3", "recovered time/1000"],
  ],
] as const)(
  "D7: what a new token takes away while it catches up brings nothing after that: %s",
  async (_, wanted, at, told) => {
    const { broker, listener, refresh } = await shrinking();
    broker.append(3);
    broker.handed = broker.head;
    const [first, then] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const before = Math.max(1, at - 1);
    broker.reading = (count) => ({ [at]: then, [before]: first })[count]?.promise;
    const subscribing = listener.subscribe(wanted);
    await eventually(() => broker.asked.length === before);
    // More than may be held, and then some that is.
    for (let i = 0; i < 30; i++) broker.deliver(1, 50_000);
    if (at > 1) first.resolve();
    await eventually(() => broker.asked.length === at);
    await refresh();
    first.resolve();
    then.resolve();
    await subscribing;
    broker.deliver(1);
    await settled();
    expect(listener.told()).toEqual([...told, "refreshAck", "unsubscribed"]);
    expect([listener.session.channels, [...broker.wanted]]).toEqual([[], []]);
  },
);

test.each([ROOM, "*"])(
  "D7: what a new token takes away while it is being subscribed to is taken away after that: %s",
  async (channel) => {
    const { broker, listener, refresh } = await shrinking();
    const { promise, resolve } = Promise.withResolvers<void>();
    broker.registering = () => promise;
    const subscribing = listener.subscribe({ channel });
    await settled();
    await refresh();
    resolve();
    await subscribing;
    broker.deliver(1);
    expect(listener.told()).toEqual([
      "refreshAck",
      channel === ROOM ? "ack e/0" : "ack time/1000",
      "unsubscribed",
    ]);
    expect([listener.session.channels, [...broker.wanted]]).toEqual([[], []]);
  },
);

test("who cannot be told of it is closed to come back, and what a token has given only a rule takes", async () => {
  const channels = ["given", "taken"];
  const before = await open(rulesOf("allow"), {
    capabilities: [],
    backends: { authenticate: async () => ({ userId: "ada", channels }) },
  });
  await send(before.session, subscribe("own"));
  const kept = await woken(before, rulesOf("deny", rule("allow", "own")));
  expect([...kept.session.channels].sort()).toEqual(["given", "own", "taken"]);
  expect(kept.transport.closed).toBeUndefined();
  const gone = await woken(before, rulesOf("allow", rule("deny", "taken")));
  expect(gone.transport.closed?.code).toBe(3000);
  expect(gone.session.ended).toBe(true);
  expect(gone.transport.frames).toEqual([]);
});

test("a client id that is vouched for is a word like a user's", async () => {
  const opened = scene({
    access: rulesOf("deny", rule("allow", "device.{client}")),
    backends: { authenticate: async () => ({ userId: "ada", clientVouched: true }) },
  });
  await connectWith(opened.session, { capabilities: ["x"], clientId: "d1" });
  expect(await told(opened, "subscribe", "device.d1")).toBe("subscribeAck");
  expect(await told(opened, "subscribe", "device.d2")).toBe("error ACL_ERROR");
});

test("a client's own name for itself is nobody's word", async () => {
  const opened = scene({ access: rulesOf("deny", rule("allow", "device.{client}")) });
  await connectWith(opened.session, { capabilities: ["x"], clientId: "d1" });
  expect(await told(opened, "subscribe", "device.d1")).toBe("error ACL_ERROR");
});

test("a server's own calls are its own affair", async () => {
  const opened = await open(rulesOf("deny"));
  const { results } = await opened.engine.subscribe("s", ["any"]);
  expect(results).toEqual({ any: true });
  expect(await told(opened, "publish", "any")).toBe("error ACL_ERROR");
});

test("whom the host has admitted its door has asked about", async () => {
  const { engine } = scene({ access: rulesOf("deny") });
  const transport = new ScriptedTransport();
  const session = engine.accept(transport, "e", "json", {
    address: "",
    admitted: { userId: "ada" },
  });
  await connectWith(session, { capabilities: ["x"], subscriptions: [{ channel: "a" }] });
  expect([...session.channels]).toEqual(["a"]);
});

/** Nothing of ROOM for this action; everything else is allowed. */
const without = (action: Action) => rulesOf("allow", rule("deny", ROOM, { actions: [action] }));

test.each([
  ["since", since(1), "e/1"],
  ["rewind", { rewind: 3 }, "?"],
  ["recover", { recover: true }, "?"],
])(
  "%s brings nothing of what was before to who may not read history, and says so",
  async (_, asked, after) => {
    const { broker, listener } = await listening(["recovery"], { access: without("history") });
    broker.append(4);
    await listener.subscribe(asked);
    expect(listener.told()).toEqual(["ack e/4", `recovered e/4 unavailable ${after}..e/4`]);
    expect(broker.asked).toEqual([]);
    broker.hand();
    broker.deliver(1);
    expect(listener.told()).toEqual(["live e/5"]);
  },
);

test("by a pattern as well, of the channels whose history may not be read", async () => {
  const { broker, listener } = await listening(["recovery"], { access: without("history") });
  broker.append(4);
  const positions = { [ROOM]: { epoch: "e", offset: 2n } };
  await listener.subscribe({ channel: "*", positions });
  expect(listener.told()).toEqual([
    "ack time/1000",
    "recovered e/4 unavailable e/2..e/4",
    "recovered time/1000 unavailable ?..time/1000",
  ]);
  broker.hand();
  broker.deliver(1);
  expect(listener.told()).toEqual(["live e/5"]);
});

test.each([ROOM, "*"])(
  "who may not see who is in a channel hears of nobody who comes, by %s",
  async (channel) => {
    const member = { sessionId: "other", userId: "grace", clientId: "", time: 1 };
    for (const [access, expected] of [
      [without("presence"), []],
      [without("survey"), ["presenceEvent"]],
    ] as const) {
      const { broker, listener } = await listening(["presence"], { access });
      await listener.subscribe({ channel });
      listener.told();
      broker.handler.presence(ROOM, "e", [{ member, joined: true, generation: 1 }]);
      expect(listener.told()).toEqual(expected);
    }
  },
);
