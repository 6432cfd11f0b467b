/**
 * What backends answer and how they refuse, with every field missing, of another type, huge and no number:
 * a refusal or a failure by the tables, one warning that names backend and field, and never more.
 */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DEFAULT_CHANNEL_RULES, RuleBook } from "../../src/channels/rules.ts";
import { BackendFailure, type Backends } from "../../src/engine/ports/backends.ts";
import { codecFor } from "../../src/protocol/codec.ts";
import { ERRORS } from "../../src/protocol/codes.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import type { Error as ErrorMessage } from "../../src/protocol/gen/messageloop/shared/v1/errors_pb.js";
import { InboundMessageSchema } from "../../src/protocol/gen/messageloop/v1/service_pb.js";
import { MAX_ERRORS } from "../../src/protocol/limits.ts";
import { createRouter } from "../../src/proxy/router.ts";
import { connect, type Init, kinds, ScriptedTransport, scene, send, subscribe } from "./scene.ts";

/** Nothing that a field may hold, whatever its type. */
const WRONG: Readonly<Record<string, unknown>> = {
  missing: undefined,
  null: null,
  number: 42,
  NaN: Number.NaN,
  bigint: 2n ** 70n,
  boolean: true,
  symbol: Symbol("s"),
  list: [],
  object: {},
  function: () => {},
  surrogate: "\ud800",
  "object without a text": Object.create(null),
};

const event = {
  ...create(CloudEventSchema, { id: "1", source: "/s", type: "t", specVersion: "1.0" }),
};
const rpc: Init = {
  id: "1",
  channel: "svc",
  envelope: { case: "rpcRequest", value: create(CloudEventSchema, event) },
};

/** Backends whose answers their types do not allow. */
function hostile(backends: { readonly [name in keyof Backends]: () => unknown }): Backends {
  return backends as unknown as Backends;
}

function logged(backends: Backends) {
  const warnings: { message: string; [field: string]: unknown }[] = [];
  const world = scene({
    backends,
    logger: {
      warn: (message, fields) => {
        warnings.push({ message, ...fields });
      },
    },
  });
  const named = () => warnings.map(({ backend, field }) => `${backend} ${field}`);
  return { ...world, warnings, named };
}

function lastError({ frames }: ScriptedTransport): ErrorMessage {
  const { envelope } = codecFor("json").decodeOutbound(frames.at(-1) ?? "");
  if (envelope.case !== "error") throw new Error(`${envelope.case} and no error`);
  return envelope.value;
}

test.each(Object.entries(WRONG))(
  "[SPEC-A2] an authenticator whose user id is %s has refused",
  async (_, userId) => {
    const world = logged(hostile({ authenticate: async () => ({ userId }) }));
    await connect(world.session);
    expect(kinds(world.transport)).toEqual(["error AUTH_ERROR"]);
    expect(world.transport.closed?.code).toBe(3500);
    expect(world.named()).toEqual(["authenticate userId"]);
    expect(world.engine.stats().internalErrors).toBe(0);
  },
);

test.each(
  Object.entries({
    ...WRONG,
    text: "ada",
    empty: { userId: "" },
    huge: { userId: "x".repeat(256) },
  }),
)("[SPEC-A2] an authenticator that answers %s has refused", async (_, answer) => {
  const world = logged(hostile({ authenticate: async () => answer }));
  await connect(world.session);
  expect(kinds(world.transport)).toEqual(["error AUTH_ERROR"]);
  expect(world.transport.closed?.code).toBe(3500);
  expect(world.named()).toHaveLength(1);
});

test("a user id of 255 bytes is one", async () => {
  const userId = "\u00e4".repeat(127);
  const world = logged({ authenticate: async () => ({ userId }) });
  await connect(world.session);
  expect(kinds(world.transport)).toEqual(["connected"]);
  expect(world.session.userId).toBe(userId);
});

test.each(Object.entries(WRONG).filter(([name]) => name !== "missing"))(
  "[SPEC-A4] an authorizer that answers %s has refused",
  async (_, answer) => {
    const world = logged(hostile({ authorizeSubscribe: async () => answer }));
    await connect(world.session, "room");
    expect(`${world.transport.frames[0]}`).toContain("ACL_ERROR");
    expect(world.engine.hub.size).toBe(0);
    expect(world.named()).toEqual(["authorizeSubscribe answer"]);
  },
);

