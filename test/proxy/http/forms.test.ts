/** What a backend over HTTP is sent in each form, and what its answers mean. */
import { readFileSync } from "node:fs";
import { create, fromBinary, fromJsonString, toBinary, toJson } from "@bufbuild/protobuf";
import { AnySchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import {
  type AuthenticateRequest,
  BackendFailure,
  type RpcRequest,
} from "../../../src/engine/ports/backends.ts";
import { attribute, dataBytes } from "../../../src/protocol/cloudevents.ts";
import { MessagingError } from "../../../src/protocol/errors.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  AuthenticateRequestSchema,
  AuthenticateResponseSchema,
  OnConnectedRequestSchema,
  OnSubscribedRequestSchema,
  RPCRequestSchema,
  RPCResponseSchema,
  SubscribeAclRequestSchema,
  SubscribeAclResponseSchema,
} from "../../../src/protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { structuredEvent } from "../../../src/protocol/structured/read.ts";
import { httpCall } from "../../../src/proxy/http/backend.ts";
import type { BackendResponse } from "../../../src/proxy/http/call.ts";
import { cloudEventsForm, STRUCTURED_TYPE } from "../../../src/proxy/http/cloudevents.ts";
import { connectForm } from "../../../src/proxy/http/connect.ts";
import type { Form } from "../../../src/proxy/http/form.ts";
import { jsonForm } from "../../../src/proxy/http/json.ts";
import { v011Form } from "../../../src/proxy/http/v011.ts";
import { createBackends, HOOKS } from "../../../src/proxy/service.ts";
import { answerOf, jsonAnswer, NEVER, scriptedPost, textOf } from "./scripted-post.ts";

const FORMS = {
  json: jsonForm,
  cloudevents: cloudEventsForm({ uuid: () => "00000000-0000-4000-8000-000000000001" }),
  "v0.1.1": v011Form,
  "connect proto": connectForm("proto"),
  "connect json": connectForm("json"),
} satisfies Record<string, Form>;
const forms = Object.entries(FORMS) as [keyof typeof FORMS, Form][];

const caller = { sessionId: "s-1", clientId: "phone", clientType: "web", userId: "ada" };
const authentication: AuthenticateRequest = {
  token: "secret-token",
  clientId: "c1",
  clientType: "web",
  version: "1.0.0",
  sessionId: "s-1",
  address: "192.0.2.1",
};
type Fields = Partial<Omit<CloudEvent, "$typeName" | "$unknown">>;
const event = (init: Fields = {}): CloudEvent =>
  create(CloudEventSchema, {
    id: "evt-1",
    source: "/client",
    specVersion: "1.0",
    type: "user.get",
    ...init,
  });
const call = (payload = event()): RpcRequest => ({
  id: "req-1",
  channel: "user.service",
  method: "GetUser",
  payload,
  metadata: { trace: "abc" },
  caller,
});

function backend(form: Form, answer: () => BackendResponse = () => jsonAnswer({})) {
  const { post, requests } = scriptedPost(answer);
  const backends = createBackends(httpCall({ post, form, path: "/hooks", timeoutMs: 1_500 }));
  const sent = () => {
    const request = requests.at(-1);
    if (request === undefined) throw new Error("nothing was sent");
    return request;
  };
  return {
    sent,
    authenticate: () => backends.authenticate(authentication, NEVER),
    authorize: () =>
      backends.authorizeSubscribe({ channel: "private.x", token: "tok", caller }, NEVER),
    rpc: (payload?: CloudEvent) => backends.rpc(call(payload), NEVER),
  };
}

/** How an asked backend ended: with what, or with which error. */
async function ended(work: Promise<unknown>): Promise<unknown> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof BackendFailure) return `failure ${error.reason}`;
    const { code, message } = error as { code: string; message: string };
    return `refusal ${code} ${message}`;
  }
}

