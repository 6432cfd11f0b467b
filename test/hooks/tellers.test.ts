/** How a backend is told, over whichever network. */
import { fromBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { callTeller, httpTeller, type TellerTerms } from "../../src/hooks/tellers.ts";
import {
  OnDisconnectedRequestSchema,
  OnOccupiedRequestSchema,
} from "../../src/protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { type Call, HOOKS, type Hook } from "../../src/proxy/service.ts";
import { event, hmac, jsonOf, ScriptedBackend, termsOf } from "./scene.ts";

const clock = { now: () => 1_700_000_000_000 };
const ended = event("s", "disconnected", { id: "id-1", code: 3512, reason: "server going away" });
const occupied = event("", "occupied", {
  id: "id-2",
  channel: "room",
  sequence: 1_700_000_000_000_001,
  userId: "",
  clientId: "",
  clientType: "",
});

async function sent(terms: Partial<TellerTerms>, one = ended) {
  const app = new ScriptedBackend();
  const teller = httpTeller({ ...termsOf("json"), ...terms }, app.post, { hmac, clock });
  expect(await teller.send("the-id", [one])).toBeUndefined();
  const [request] = app.requests;
  if (request === undefined) throw new Error("nothing was sent");
  return request;
}

test("over Connect the path names the procedure, and the body is the message in the backend's encoding", async () => {
  const proto = await sent({ kind: "connect", encoding: "proto" });
  expect(proto).toMatchObject({
    contentType: "application/proto",
    path: "/messageloop.proxy.v1.ProxyService/OnDisconnected",
    hook: "on_disconnected",
  });
  expect(proto.headers).toMatchObject({
    "connect-protocol-version": "1",
    "messageloop-hook": "on_disconnected",
    "webhook-id": "the-id",
  });
  expect(fromBinary(OnDisconnectedRequestSchema, proto.body)).toMatchObject({
    sessionId: "s",
    username: "ada",
    code: 3512,
  });
  const json = await sent({ kind: "connect", encoding: "json" });
  expect(json.contentType).toBe("application/json");
  expect(jsonOf(json)).toMatchObject({ session_id: "s", code: 3512 });
});

test("an event of a channel is of no session, and has its number", async () => {
  const lifecycle = {
    event_id: "id-2",
    time: "2023-11-14T22:13:20Z",
    sequence: "1700000000000001",
  };
  const json = await sent({}, occupied);
  expect(json.hook).toBe("on_occupied");
  expect(jsonOf(json)).toEqual({ channel: "room", lifecycle });
  expect(jsonOf(await sent({ payload: "cloudevents" }, occupied))).toMatchObject({
    type: "com.messageloop.on_occupied",
    subject: "room",
    data: { channel: "room", lifecycle },
  });
  expect(jsonOf(await sent({ payload: "v0.1.1" }, occupied))).toEqual({ channel: "room" });
  const proto = await sent({ kind: "connect" }, { ...occupied, kind: "vacated" });
  expect(proto.path).toBe("/messageloop.proxy.v1.ProxyService/OnVacated");
  expect(fromBinary(OnOccupiedRequestSchema, proto.body)).toMatchObject({ channel: "room" });
});

test("a backend that is called is told by calls of ProxyService, and fails as they do", async () => {
  const asked: unknown[] = [];
  const failure = new Error("away");
  let fails = false;
  const call = (async (hook: Hook, message: unknown) => {
    if (fails) throw failure;
    asked.push([hook.procedure, message]);
    return {};
  }) as unknown as Call;
  const teller = callTeller(call);
  expect(teller.most).toBe(1);
  expect(await teller.send("id", [ended])).toBeUndefined();
  expect(asked).toMatchObject([[HOOKS.onDisconnected.procedure, { sessionId: "s", code: 3512 }]]);
  fails = true;
  await expect(teller.send("id", [ended])).rejects.toBe(failure);
});