/** Answers to an RPC that are no event, by the field that the log has to name. */
function noEvents(): [field: string, answer: unknown][] {
  const all = Object.values(WRONG);
  const isObject = (value: unknown) => typeof value === "object" && value !== null;
  const attribute = (a: unknown) => ({ ...event, attributes: { a } });
  return [
    ...all
      .filter((wrong) => wrong !== undefined && !isObject(wrong))
      .map((wrong) => ["answer", wrong]),
    ...["id", "source", "specVersion", "type"].flatMap((field) =>
      all.map((wrong) => [field, { ...event, [field]: wrong }]),
    ),
    // Objects without anything in them are no attributes, and no data.
    ...["attributes", "data"].flatMap((field) =>
      all.filter((wrong) => !isObject(wrong)).map((wrong) => [field, { ...event, [field]: wrong }]),
    ),
    ...all.flatMap((wrong) => [
      ["attributes.a", attribute(wrong)],
      ["attributes.a", attribute({ attr: wrong })],
      ["attributes.a", attribute({ attr: { case: wrong, value: "x" } })],
    ]),
    ...["ceBoolean", "ceInteger", "ceString", "ceBytes", "ceUri", "ceTimestamp"].flatMap((kind) =>
      Object.entries(WRONG)
        .filter(([name]) => !`${kind} ${name}`.match(/ceBoolean boolean|ceInteger number/))
        .map(([, value]) => ["attributes.a", attribute({ attr: { case: kind, value } })]),
    ),
    ...["binaryData", "textData", "protoData"].flatMap((kind) =>
      all.map((value) => ["data", { ...event, data: { case: kind, value } }]),
    ),
    // What every type allows and no event may be.
    [
      "answer",
      attribute({ attr: { case: "ceTimestamp", value: { seconds: 2n ** 70n, nanos: 0 } } }),
    ],
    ["answer", attribute({ attr: { case: "ceTimestamp", value: { seconds: 0n, nanos: 1e30 } } })],
    ["attributes.a", attribute({ attr: { case: "ceInteger", value: 2 ** 31 } })],
    ["attributes.a", attribute({ attr: { case: "ceInteger", value: 0.5 } })],
  ] as [string, unknown][];
}

test("[SPEC-A4] an authorizer behind a router that answers has refused", async () => {
  const deny = hostile({ authorizeSubscribe: async () => false });
  const world = logged(createRouter().add({ channel: "*", method: "subscribe" }, deny));
  await connect(world.session, "room", "ro*m");
  expect(world.engine.hub.subscriptions).toBe(0);
});

test("[SPEC-R2] an RPC whose answer has a field that is no such thing has failed", async () => {
  let answer: unknown;
  const world = logged(hostile({ rpc: async () => answer }));
  await connect(world.session);
  const answers = noEvents();
  for (const [field, one] of answers) {
    answer = one;
    world.warnings.splice(0);
    await send(world.session, rpc);
    expect(lastError(world.transport)).toMatchObject({ code: "PROXY_ERROR" });
    expect(world.named()).toEqual([expect.stringContaining(`rpc ${field}`)]);
  }
  expect(answers.length).toBeGreaterThan(150);
  expect(world.transport.closed).toBeUndefined();
  expect(world.engine.stats().internalErrors).toBe(0);
});

/** Metadata that no encoding carries, or that costs more than it may. */
function badMetadata(): [name: string, metadata: unknown][] {
  const cycle: Record<string, unknown> = {};
  cycle["list"] = [cycle];
  // Two to the power of thirty places, and only thirty objects.
  let shared: Record<string, unknown> = {};
  for (let i = 0; i < 30; i++) shared = { a: shared, b: shared };
  return [
    ...Object.entries(WRONG).filter(([name]) => !/missing|object/.test(name)),
    ...Object.entries(WRONG)
      .filter(([name]) => !/null|number|boolean|list|object/.test(name))
      .map(([name, value]): [string, unknown] => [
        `a member that is ${name}`,
        { a: [{ b: value }] },
      ]),
    ["infinite", { a: Number.POSITIVE_INFINITY }],
    ["a cycle", cycle],
    ["shared", shared],
    ["31 deep", nested(31)],
    ["a date", { at: new Date(0) }],
    ["a map", new Map([["a", 1]])],
    ["huge", { text: "x".repeat(4_097) }],
    ["a name that is no text", { "\udc00": 1 }],
    ["what throws", throwing()],
  ];
}

/** What throws when it is looked at. */
function throwing(): unknown {
  const get = () => {
    throw new Error("of the backend's own");
  };
  return Object.defineProperty({}, "a", { enumerable: true, get });
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? { a: value } : [value];
  return depth % 2 === 0 ? { a: nested(depth - 1) } : value;
}