test("protobuf JSON: the messages by the names of the proto file, and a header that names the hook", async () => {
  const { sent, ...asks } = backend(jsonForm);
  await asks.rpc(event({ data: { case: "textData", value: "hi" } }));
  expect(sent()).toMatchObject({
    hook: "rpc",
    contentType: "application/json",
    headers: { "messageloop-hook": "rpc" },
  });
  expect(sent().path).toBeUndefined();
  expect(JSON.parse(textOf(sent()))).toEqual({
    id: "req-1",
    channel: "user.service",
    method: "GetUser",
    payload: {
      id: "evt-1",
      source: "/client",
      spec_version: "1.0",
      type: "user.get",
      text_data: "hi",
    },
    caller: { session_id: "s-1", user_id: "ada", client_id: "phone", client_type: "web" },
    metadata: { trace: "abc" },
  });
  await ended(asks.authenticate());
  expect(sent().headers).toEqual({ "messageloop-hook": "authenticate" });
  expect(JSON.parse(textOf(sent()))).toEqual({
    username: "c1",
    password: "secret-token",
    client_type: "web",
    client_id: "c1",
    session_id: "s-1",
    version: "1.0.0",
    address: "192.0.2.1",
  });
  await asks.authorize();
  expect(sent().headers).toEqual({ "messageloop-hook": "subscribe_acl" });
  expect(JSON.parse(textOf(sent()))).toEqual({
    channel: "private.x",
    token: "tok",
    caller: { session_id: "s-1", user_id: "ada", client_id: "phone", client_type: "web" },
  });
});

test("an event whose data is a protobuf message is JSON without a registry", async () => {
  const { sent, rpc } = backend(jsonForm);
  const value = create(AnySchema, { typeUrl: "example.com/app.Note", value: Buffer.from("note") });
  await rpc(event({ data: { case: "protoData", value } }));
  expect(JSON.parse(textOf(sent())).payload).toMatchObject({
    binary_data: Buffer.from("note").toString("base64"),
    attributes: {
      datacontenttype: { ce_string: "application/protobuf" },
      dataschema: { ce_uri: "example.com/app.Note" },
    },
  });
});

interface Vector {
  readonly name: string;
  readonly frame: string;
}
const vectors = new Map(
  (
    JSON.parse(
      readFileSync(new URL("../../fixtures/wire-v1-vectors.json", import.meta.url), "utf8"),
    ) as Vector[]
  ).map(({ name, frame }) => [name, frame]),
);
function vector(name: string): string {
  const frame = vectors.get(`http_backend.${name}`);
  if (frame === undefined) throw new Error(`no vector ${name}`);
  return frame;
}

test("v0.1.1: the bodies of its vectors, byte for byte", async () => {
  const { sent, ...asks } = backend(v011Form);
  await asks.rpc(
    event({
      attributes: { datacontenttype: attribute({ case: "ceString", value: "application/json" }) },
      data: { case: "binaryData", value: Buffer.from('{"userId":"12345"}') },
    }),
  );
  expect(textOf(sent())).toBe(vector("rpc.request"));
  expect(sent().contentType).toBe("application/json");
  await ended(asks.authenticate());
  expect(textOf(sent())).toBe(vector("authenticate.request"));
  await asks.authorize();
  expect(textOf(sent())).toBe(vector("subscribe_acl.request"));
  const sessionId = "11111111-2222-4333-8444-555555555555";
  const connected = create(OnConnectedRequestSchema, { sessionId, username: "c1" });
  expect(textOf(v011Form.write(HOOKS.onConnected, connected, 1))).toBe(
    vector("on_connected_or_disconnected.request"),
  );
  const subscribed = create(OnSubscribedRequestSchema, {
    sessionId,
    username: "user-1",
    channel: "chat.messages",
  });
  expect(textOf(v011Form.write(HOOKS.onSubscribed, subscribed, 1))).toBe(
    vector("on_subscribed_or_unsubscribed.request"),
  );
});

test("v0.1.1: every kind of attribute and data, and the characters that Go escapes", async () => {
  const { sent, rpc } = backend(v011Form);
  const timestamp = create(TimestampSchema, { seconds: 1_700_000_000n, nanos: 5 });
  await rpc(
    event({
      id: "",
      source: "/a<b>&c\u2028",
      attributes: {
        Zulu: attribute({ case: "ceBoolean", value: true }),
        count: attribute({ case: "ceInteger", value: -7 }),
        bytes: attribute({ case: "ceBytes", value: Buffer.from("b") }),
        dataschema: attribute({ case: "ceUri", value: "x:y" }),
        ref: attribute({ case: "ceUriRef", value: "/r" }),
        time: attribute({ case: "ceTimestamp", value: timestamp }),
        "no-name": attribute({ case: "ceString", value: "dropped" }),
      },
      data: {
        case: "protoData",
        value: create(AnySchema, { typeUrl: "x:y", value: Buffer.from("p") }),
      },
    }),
  );
  expect(textOf(sent())).toBe(
    '{"channel":"user.service","id":"req-1","method":"GetUser","payload":{' +
      '"source":"/a\\u003cb\\u003e\\u0026c\\u2028","spec_version":"1.0","type":"user.get","attributes":{' +
      '"bytes":{"Attr":{"CeBytes":"Yg=="}},"count":{"Attr":{"CeInteger":-7}},' +
      '"dataschema":{"Attr":{"CeUri":"x:y"}},"ref":{"Attr":{"CeUriRef":"/r"}},' +
      '"time":{"Attr":{"CeTimestamp":{"seconds":1700000000,"nanos":5}}},' +
      '"zulu":{"Attr":{"CeBoolean":true}}},' +
      '"Data":{"ProtoData":{"type_url":"x:y","value":"cA=="}}}}',
  );
  await rpc(event({ data: { case: "textData", value: "hi" } }));
  expect(JSON.parse(textOf(sent())).payload.Data).toEqual({ BinaryData: "aGk=" });
  await rpc(event());
  expect(JSON.parse(textOf(sent())).payload.Data).toEqual({ BinaryData: "" });
});

