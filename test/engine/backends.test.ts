/** Backends in the process: who someone is, what they may hear, and calls that do not hold each other up. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Backends, RpcRequest } from "../../src/engine/ports/backends.ts";
import { MessagingError } from "../../src/protocol/errors.ts";
import { CloudEventSchema } from "../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { connect, type Init, kinds, ScriptedTransport, scene, send, subscribe } from "./scene.ts";

const ping: Init = { id: "ping", envelope: { case: "ping", value: {} } };

function rpc(id: string, method = "m"): Init {
  const value = { id: "e", source: "/s", type: "t" };
  return { id, channel: "svc", method, envelope: { case: "rpcRequest", value } };
}

test("a refused token is told with the backend's error and closes with 3500", async () => {
  const backends: Backends = {
    authenticate: async () => {
      throw new MessagingError("INVALID_CREDENTIALS", "wrong password", { type: "auth_error" });
    },
  };
  const { engine, session, transport } = scene({ backends });
  await connect(session);
  expect(kinds(transport)).toEqual(["error INVALID_CREDENTIALS"]);
  expect(transport.closed?.code).toBe(3500);
  expect(engine.sessionCount).toBe(0);
});

test("a backend that names nobody has authenticated nobody", async () => {
  const { session, transport } = scene({
    backends: { authenticate: async () => ({ userId: "" }) },
  });
  await connect(session);
  expect(kinds(transport)).toEqual(["error AUTH_ERROR"]);
  expect(transport.closed?.code).toBe(3500);
});

test("a backend that fails has refused nobody, and its words reach nobody", async () => {
  const authenticate = async () => Promise.reject(new Error("secret host 10.0.0.1"));
  const extended = scene({ backends: { authenticate } });
  await connect(extended.session);
  expect(kinds(extended.transport)).toEqual(["error UNAVAILABLE"]);
  expect(extended.transport.closed?.code).toBe(1011);
  const v1 = scene({ backends: { authenticate } });
  await send(v1.session, { envelope: { case: "connect", value: {} } });
  expect(kinds(v1.transport)).toEqual(["error AUTH_ERROR"]);
  expect(v1.transport.closed?.code).toBe(3500);
  expect(`${extended.transport.frames}${v1.transport.frames}`).not.toContain("secret");
});

test("the user id comes from authentication, and frames behind connect wait for it", async () => {
  const { promise, resolve } = Promise.withResolvers<{ userId: string }>();
  const { session, transport } = scene({ backends: { authenticate: () => promise } });
  const connecting = connect(session);
  await send(session, subscribe("a"));
  expect(transport.frames).toEqual([]);
  resolve({ userId: "ada" });
  await connecting;
  // What waited is begun by then, and answered when it is done.
  await expect.poll(() => kinds(transport)).toEqual(["connected", "subscribeAck"]);
  expect(session.userId).toBe("ada");
});

test("whom the host has admitted no backend is asked about, for connect or for channels", async () => {
  const asked: string[] = [];
  const backends: Backends = {
    authenticate: async () => {
      asked.push("who");
      return { userId: "somebody" };
    },
    authorizeSubscribe: async ({ channel }) => {
      asked.push(channel);
    },
  };
  const { engine } = scene({ backends });
  for (const userId of ["ada", ""]) {
    const transport = new ScriptedTransport();
    const peer = { address: "", admitted: { userId } };
    const session = engine.accept(transport, `s-${userId}`, "json", peer);
    await connect(session, "a", "b.*");
    expect(kinds(transport)).toEqual(["connected"]);
    expect(session.userId).toBe(userId);
    expect(session.channels).toEqual(["a", "b.*"]);
  }
  expect(asked).toEqual([]);
});

test("an extended client keeps what it may hear and reads why the rest was refused", async () => {
  const asked: string[] = [];
  const backends: Backends = {
    authorizeSubscribe: async ({ channel, token, caller }) => {
      asked.push(`${caller.clientId} ${channel} ${token}`);
      if (channel === "secret") throw new MessagingError("ACL_ERROR", "not yours");
    },
  };
  const { broker, session, transport } = scene({ backends });
  await connect(session);
  await send(session, subscribe("open", "secret"));
  expect(`${transport.frames.at(-1)}`).toContain("ACL_ERROR");
  expect([...broker.wanted]).toEqual(["open"]);
  expect(session.channels).toEqual(["open"]);
  expect(asked).toEqual([" open ", " secret "]);
  expect(transport.closed).toBeUndefined();
});

test("a v1 client that is refused one channel loses all of the request and is closed with 3500", async () => {
  const backends: Backends = {
    authorizeSubscribe: async ({ channel }) => {
      if (channel === "secret") throw new MessagingError("ACL_ERROR", "not yours");
    },
  };
  const { broker, session, transport } = scene({ backends });
  await send(session, { envelope: { case: "connect", value: {} } });
  await send(session, subscribe("open", "secret"));
  expect(kinds(transport)).toEqual(["connected", "error ACL_ERROR"]);
  expect(transport.closed?.code).toBe(3500);
  expect(broker.wanted.size).toBe(0);
});

test("a slow RPC delays neither ping nor publish nor another RPC", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const backends: Backends = {
    rpc: async ({ method, payload }: RpcRequest) => {
      if (method === "slow") await promise;
      return payload;
    },
  };
  const { session, transport } = scene({ backends });
  await connect(session);
  const slow = send(session, rpc("1", "slow"));
  await send(session, rpc("2"));
  await send(session, ping);
  const publish = { case: "publish", value: { id: "e", source: "a", type: "t" } } as const;
  await send(session, { envelope: publish });
  expect(kinds(transport)).toEqual(["connected", "rpcReply", "pong", "publishAck"]);
  resolve();
  await slow;
  expect(kinds(transport).at(-1)).toBe("rpcReply");
});

test("RPC outcomes: empty, refused, failed, late, too many, cancelled", async () => {
  const cancelled: string[] = [];
  const backends: Backends = {
    rpc: async ({ method }, cancellation) => {
      if (method === "empty") return undefined;
      if (method === "refused") throw new MessagingError("NO_STOCK", "sold out", { type: "app" });
      if (method === "failed") throw new Error("stack trace of the backend");
      cancellation.onCancel(() => cancelled.push(method));
      return await new Promise(() => {});
    },
  };
  const { session, timers, transport } = scene({ backends, maxInFlightRpcs: 2 });
  await connect(session);
  await send(session, rpc("1", "empty"));
  await send(session, rpc("2", "refused"));
  await send(session, rpc("3", "failed"));
  const late = send(session, rpc("4", "late"));
  const open = send(session, rpc("5", "open"));
  await send(session, rpc("6", "more"));
  expect(kinds(transport).slice(1)).toEqual([
    "rpcReply",
    "error NO_STOCK",
    "error PROXY_ERROR",
    "error RATE_LIMITED",
  ]);
  expect(`${transport.frames.at(-1)}`).toContain('"retry_after_ms":1000');
  timers.fire();
  await Promise.all([late, open]);
  expect(kinds(transport).slice(5)).toEqual(["error RPC_TIMEOUT", "error RPC_TIMEOUT"]);
  const gone = send(session, rpc("7", "gone"));
  session.end(true);
  await gone;
  expect(cancelled).toEqual(["late", "open", "gone"]);
  expect(`${transport.frames}`).not.toContain("stack trace");
});

test("an RPC's caller is the authenticated one and its payload the client's", async () => {
  const seen: RpcRequest[] = [];
  const backends: Backends = {
    authenticate: async () => ({ userId: "ada" }),
    rpc: async (request) => {
      seen.push(request);
      return create(CloudEventSchema, { id: "r", source: "/backend", type: "answer" });
    },
  };
  const { session } = scene({ backends });
  await connect(session);
  await send(session, { ...rpc("1", "get"), metadata: { trace: "abc" } });
  expect(seen[0]).toMatchObject({
    id: "1",
    channel: "svc",
    method: "get",
    metadata: { trace: "abc" },
    caller: { sessionId: "s", userId: "ada" },
    payload: { id: "e", source: "/s", type: "t", specVersion: "1.0" },
  });
});