test.each(badMetadata())(
  "[SPEC-A7] a refusal with metadata that is %s is told without it",
  async (_, metadata) => {
    const refuse = async () => {
      const options = { type: "app", metadata: metadata as never };
      throw new MessagingError("NOT_TODAY", "come back", options);
    };
    for (const extended of [true, false]) {
      const world = logged({ authenticate: refuse });
      const capabilities = extended ? ["x"] : [];
      await send(world.session, { envelope: { case: "connect", value: { capabilities } } });
      const error = { code: "NOT_TODAY", type: "app", message: "come back" };
      expect(lastError(world.transport)).toMatchObject(error);
      expect(lastError(world.transport).metadata).toBeUndefined();
      expect(world.transport.closed?.code).toBe(3500);
      expect(world.named()).toEqual([expect.stringMatching(/^authenticate (metadata|error)/)]);
    }
    const joined = logged({ authorizeSubscribe: refuse });
    await connect(joined.session, "room");
    expect(kinds(joined.transport)).toEqual(["connected"]);
    expect(`${joined.transport.frames}`).toContain("NOT_TODAY");
    const asked = logged({ rpc: refuse });
    await connect(asked.session);
    await send(asked.session, rpc);
    expect(lastError(asked.transport)).toMatchObject({ code: "NOT_TODAY" });
    expect(lastError(asked.transport).metadata).toBeUndefined();
    for (const { engine } of [joined, asked]) expect(engine.stats().internalErrors).toBe(0);
  },
);

test("metadata that nests 30 deep reaches the client", async () => {
  const metadata = nested(30) as never;
  const world = logged({
    rpc: async () => {
      throw new MessagingError("NOT_TODAY", "come back", { metadata });
    },
  });
  await connect(world.session);
  await send(world.session, rpc);
  expect(lastError(world.transport).metadata).toEqual(metadata);
  expect(world.warnings).toEqual([]);
});

test.each(Object.entries({ ...WRONG, empty: "", huge: "x".repeat(65) }))(
  "a refusal whose code is %s is one all the same, with the table's code",
  async (_, code) => {
    const refuse = async () => {
      throw new MessagingError(code as string, "come back");
    };
    const authenticated = logged({ authenticate: refuse });
    await connect(authenticated.session);
    expect(lastError(authenticated.transport).code).toBe("AUTH_ERROR");
    expect(authenticated.transport.closed?.code).toBe(3500);
    expect(authenticated.named()).toContain("authenticate code");
    const asked = logged({ rpc: refuse });
    await connect(asked.session);
    await send(asked.session, rpc);
    expect(lastError(asked.transport).code).toBe("PROXY_ERROR");
    expect(asked.named()).toContain("rpc code");
  },
);

test.each(Object.entries(WRONG))(
  "a refusal whose type or text is %s keeps its code",
  async (_, wrong) => {
    for (const field of ["type", "message"]) {
      const world = logged({
        rpc: async () => {
          throw Object.assign(new MessagingError("NOT_TODAY", "come back"), { [field]: wrong });
        },
      });
      await connect(world.session);
      await send(world.session, rpc);
      expect(lastError(world.transport).code).toBe("NOT_TODAY");
      expect(world.named()).toEqual([`rpc ${field}`]);
    }
  },
);

test("[SPEC-A7] all parts of a refusal together have 4,096 bytes", async () => {
  for (const [length, told] of [
    [4_096 - "NOT_TODAY".length - "app".length - 1_024 - "text".length - 8, true],
    [4_096 - "NOT_TODAY".length - "app".length - 1_024 - "text".length - 7, false],
  ] as const) {
    const metadata = { text: "x".repeat(length) };
    const world = logged({
      rpc: async () => {
        throw new MessagingError("NOT_TODAY", "x".repeat(1_024), { type: "app", metadata });
      },
    });
    await connect(world.session);
    await send(world.session, rpc);
    expect(lastError(world.transport).metadata).toEqual(told ? metadata : undefined);
    expect(world.named()).toEqual(told ? [] : ["rpc metadata.text"]);
  }
});

test.each(["UNAVAILABLE", "PROXY_ERROR", "RPC_TIMEOUT", "RATE_LIMITED", "DISCONNECT_ERROR"])(
  "[SPEC-A7] %s is no refusal: it would say whether the session may come back",
  async (code) => {
    const refuse = async () => {
      throw new MessagingError(code, "so says the backend");
    };
    const extended = logged({ authenticate: refuse });
    await connect(extended.session);
    expect(lastError(extended.transport)).toMatchObject({
      code: "UNAVAILABLE",
      message: "authentication failed",
      metadata: { correlation_id: expect.any(String) },
    });
    expect(extended.transport.closed?.code).toBe(1011);
    const v1 = logged({ authenticate: refuse });
    await send(v1.session, { envelope: { case: "connect", value: {} } });
    expect(lastError(v1.transport)).toMatchObject({ code: "AUTH_ERROR" });
    expect(v1.transport.closed?.code).toBe(3500);
    const joined = logged({ authorizeSubscribe: refuse });
    await connect(joined.session, "room");
    expect(`${joined.transport.frames}`).toContain("UNAVAILABLE");
    expect(`${joined.transport.frames}`).toContain("authorization failed");
    for (const { transport } of [extended, v1, joined]) {
      expect(`${transport.frames}`).not.toContain("so says");
    }
  },
);