test("v0.1.1: the answers of its vectors, and keys in any case", async () => {
  const asked = (body: string, contentType = "text/plain; charset=utf-8") =>
    backend(v011Form, () => answerOf(body, contentType));
  expect(await asked(vector("authenticate.response")).authenticate()).toMatchObject({
    userId: "user-1",
  });
  expect(await asked('{"USER_INFO":{"Id":"u"}}').authenticate()).toMatchObject({ userId: "u" });
  await asked(vector("subscribe_acl.response")).authorize();
  const reply = await asked(vector("rpc.response_ok")).rpc();
  expect(reply).toMatchObject({ id: "resp-1", source: "svc", type: "t", specVersion: "1.0" });
  expect(reply?.data).toEqual({ case: "textData", value: '{"result":1}' });
  await expect(asked(vector("rpc.response_error")).rpc()).rejects.toMatchObject({
    code: "NOT_FOUND",
    type: "user",
    message: "no such user",
    metadata: { id: "12345" },
  });
  const bytes = await asked('{"Payload":{"ID":"r","Binary_Data":"aGk="}}').rpc();
  expect(bytes).toMatchObject({ id: "r" });
  expect(bytes === undefined ? "" : textOf({ body: dataBytes(bytes) })).toBe("hi");
  expect(await asked('{"payload":null,"unknown":[1]}').rpc()).toBeUndefined();
  expect(await ended(asked('{"error":{"code":"NO"}}').authorize())).toBe("refusal NO ");
});

test.each(["data", "Data", "DATA"])("v0.1.1: %s of an event is refused, as it was", async (key) => {
  const answer = (payload: unknown) => backend(v011Form, () => jsonAnswer({ payload }));
  const { rpc } = answer({ id: "r", [key]: { BinaryData: "aGk=" } });
  expect(await ended(rpc())).toBe("failure field");
  expect(await answer({ id: "r", [key]: null }).rpc()).toMatchObject({ id: "r" });
});

test("v0.1.1: attributes of an event are refused, as they were", async () => {
  const answer = (attributes: unknown) =>
    backend(v011Form, () => jsonAnswer({ payload: { id: "r", attributes } }));
  expect(await ended(answer({ a: { ce_string: "x" } }).rpc())).toBe("failure field");
  for (const none of [{}, null]) expect(await answer(none).rpc()).toMatchObject({ id: "r" });
});

test("CloudEvents: an RPC is the client's event, with what else there is in extensions", async () => {
  const { sent, rpc } = backend(FORMS.cloudevents, () => answerOf("", ""));
  const forged = ["mluser", "MLUSER", "mlsession", "mlclient"].map((name) => [
    name,
    attribute({ case: "ceString", value: "mallory" }),
  ]);
  const own = attribute({ case: "ceString", value: "kept" });
  await rpc(
    event({
      attributes: { ...Object.fromEntries(forged), tenant: own },
      data: { case: "textData", value: "hi" },
    }),
  );
  expect(sent().contentType).toBe("application/cloudevents+json");
  expect(sent().headers).toEqual({ "messageloop-hook": "rpc" });
  expect(JSON.parse(textOf(sent()))).toEqual({
    specversion: "1.0",
    id: "evt-1",
    source: "/client",
    type: "user.get",
    datacontenttype: "text/plain",
    tenant: "kept",
    mlchannel: "user.service",
    mlmethod: "GetUser",
    mlrequest: "req-1",
    mlsession: "s-1",
    mluser: "ada",
    mlclient: "phone",
    mlclienttype: "web",
    mlmetadata: '{"trace":"abc"}',
    data: "hi",
  });
});

