/**
 * What a client may see of a backend: what it states in its error field, and nothing else that comes from it. A
 * marker stands in every other place that an answer or a failure has, and no frame to a client has it.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { BackendFailure, type FailureReason } from "../../../src/engine/ports/backends.ts";
import { MessagingError } from "../../../src/protocol/errors.ts";
import { CloudEventSchema } from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import {
  AuthenticateResponseSchema,
  RPCResponseSchema,
  SubscribeAclResponseSchema,
} from "../../../src/protocol/gen/messageloop/proxy/v1/proxy_pb.js";
import { httpCall } from "../../../src/proxy/http/backend.ts";
import type { BackendResponse } from "../../../src/proxy/http/call.ts";
import { cloudEventsForm } from "../../../src/proxy/http/cloudevents.ts";
import { connectForm } from "../../../src/proxy/http/connect.ts";
import { jsonForm } from "../../../src/proxy/http/json.ts";
import { v011Form } from "../../../src/proxy/http/v011.ts";
import { createBackends } from "../../../src/proxy/service.ts";
import { type Init, scene, send, subscribe } from "../../engine/scene.ts";
import { answerOf, jsonAnswer, scriptedPost } from "./scripted-post.ts";

const MARKER = "marker-10.1.2.3";

const FORMS = {
  json: jsonForm,
  cloudevents: cloudEventsForm({ uuid: () => "00000000-0000-4000-8000-000000000001" }),
  "v0.1.1": v011Form,
  "connect proto": connectForm("proto"),
  "connect json": connectForm("json"),
};

const REASONS: readonly FailureReason[] = [
  "timeout",
  "unreachable",
  "too_large",
  "redirect",
  "encoding",
  "status",
  "answer",
  "field",
  "circuit_open",
  "busy",
  "cancelled",
];

function throwing(error: unknown): () => BackendResponse {
  return () => {
    throw error;
  };
}

/** An answer with the marker in one place that no client may see. */
const PLACES: Readonly<Record<string, () => BackendResponse>> = {
  ...Object.fromEntries(
    REASONS.map((reason) => [
      `the text of a failure: ${reason}`,
      throwing(new BackendFailure(reason, MARKER)),
    ]),
  ),
  "an exception": throwing(new Error(MARKER)),
  "an exception with our own class": throwing(new MessagingError("ACL_ERROR", MARKER)),
  "what is thrown and no error": throwing(MARKER),
  "the content type": () => answerOf("{}", MARKER),
  "a body that is no JSON": () => answerOf(MARKER),
  "a body of text": () => answerOf(MARKER, "text/plain"),
  "a body of a failed request": () => answerOf(MARKER, "text/html", 500),
  "a body of a refused request": () => answerOf(MARKER, "text/html", 403),
  "an error field beside a status": () =>
    jsonAnswer({ error: { code: MARKER, message: MARKER } }, 500),
  "an error of Connect": () =>
    jsonAnswer({ code: "internal", message: MARKER, details: [{ type: MARKER, value: "" }] }, 500),
  "a refusal of Connect": () => jsonAnswer({ code: "permission_denied", message: MARKER }, 403),
  "a code of Connect": () => jsonAnswer({ code: MARKER }, 500),
  "a field that nobody knows": () =>
    jsonAnswer({ [MARKER]: MARKER, message: MARKER, user_info: { token: MARKER, [MARKER]: 1 } }),
  "a field of the wrong type": () =>
    jsonAnswer({ payload: MARKER, user_info: MARKER, error: [MARKER] }),
  "a value of the wrong type": () =>
    jsonAnswer({ error: { code: [MARKER] }, payload: { id: { a: MARKER } } }),
  "a code that is the server's own": () =>
    jsonAnswer({ error: { code: "DISCONNECT_ERROR", message: MARKER } }),
  "bytes that are no protobuf": () => answerOf(`\u0001${MARKER}`, "application/proto"),
  "an id that is not read": () =>
    answerOf(
      toBinary(RPCResponseSchema, create(RPCResponseSchema, { id: MARKER })),
      "application/proto",
    ),
  "an event that is none": () =>
    answerOf(
      `{"specversion":"${MARKER}","id":"1","source":"/","type":"t"}`,
      "application/cloudevents+json",
    ),
};

const rpc: Init = {
  id: "1",
  channel: "svc",
  method: "m",
  envelope: { case: "rpcRequest", value: create(CloudEventSchema, { id: "e", type: "t" }) },
};

test.each(Object.entries(PLACES))("%s reaches no client", async (_, answer) => {
  for (const form of Object.values(FORMS)) {
    for (const extended of [true, false]) {
      const { post, requests } = scriptedPost(answer);
      const call = httpCall({ post, form, path: "/", timeoutMs: 1_000 });
      const { authenticate, authorizeSubscribe, rpc: ask } = createBackends(call);
      const capabilities = extended ? ["x"] : [];
      const connecting: Init = {
        envelope: { case: "connect", value: { clientId: "c", token: "t", capabilities } },
      };
      const guarded = scene({ backends: { authenticate } });
      await send(guarded.session, connecting);
      const open = scene({ backends: { authorizeSubscribe, rpc: ask } });
      await send(open.session, connecting);
      await send(open.session, rpc);
      await send(open.session, subscribe("room"));
      expect(requests).toHaveLength(3);
      for (const { transport } of [guarded, open]) {
        expect(transport.frames.length).toBeGreaterThan(0);
        expect(transport.frames.join("\n")).not.toContain(MARKER);
        expect(`${transport.closed?.reason}`).not.toContain(MARKER);
      }
    }
  }
});

const ANSWERS = {
  rpc: RPCResponseSchema,
  authenticate: AuthenticateResponseSchema,
  subscribe_acl: SubscribeAclResponseSchema,
} as const;

test.each(Object.entries(FORMS))(
  "%s: what a backend states is told, for every hook",
  async (name, form) => {
    const error = { code: "NOT_TODAY", type: "shop", message: "come back", metadata: { at: "9" } };
    const { post } = scriptedPost(({ hook }) => {
      if (name !== "connect proto") return jsonAnswer({ error });
      const schema = ANSWERS[hook as keyof typeof ANSWERS];
      return answerOf(toBinary(schema, create(schema, { error })), "application/proto");
    });
    const call = httpCall({ post, form, path: "/", timeoutMs: 1_000 });
    const { authenticate, authorizeSubscribe, rpc: ask } = createBackends(call);
    const connecting: Init = { envelope: { case: "connect", value: { capabilities: ["x"] } } };
    const guarded = scene({ backends: { authenticate } });
    await send(guarded.session, connecting);
    const open = scene({ backends: { authorizeSubscribe, rpc: ask } });
    await send(open.session, connecting);
    await send(open.session, rpc);
    await send(open.session, subscribe("room"));
    const told = [...guarded.transport.frames, ...open.transport.frames.slice(1)];
    expect(told).toHaveLength(3);
    for (const frame of told) expect(`${frame}`).toContain(JSON.stringify(error).slice(1, -1));
  },
);