test("[SPEC-R2] an error that a backend states to an RPC never closes the session", async () => {
  let code = "";
  const world = logged({
    rpc: async () => {
      throw new MessagingError(code, "so says the backend");
    },
  });
  await connect(world.session);
  for (code of Object.keys(ERRORS)) {
    const own = code === "DISCONNECT_ERROR";
    for (let i = 0; i <= MAX_ERRORS; i++) await send(world.session, rpc);
    expect(lastError(world.transport).code).toBe(own ? "PROXY_ERROR" : code);
  }
  expect(world.transport.closed).toBeUndefined();
});

test("[SPEC-A5] what the server says of a failure is found in the log by its id", async () => {
  const failures: [unknown, string][] = [
    [new BackendFailure("status", "status 502"), "PROXY_ERROR"],
    [new BackendFailure("field", "payload is no event"), "PROXY_ERROR"],
    [new BackendFailure("timeout", "no answer within 5 ms"), "RPC_TIMEOUT"],
    [new Error("of the backend's own"), "PROXY_ERROR"],
  ];
  for (const [failure, code] of failures) {
    const world = logged({ rpc: () => Promise.reject(failure) });
    await connect(world.session);
    await send(world.session, rpc);
    const error = lastError(world.transport);
    expect(error.code).toBe(code);
    expect(error.metadata).toEqual({ correlation_id: expect.stringMatching(/^id-/) });
    expect(world.warnings).toEqual([
      expect.objectContaining({ message: "backend call failed", ...error.metadata }),
    ]);
  }
  const late = logged({ rpc: () => new Promise(() => {}) });
  await connect(late.session);
  const waiting = send(late.session, rpc);
  late.timers.fire();
  await waiting;
  expect(late.warnings).toEqual([expect.objectContaining(lastError(late.transport).metadata)]);
});

test("[SPEC-A2] a field of the wrong type is a refusal, and any other failure is none", async () => {
  for (const [reason, code] of [
    ["field", "AUTH_ERROR"],
    ["answer", "UNAVAILABLE"],
  ] as const) {
    const fail = () => Promise.reject(new BackendFailure(reason, "UserInfo.id"));
    const world = logged({ authenticate: fail });
    await connect(world.session);
    expect(lastError(world.transport)).toMatchObject({ code, message: "authentication failed" });
  }
});

test("a refusal's long text is cut between characters", async () => {
  const text = "\u{1f600}".repeat(300);
  const world = logged({
    rpc: async () => {
      throw new MessagingError("NOT_TODAY", text);
    },
  });
  await connect(world.session);
  await send(world.session, rpc);
  expect(lastError(world.transport).message).toBe("\u{1f600}".repeat(256));
  expect(world.named()).toEqual(["rpc message"]);
});

test.each(Object.entries(WRONG))("a backend that throws %s has failed", async (_, thrown) => {
  const fail = async () => {
    throw thrown;
  };
  const world = logged({ rpc: fail, authorizeSubscribe: fail });
  await connect(world.session, "room");
  expect(`${world.transport.frames[0]}`).toContain("UNAVAILABLE");
  await send(world.session, rpc);
  expect(lastError(world.transport).code).toBe("PROXY_ERROR");
  expect(world.warnings.map(({ backend }) => backend)).toEqual(["authorizeSubscribe", "rpc"]);
});

test("a cancellation that throws keeps no other from being told", async () => {
  const told: string[] = [];
  const world = logged({
    rpc: (_, cancellation) => {
      cancellation.onCancel(() => {
        throw new Error("of the backend's own");
      });
      cancellation.onCancel(() => told.push("told"));
      return new Promise(() => {});
    },
  });
  await connect(world.session);
  const waiting = send(world.session, rpc);
  world.timers.fire();
  await waiting;
  expect(told).toEqual(["told"]);
  expect(lastError(world.transport).code).toBe("RPC_TIMEOUT");
});