test("CloudEvents: a client that nobody has authenticated has no user, whatever its event says", async () => {
  const { post, requests } = scriptedPost(() => answerOf("", ""));
  const options = { post, form: FORMS.cloudevents, path: "/", timeoutMs: 1 };
  const attributes = { mluser: attribute({ case: "ceString", value: "mallory" }) };
  const request = { ...call(event({ id: "", source: "", type: "", attributes })), channel: "a b" };
  const backends = createBackends(httpCall(options));
  await backends.rpc({ ...request, caller: { ...caller, userId: "" } }, NEVER);
  const [sent] = requests;
  const read = JSON.parse(sent === undefined ? "" : textOf(sent));
  expect(read).not.toHaveProperty("mluser");
  // What every event has to have is taken from the request.
  expect(read).toMatchObject({ id: "req-1", source: "a%20b", type: "GetUser" });
});

test("CloudEvents: any other request is an event of ours around the message", async () => {
  const { sent, ...asks } = backend(FORMS.cloudevents);
  await asks.authorize();
  expect(JSON.parse(textOf(sent()))).toEqual({
    specversion: "1.0",
    id: "00000000-0000-4000-8000-000000000001",
    source: "/messageloop",
    type: "com.messageloop.subscribe_acl",
    datacontenttype: "application/json",
    data: {
      channel: "private.x",
      token: "tok",
      caller: { session_id: "s-1", user_id: "ada", client_id: "phone", client_type: "web" },
    },
  });
});

test("CloudEvents: an answer is an event, an object with an error, or nothing", async () => {
  const structured = "application/cloudevents+json; charset=utf-8";
  const document = '{"specversion":"1.0","id":"r","source":"/s","type":"t","data":{"n":1.50}}';
  const reply = await backend(FORMS.cloudevents, () => answerOf(document, structured)).rpc();
  expect(reply).toMatchObject({ id: "r", source: "/s", type: "t" });
  expect(reply?.data).toEqual({ case: "textData", value: '{"n":1.50}' });
  for (const status of [200, 202, 204]) {
    const none = backend(FORMS.cloudevents, () => answerOf("", "", status));
    expect(await none.rpc()).toBeUndefined();
    // Silence is no consent.
    expect(await ended(none.authorize())).toMatch(/^failure/);
  }
  const stated = backend(FORMS.cloudevents, () => jsonAnswer({ error: { code: "NO" } }));
  expect(await ended(stated.rpc())).toBe("refusal NO ");
  const old = document.replace("1.0", "0.3");
  const wrong = backend(FORMS.cloudevents, () => answerOf(old, structured));
  expect(await ended(wrong.rpc())).toBe("failure field");
  const latin = answerOf(document, "application/cloudevents+json; charset=latin1");
  expect(await ended(backend(FORMS.cloudevents, () => latin).rpc())).toBe("failure answer");
});

test("Connect: unary calls in both encodings", async () => {
  for (const encoding of ["proto", "json"] as const) {
    const { sent, ...asks } = backend(connectForm(encoding));
    await ended(asks.rpc(event({ data: { case: "textData", value: "hi" } })));
    expect(sent()).toMatchObject({
      path: "/messageloop.proxy.v1.ProxyService/RPC",
      contentType: `application/${encoding}`,
      headers: {
        "connect-protocol-version": "1",
        "connect-timeout-ms": "1500",
        "messageloop-hook": "rpc",
      },
    });
    const read =
      encoding === "proto"
        ? fromBinary(RPCRequestSchema, sent().body)
        : fromJsonString(RPCRequestSchema, textOf(sent()));
    expect(read).toMatchObject({
      id: "req-1",
      method: "GetUser",
      caller,
      metadata: { trace: "abc" },
    });
    await ended(asks.authenticate());
    expect(sent().path).toBe("/messageloop.proxy.v1.ProxyService/Authenticate");
    await ended(asks.authorize());
    expect(sent().path).toBe("/messageloop.proxy.v1.ProxyService/SubscribeAcl");
  }
});

test("Connect: answers, and what its codes mean for each hook", async () => {
  const proto = (bytes: Uint8Array) =>
    backend(FORMS["connect proto"], () => answerOf(bytes, "application/proto"));
  const payload = event({ id: "r", data: { case: "textData", value: "hi" } });
  const answer = toBinary(RPCResponseSchema, create(RPCResponseSchema, { payload }));
  expect(await proto(answer).rpc()).toMatchObject({ id: "r", data: { value: "hi" } });
  expect(await proto(new Uint8Array()).rpc()).toBeUndefined();
  expect(await proto(new Uint8Array()).authorize()).toBeUndefined();
  const denied = create(SubscribeAclResponseSchema, {
    error: { code: "NO", message: "not yours" },
  });
  const refusal = proto(toBinary(SubscribeAclResponseSchema, denied));
  expect(await ended(refusal.authorize())).toBe("refusal NO not yours");
  const user = create(AuthenticateResponseSchema, { userInfo: { id: "ada" } });
  const known = proto(toBinary(AuthenticateResponseSchema, user));
  expect(await known.authenticate()).toMatchObject({ userId: "ada" });
  expect(await ended(proto(Buffer.from("no protobuf")).rpc())).toBe("failure answer");
  const table: [code: string, status: number, rpc: string, authorize: string][] = [
    ["permission_denied", 403, "failure status", "refusal ACL_ERROR authorization failed"],
    ["unauthenticated", 401, "failure status", "refusal ACL_ERROR authorization failed"],
    ["deadline_exceeded", 504, "failure timeout", "failure timeout"],
    ["canceled", 499, "failure cancelled", "failure cancelled"],
    ["unavailable", 503, "failure status", "failure status"],
    ["made up", 500, "failure status", "failure status"],
    ["made up", 403, "failure status", "refusal ACL_ERROR authorization failed"],
  ];
  for (const [code, status, rpc, authorize] of table) {
    for (const form of [FORMS["connect proto"], FORMS["connect json"]]) {
      const asks = backend(form, () => jsonAnswer({ code, message: "of the backend" }, status));
      expect(await ended(asks.rpc())).toBe(rpc);
      expect(await ended(asks.authorize())).toBe(authorize);
    }
  }
});

test("the same content comes and goes for text, bytes and JSON, in every form", async () => {
  const bytes = new Uint8Array(256).map((_, i) => i);
  const type = (value: string) => ({ datacontenttype: attribute({ case: "ceString", value }) });
  const json = '{ "b": 1.50, "a": [9007199254740993, "\\u00e4"] }';
  const contents: Fields[] = [
    { data: { case: "textData", value: 'caf\u00e9 "\n\u{1f600}' }, attributes: type("text/plain") },
    { data: { case: "textData", value: "no type" } },
    { data: { case: "textData", value: json }, attributes: type("application/json") },
    { data: { case: "textData", value: "no JSON" }, attributes: type("application/json") },
    { data: { case: "textData", value: "<a/>" }, attributes: type("application/octet-stream") },
    { data: { case: "binaryData", value: bytes }, attributes: type("application/octet-stream") },
    { data: { case: "binaryData", value: bytes } },
    {
      data: { case: "binaryData", value: Buffer.from(json) },
      attributes: type("application/json"),
    },
    { data: { case: "binaryData", value: bytes }, attributes: type("application/json") },
    { data: { case: "binaryData", value: Buffer.from("\ufeffx") }, attributes: type("text/csv") },
    { data: { case: "binaryData", value: bytes }, attributes: type("text/plain; charset=latin1") },
    { data: { case: undefined } },
  ];
  for (const [name, form] of forms) {
    for (const content of contents) {
      const sent = event(content);
      // Sends back what it was sent.
      const { post } = scriptedPost(({ body }) => echo(name, body));
      const rpc = createBackends(httpCall({ post, form, path: "/", timeoutMs: 1 })).rpc;
      const reply = await rpc(call(sent), NEVER);
      const told = reply === undefined ? undefined : Buffer.from(dataBytes(reply)).toString("hex");
      const expected = Buffer.from(dataBytes(sent)).toString("hex");
      expect([name, sent.data, told]).toEqual([name, sent.data, expected]);
    }
  }
});

/** The event of a request as the answer to it, as a backend of each form would send it. */
function echo(name: keyof typeof FORMS, body: Uint8Array): BackendResponse {
  const text = Buffer.from(body).toString("utf8");
  switch (name) {
    case "cloudevents":
      structuredEvent(JSON.parse(text), text);
      return answerOf(text, "application/cloudevents+json");
    case "connect proto": {
      const { payload } = fromBinary(RPCRequestSchema, body);
      const message = create(RPCResponseSchema, payload === undefined ? {} : { payload });
      return answerOf(toBinary(RPCResponseSchema, message), "application/proto");
    }
    case "v0.1.1": {
      // It has no data in answers, and a program for this server has it by its name.
      const { Data, attributes: _, ...fields } = JSON.parse(text).payload;
      return jsonAnswer({ payload: { ...fields, binary_data: Data.BinaryData } });
    }
    default:
      return jsonAnswer({ payload: JSON.parse(text).payload });
  }
}