test("an event of the server's own side that is none is BAD_REQUEST", async () => {
  const { engine } = scene();
  for (const [field, one] of noEvents()) {
    if (field === "answer" && typeof one === "object") continue;
    const refused = { code: "BAD_REQUEST" };
    await expect(engine.publish("room", one as never)).rejects.toMatchObject(refused);
    await expect(engine.survey("room", one as never)).rejects.toMatchObject(refused);
  }
  for (const value of Object.values(WRONG)) {
    const options = { metadata: { a: value as never } };
    const published = engine.publish("room", create(CloudEventSchema, event), options);
    await expect(published).rejects.toMatchObject({ code: "BAD_REQUEST" });
  }
});

test("a repeated event is recognised by the same rules at both doors", async () => {
  const { engine, broker } = scene();
  const keys: string[] = [];
  broker.publish = async (_channel, { key }) => {
    keys.push(key);
    return { position: { epoch: "e", offset: 1 }, duplicate: false };
  };
  const named = create(CloudEventSchema, event);
  for (const principal of ["a", "a", "b", undefined]) {
    await engine.publish("room", named, principal === undefined ? {} : { principal });
  }
  expect(keys[0]).toBe(keys[1]);
  expect(new Set(keys).size).toBe(3);
  const long = create(CloudEventSchema, { ...event, source: "s".repeat(1_025) });
  await expect(engine.publish("room", long, { principal: "a" })).rejects.toMatchObject({
    code: "BAD_REQUEST",
  });
  await engine.publish("room", long);
  const rules = new RuleBook([], { ...DEFAULT_CHANNEL_RULES, exactlyOnce: false });
  const off = scene({ rules });
  const fresh: string[] = [];
  off.broker.publish = async (_channel, { key }) => {
    fresh.push(key);
    return { position: { epoch: "e", offset: 1 }, duplicate: false };
  };
  for (let i = 0; i < 2; i++) await off.engine.publish("room", named, { principal: "a" });
  expect(new Set(fresh).size).toBe(2);
});

test.each(["json", "proto"] as const)(
  "[SPEC-F5] an answer to an RPC that no frame may hold has failed, in %s; the largest arrives",
  async (encoding) => {
    let bytes = 0;
    const rpc = async () => {
      const data = { case: "binaryData", value: new Uint8Array(bytes) } as const;
      return create(CloudEventSchema, { ...event, data });
    };
    const world = logged({ rpc });
    const transport = new ScriptedTransport();
    const session = world.engine.accept(transport, "t", encoding);
    const codec = codecFor(encoding);
    const connects: Init["envelope"] = { case: "connect", value: { capabilities: ["x"] } };
    const asks = { case: "rpcRequest", value: create(CloudEventSchema, event) } as const;
    const ask = async (envelope: NonNullable<Init["envelope"]>) => {
      await session.receive(codec.encodeInbound(create(InboundMessageSchema, { envelope })));
      const frame = transport.frames.at(-1) ?? "";
      return { ...codec.decodeOutbound(frame).envelope, bytes: frame.length };
    };
    await ask(connects);
    const most = 6 * 65_536 + 4_096;
    bytes = encoding === "json" ? (most * 3) / 4 - 200 : most - 100;
    expect(await ask(asks)).toMatchObject({ case: "rpcReply" });
    expect(world.warnings).toEqual([]);
    for (bytes of [most, 4 * most]) {
      expect(await ask(asks)).toMatchObject({ case: "error", value: { code: "PROXY_ERROR" } });
    }
    expect(world.named()).toEqual(["rpc answer", "rpc answer"]);
  },
);

test("[SPEC-F5] an acknowledgement of many refusals leaves out their texts before it is too large", async () => {
  const metadata = { text: "\u0001".repeat(3_000) };
  const refuse = async () => {
    throw new MessagingError("NOT_TODAY", "x".repeat(1_024), { metadata });
  };
  const world = logged({ authorizeSubscribe: refuse });
  await connect(world.session);
  const channels = Array.from({ length: 1_000 }, (_, i) => `channel-${i}`);
  await send(world.session, subscribe(...channels));
  const frame = `${world.transport.frames.at(-1)}`;
  expect(frame.length).toBeLessThanOrEqual(6 * 65_536 + 4_096);
  const { envelope } = codecFor("json").decodeOutbound(frame);
  const entries = envelope.case === "subscribeAck" ? envelope.value.subscriptions : [];
  expect(entries.map(({ error }) => error?.code)).toEqual(channels.map(() => "NOT_TODAY"));
  expect(entries[0]?.error?.metadata).toEqual(metadata);
  expect(entries.at(-1)?.error?.metadata).toBeUndefined();
});