test.each(forms)("%s: statuses that refuse, and those that fail", async (name, form) => {
  const ended4 = async (status: number) => {
    const asks = backend(form, () => answerOf("of the backend", "text/plain", status));
    return [
      await ended(asks.authenticate()),
      await ended(asks.authorize()),
      await ended(asks.rpc()),
    ];
  };
  const refused = [
    "refusal AUTH_ERROR authentication failed",
    "refusal ACL_ERROR authorization failed",
    "failure status",
  ];
  const failed = ["failure status", "failure status", "failure status"];
  for (const status of [401, 403]) expect(await ended4(status)).toEqual(refused);
  for (const status of [400, 404, 409, 422]) {
    expect(await ended4(status)).toEqual(name === "v0.1.1" ? refused : failed);
  }
  for (const status of [201, 206, 301, 408, 425, 429, 500, 502, 503, 504]) {
    expect(await ended4(status)).toEqual(failed);
  }
});

/** An answer in the binary mode. */
function binaryAnswer(
  attributes: Readonly<Record<string, string>>,
  body = "",
  contentType = "application/json",
  status = 200,
): BackendResponse {
  const values = new Map(Object.entries(attributes));
  return { ...answerOf(body, contentType, status), attributes: { values, areText: true } };
}

const REQUIRED = { specversion: "1.0", id: "a1", source: "/orders", type: "order" };

test("cloudevents: an RPC is answered in the binary mode as well", async () => {
  const asked = (answer: BackendResponse) => backend(FORMS.cloudevents, () => answer).rpc();
  const headers = { ...REQUIRED, subject: "caf%C3%A9", mlextra: "x" };
  const event = await asked(
    binaryAnswer(headers, '{"total":3}', "application/json; charset=utf-8"),
  );
  expect(event).toMatchObject({
    id: "a1",
    source: "/orders",
    specVersion: "1.0",
    type: "order",
    data: { case: "textData", value: '{"total":3}' },
    attributes: {
      subject: { attr: { value: "café" } },
      mlextra: { attr: { value: "x" } },
      datacontenttype: { attr: { value: "application/json; charset=utf-8" } },
    },
  });
  expect((await asked(binaryAnswer(REQUIRED, "\u00ff", "image/png")))?.data.case).toBe(
    "binaryData",
  );
  const none = await asked(binaryAnswer(REQUIRED, "", ""));
  expect(none).toMatchObject({ id: "a1", data: { case: undefined }, attributes: {} });
  for (const status of [202, 204]) {
    expect(await asked(binaryAnswer(REQUIRED, "", "", status))).toBeUndefined();
  }
  // What an error is stated by has no attributes, and the structured mode says all in its body.
  const stated = jsonAnswer({ error: { code: "NO", message: "none" } });
  expect(await ended(asked(stated))).toBe("refusal NO none");
  const whole = { ...answerOf(JSON.stringify({ ...REQUIRED, id: "s" }), STRUCTURED_TYPE) };
  const both = { ...whole, attributes: binaryAnswer(REQUIRED).attributes };
  expect((await asked(both))?.id).toBe("s");
});

test.each<[string, BackendResponse, string]>([
  ["no id", binaryAnswer({ specversion: "1.0", source: "/", type: "t" }), "failure field"],
  ["no version", binaryAnswer({ id: "1", source: "/", type: "t" }), "failure field"],
  ["another version", binaryAnswer({ ...REQUIRED, specversion: "0.3" }), "failure field"],
  ["a value in quotes", binaryAnswer({ ...REQUIRED, subject: '"a"' }), "failure field"],
  ["bytes that are no UTF-8", binaryAnswer({ ...REQUIRED, subject: "%ff" }), "failure field"],
  ["two content types", binaryAnswer({ ...REQUIRED, datacontenttype: "a/b" }), "failure field"],
  ["a content type of its own", binaryAnswer(REQUIRED, "{}", "text/\u00e9"), "failure answer"],
  ["a batch", binaryAnswer(REQUIRED, "[]", "application/cloudevents-batch+json"), "failure answer"],
  ["a failure", binaryAnswer(REQUIRED, "{}", "application/json", 500), "failure status"],
])("cloudevents: in the binary mode %s is no answer", async (_, answer, outcome) => {
  const asks = backend(FORMS.cloudevents, () => answer);
  expect(await ended(asks.rpc())).toBe(outcome);
  const error = await asks.rpc().catch((thrown: unknown) => thrown);
  expect(`${error}`).not.toMatch(/"a"|%ff|a\/b/);
});

test("attributes in headers are for backends that are asked with CloudEvents, and their RPCs", async () => {
  const answer = binaryAnswer(REQUIRED, '{"user_info":{"id":"ada"},"payload":{"id":"json"}}');
  for (const form of [jsonForm, FORMS["v0.1.1"], FORMS["connect json"]]) {
    expect((await backend(form, () => answer).rpc())?.id).toBe("json");
  }
  expect(await backend(FORMS.cloudevents, () => answer).authenticate()).toMatchObject({
    userId: "ada",
  });
});

/** Answers that are none, whatever was asked. */
const GARBAGE: [string, BackendResponse][] = [
  ["an empty body", answerOf("")],
  ["HTML", answerOf("<html>", "text/html")],
  ["no content type", answerOf("{}", "")],
  ["HTML that says JSON", answerOf("<html>")],
  ["JSON of another charset", answerOf("{}", "application/json; charset=utf-16")],
  ["a text", answerOf('"text"')],
  ["a list", answerOf("[]")],
  ["null", answerOf("null")],
  ["a number", answerOf("1")],
  ["half an object", answerOf('{"payload":{')],
  ["bytes that are no UTF-8", answerOf(Buffer.from('{"a":"\xff"}', "latin1"))],
  ["a byte order mark", answerOf("\ufeff{}")],
  ["lists without end", answerOf("[".repeat(1_000_000))],
  ["deep lists", answerOf(`{"a":${"[".repeat(60)}${"]".repeat(60)}}`)],
  ["deep objects", answerOf(`${'{"a":'.repeat(60)}1${"}".repeat(60)}`)],
];

test.each(GARBAGE)("garbage: %s", async (_, answer) => {
  const asks = backend(jsonForm, () => answer);
  for (const ask of [asks.rpc, asks.authenticate, asks.authorize]) {
    expect(await ended(ask())).toBe("failure answer");
  }
});

/** Objects with a field of the wrong type: which hook is asked, and which field the log has to name. */
const WRONG: ["rpc" | "authenticate" | "authorize", body: string, field: string][] = [
  ["rpc", '{"payload":"text"}', "io.cloudevents.v1.CloudEvent"],
  ["rpc", '{"payload":[]}', "io.cloudevents.v1.CloudEvent"],
  ["rpc", '{"payload":{"id":42}}', "io.cloudevents.v1.CloudEvent.id"],
  ["rpc", '{"payload":{"type":null,"source":{}}}', "io.cloudevents.v1.CloudEvent.source"],
  ["rpc", '{"payload":{"id":"a","id":{}}}', "io.cloudevents.v1.CloudEvent.id"],
  ["rpc", '{"payload":{"spec_version":"a","specVersion":"b"}}', "spec_version"],
  ["rpc", '{"payload":{"text_data":"a","binary_data":"YQ=="}}', "io.cloudevents.v1.CloudEvent"],
  ["rpc", '{"payload":{"binary_data":"no base64!"}}', "RPCResponse"],
  ["rpc", '{"payload":{"attributes":{"a":1}}}', "CloudEventAttributeValue"],
  ["rpc", '{"payload":{"attributes":{"a":{"ce_integer":1e99}}}}', "ce_integer"],
  ["rpc", '{"payload":{"attributes":{"a":{"ce_timestamp":"2024-02-30T00:00:00Z"}}}}', "RPC"],
  ["rpc", '{"payload":{"proto_data":{"@type":"x.y/Z"}}}', "proto"],
  ["rpc", '{"error":"text"}', "messageloop.shared.v1.Error"],
  ["rpc", '{"error":{"code":404}}', "messageloop.shared.v1.Error.code"],
  ["rpc", '{"error":{"metadata":[1]}}', "google.protobuf.Struct"],
  ["rpc", '{"error":{"metadata":{"n":1e999}}}', "RPCResponse"],
  ["authenticate", '{"user_info":{"id":42}}', "messageloop.proxy.v1.UserInfo.id"],
  ["authenticate", '{"user_info":"ada"}', "messageloop.proxy.v1.UserInfo"],
  ["authenticate", '{"userInfo":{"id":["ada"]}}', "messageloop.proxy.v1.UserInfo.id"],
  ["authenticate", '{"error":true}', "messageloop.shared.v1.Error"],
  ["authorize", '{"error":"no"}', "messageloop.shared.v1.Error"],
  ["authorize", '{"error":[]}', "messageloop.shared.v1.Error"],
];

test.each(WRONG)("%s: %s names its field in the log, and no value", async (hook, body, field) => {
  for (const form of [jsonForm, FORMS["connect json"], FORMS.cloudevents]) {
    const asks = backend(form, () => answerOf(body));
    const error = await asks[hook]().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(BackendFailure);
    expect(error).toMatchObject({ reason: "field", message: expect.stringContaining(field) });
  }
});

test("answers in both spellings, with unknown fields, and the last of a repeated one", async () => {
  const asked = (body: string) => backend(jsonForm, () => answerOf(body));
  for (const body of [
    '{"user_info":{"id":"ada","client_id":"c"},"unknown":{"deep":[{}]}}',
    '{"userInfo":{"id":"ada","clientId":"c"}}',
    '{"user_info":{"id":"eve","id":"ada"}}',
  ]) {
    expect(await asked(body).authenticate()).toMatchObject({ userId: "ada" });
  }
  for (const body of [
    '{"id":"ignored","payload":{"spec_version":"1.0","text_data":"hi"}}',
    '{"payload":{"specVersion":"1.0","textData":"hi"}}',
  ]) {
    expect((await asked(body).rpc())?.data).toEqual({ case: "textData", value: "hi" });
  }
  for (const none of ["{}", '{"payload":null}', '{"error":null}']) {
    expect(await asked(none).rpc()).toBeUndefined();
  }
  // Whoever names nobody is looked at where all answers are.
  for (const body of ["{}", '{"user_info":null}', '{"user_info":{}}', '{"userinfo":{"id":"a"}}']) {
    expect(await asked(body).authenticate()).toMatchObject({ userId: "" });
  }
  const both = asked('{"user_info":{"id":"ada"},"error":{"code":"NO"},"payload":{"id":"r"}}');
  for (const ask of [both.authenticate, both.authorize, both.rpc]) {
    expect(await ended(ask())).toBe("refusal NO ");
  }
});

test("an authenticator may say more of a client than its user", async () => {
  const all = {
    id: "ada",
    client_vouched: true,
    token_id: "t-1",
    expires_at: 1_767_225_600_000,
    channels: ["user.ada", "news.*"],
    capabilities: { grants: [{ pattern: "chat.**", actions: ["subscribe", "publish"] }] },
  };
  const said = (user_info: object) => backend(jsonForm, () => jsonAnswer({ user_info }));
  expect(await said(all).authenticate()).toEqual({
    userId: "ada",
    clientVouched: true,
    tokenId: "t-1",
    expiresAt: 1_767_225_600_000,
    channels: ["user.ada", "news.*"],
    grants: [{ pattern: "chat.**", actions: ["subscribe", "publish"] }],
  });
  expect(await said({ id: "ada", client_id: "c1" }).authenticate()).toEqual({ userId: "ada" });
  // No grant at all allows nothing, and is not the same as saying nothing.
  for (const capabilities of [{}, { grants: [] }]) {
    const said2 = await said({ id: "ada", capabilities }).authenticate();
    expect(said2).toEqual({ userId: "ada", grants: [] });
  }
  // Programs of v0.1.1 have none of it.
  const old = backend(v011Form, () => jsonAnswer({ user_info: { ...all, id: "ada" } }));
  expect(await old.authenticate()).toEqual({ userId: "ada" });
});

test("whatever a host throws is a failure, and what it says is no answer", async () => {
  for (const thrown of [new MessagingError("ACL_ERROR", "leak"), new Error("leak"), "leak", null]) {
    const { rpc } = backend(jsonForm, () => {
      throw thrown;
    });
    expect(await ended(rpc())).toBe("failure unreachable");
  }
  const { rpc } = backend(jsonForm, () => {
    throw new BackendFailure("too_large", "1048577 bytes");
  });
  expect(await ended(rpc())).toBe("failure too_large");
});

test("requests of the other procedures are what their schemas say", () => {
  const written = jsonForm.write(
    HOOKS.authenticate,
    create(AuthenticateRequestSchema, { password: "t" }),
    1,
  );
  expect(textOf(written)).toBe('{"password":"t"}');
  const asked = create(SubscribeAclRequestSchema, { channel: "a" });
  expect(textOf(v011Form.write(HOOKS.subscribeAcl, asked, 1))).toBe('{"channel":"a","token":""}');
});

test("an RPC is written as the runtime writes it, whatever is left out of it", () => {
  const event = create(CloudEventSchema, {
    id: "1",
    attributes: { n: attribute({ case: "ceInteger", value: 7 }) },
  });
  const whole = { id: "r", channel: "c", method: "m", payload: event, metadata: { trace: "1" } };
  const caller = { sessionId: "s", userId: "ada", clientId: "phone", clientType: "web" };
  const requests = [
    {},
    whole,
    { ...whole, caller },
    { caller: { ...caller, userId: "", clientId: "" } },
    { caller: { sessionId: "", userId: "ada", clientType: "" } },
  ];
  for (const init of requests) {
    const message = create(RPCRequestSchema, init);
    const written = toJson(RPCRequestSchema, message, { useProtoFieldName: true });
    expect(textOf(jsonForm.write(HOOKS.rpc, message, 1))).toBe(JSON.stringify(written));
  }
});
