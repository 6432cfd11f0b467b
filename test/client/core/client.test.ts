/** What applications ask of a client, and that every promise settles. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createCloudEvent } from "../../../src/client/core/create-event.ts";
import { MessagingError } from "../../../src/protocol/errors.ts";
import { connectedScene, ignore, Scene } from "./scripted.ts";

const unhandled: unknown[] = [];
const note = (reason: unknown) => unhandled.push(reason);

beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", note);
});

afterEach(async () => {
  // Node reports them when the microtasks are over.
  await new Promise((resolve) => setTimeout(resolve, 0));
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});

test("data is published as an event of this client", async () => {
  const scene = connectedScene();
  const publishing = scene.client.publish("c", { a: 1 }, { metadata: { k: "v" } });
  expect(scene.transport.last).toMatchObject({
    channel: "c",
    metadata: { k: "v" },
    publish: {
      source: "/clients/me",
      type: "message",
      spec_version: "1.0",
      text_data: '{"a":1}',
      attributes: { datacontenttype: { ce_string: "application/json" } },
    },
  });
  expect(scene.transport.last.publish?.id).toMatch(/^[0-9a-f-]{36}$/);
  scene.transport.answer({ publish_ack: { offset: 7, epoch: "e" } });
  expect(await publishing).toEqual({ offset: 7, epoch: "e", duplicate: false });
});

test("a page without TLS has names for its events as well", () => {
  const { randomUUID } = crypto;
  vi.stubGlobal("crypto", { getRandomValues: crypto.getRandomValues.bind(crypto) });
  try {
    const scene = connectedScene();
    ignore(scene.client.publish("c", 1));
    ignore(scene.client.publish("c", 2));
    const ids = scene.transport.sent.slice(1).map(({ publish }) => publish?.id ?? "");
    expect(ids).toHaveLength(2);
    expect(ids[0]).not.toBe(ids[1]);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  } finally {
    vi.unstubAllGlobals();
  }
  expect(crypto.randomUUID).toBe(randomUUID);
});

test.each([
  ["text", "hello", { text_data: "hello" }, "text/plain"],
  ["bytes", new Uint8Array([1, 2]), { binary_data: "AQI=" }, "application/octet-stream"],
  ["null", null, { text_data: "null" }, "application/json"],
  ["zero", 0, { text_data: "0" }, "application/json"],
])("%s is published as such", (_kind, data, wire, type) => {
  const scene = connectedScene();
  ignore(scene.client.publish("c", data));
  const attributes = { datacontenttype: { ce_string: type } };
  expect(scene.transport.last.publish).toMatchObject({ ...wire, attributes });
});

test("an event is published as it is", () => {
  const scene = connectedScene();
  const time = new Date(0);
  const extensions = { n: 7, b: true, raw: new Uint8Array([1]), at: time, s: "x" };
  const event = createCloudEvent({
    ...{ id: "i", source: "/s", type: "t", subject: "x", dataschema: "urn:x", time, extensions },
    ...{ data: "<a/>", datacontenttype: "application/xml" },
  });
  ignore(scene.client.publish("c", event));
  expect(scene.transport.last.publish).toEqual({
    ...{ id: "i", source: "/s", spec_version: "1.0", type: "t", text_data: "<a/>" },
    attributes: {
      datacontenttype: { ce_string: "application/xml" },
      dataschema: { ce_uri: "urn:x" },
      subject: { ce_string: "x" },
      time: { ce_timestamp: "1970-01-01T00:00:00.000Z" },
      n: { ce_integer: 7 },
      b: { ce_boolean: true },
      raw: { ce_bytes: "AQ==" },
      at: { ce_timestamp: "1970-01-01T00:00:00.000Z" },
      s: { ce_string: "x" },
    },
  });
});

test("what has no form on the wire is refused, and nothing is sent", async () => {
  const scene = connectedScene();
  const before = scene.transport.sent.length;
  await expect(scene.client.publish("c", () => {})).rejects.toThrow("no JSON form");
  const event = createCloudEvent({ source: "/s", type: "t" });
  await expect(scene.client.publish("c", { ...event, big: 2 ** 40 })).rejects.toThrow(
    "cannot carry",
  );
  expect(scene.transport.sent).toHaveLength(before);
});

test("a publish that is larger than the server takes is refused before it is sent", async () => {
  const scene = connectedScene({}, { max_message_bytes: 1_000 });
  const before = scene.transport.sent.length;
  await expect(scene.client.publish("c", "ä".repeat(500))).rejects.toMatchObject({
    code: "TOO_LARGE",
  });
  expect(scene.transport.sent).toHaveLength(before);
  ignore(scene.client.publish("c", "ä".repeat(300)));
  expect(scene.transport.sent).toHaveLength(before + 1);
});

test("a request rejects with the server's code, at its deadline, when the connection is lost, and at close", async () => {
  const scene = connectedScene();
  const { client, transport } = scene;
  const refused = client.publish("c", 1);
  transport.answer({
    error: { code: "OUT_OF_STOCK", type: "shop", message: "none", metadata: { a: 1 } },
  });
  await expect(refused).rejects.toMatchObject({
    ...{ code: "OUT_OF_STOCK", type: "shop", message: "none", metadata: { a: 1 } },
  });
  const late = client.rpc("c", "m", 1, { timeoutMs: 5 });
  await scene.clock.advance(5);
  await expect(late).rejects.toMatchObject({ code: "RPC_TIMEOUT" });
  const lost = client.presence("c");
  transport.end(3512, "server going away");
  await expect(lost).rejects.toMatchObject({
    code: "UNAVAILABLE",
    close: { code: 3512, reason: "server going away" },
  });
  const waiting = client.history("c");
  ignore(client.close());
  await expect(waiting).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect(client.publish("c", 1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect(client.survey("c", 1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("a rejection may be ignored", async () => {
  const scene = connectedScene();
  const { client } = scene;
  ignore(client.publish("c", 1));
  ignore(client.publish("c", () => {}));
  ignore(client.rpc("c", "m", 1));
  ignore(client.presence("c"));
  ignore(client.history("c"));
  ignore(client.survey("c", 1));
  ignore(client.survey("c", 1, { timeoutMs: 0 }));
  ignore(client.refresh("t"));
  ignore(client.subscribe("c").unsubscribe());
  ignore(client.subscribe("d").setToken("t"));
  scene.transport.end(3503);
  ignore(client.publish("c", 1));
  ignore(client.close());
  ignore(new Scene().client.close());
  await scene.clock.advance(60_000);
});

test("a request that is made while there is no connection waits for one", async () => {
  const scene = new Scene();
  const asking = scene.client.presence("c");
  scene.transport.connect();
  expect(scene.transport.last).toMatchObject({ presence_request: { channel: "c" } });
  scene.transport.answer({ presence: { members: [{ user_id: "u", time: 3 }], total: 1 } });
  expect(await asking).toEqual({
    members: [{ userId: "u", clientId: "", sessionId: "", time: 3 }],
    total: 1,
  });
});

test("a signal rejects any request with its reason", async () => {
  const scene = connectedScene();
  const { client } = scene;
  const controller = new AbortController();
  const { signal } = controller;
  const all = [
    client.publish("c", 1, { signal }),
    client.rpc("c", "m", 1, { signal }),
    client.presence("c", { signal }),
    client.history("c", { signal }),
    client.survey("c", 1, { signal }),
  ];
  controller.abort(new Error("enough"));
  for (const one of all) await expect(one).rejects.toThrow("enough");
  await expect(client.publish("c", 1, { signal })).rejects.toThrow("enough");
  await expect(client.rpc("c", "m", 1, { signal })).rejects.toThrow("enough");
});

test("an RPC resolves with the data of its answer", async () => {
  const scene = connectedScene();
  const asking = scene.client.rpc<{ id: string }, number>("shop", "price", { id: "a" });
  expect(scene.transport.last).toMatchObject({
    ...{ channel: "shop", method: "price", rpc_request: { text_data: '{"id":"a"}' } },
  });
  const attributes = { datacontenttype: { ce_string: "application/json" } };
  scene.transport.answer({
    rpc_reply: { id: "x", source: "/b", type: "t", attributes, text_data: "7" },
  });
  expect(await asking).toBe(7);
});

test("history is a page, and all pages one after the other", async () => {
  const scene = connectedScene();
  const page = scene.client.history("c", {
    limit: 2,
    reverse: true,
    since: { epoch: "e", offset: 9 },
  });
  expect(scene.transport.last.history_request).toEqual({
    ...{ channel: "c", limit: 2, reverse: true, since: { epoch: "e", offset: 9 } },
  });
  const gap = { reason: "expired", until: { epoch: "e", offset: 2 } };
  scene.transport.answer({
    history: { messages: [], position: { epoch: "e", offset: 9 }, gap, more: false },
  });
  expect(await page).toEqual({
    messages: [],
    position: { epoch: "e", offset: 9 },
    gap: { channel: "c", reason: "expired", after: undefined, until: { epoch: "e", offset: 2 } },
    more: false,
  });
  const offsets: number[] = [];
  const reading = (async () => {
    for await (const { offset } of scene.client.history("c")) offsets.push(offset);
  })();
  const pages = [[1, 2], [3]];
  for (const [i, numbers] of pages.entries()) {
    await scene.clock.advance(0);
    const asked = i === 0 ? {} : { since: { epoch: "e", offset: 2 } };
    expect(scene.transport.last.history_request).toEqual({
      channel: "c",
      limit: -1,
      reverse: false,
      ...asked,
    });
    const messages = numbers.map((offset) => ({ channel: "c", epoch: "e", offset }));
    scene.transport.answer({ history: { messages, more: i === 0 } });
  }
  await reading;
  expect(offsets).toEqual([1, 2, 3]);
});

test("a survey resolves with all of its parts", async () => {
  const scene = connectedScene();
  const asking = scene.client.survey("c", "ready?", { timeoutMs: 1_000, othersOnly: true });
  const { channel, survey_request: request } = scene.transport.last;
  expect(channel).toBe("c");
  expect(request).toMatchObject({
    timeout_ms: 1_000,
    others_only: true,
    payload: { text_data: "ready?" },
  });
  const attributes = { datacontenttype: { ce_string: "application/json" } };
  const payload = { id: "a", source: "/a", type: "t", attributes, text_data: "true" };
  scene.transport.answer({
    survey_result: { answers: [{ session_id: "1", user_id: "u", payload }], more: true },
  });
  scene.transport.answer({
    survey_result: {
      answers: [{ session_id: "2", error: { code: "NO" } }],
      silent: ["3"],
      unreached: [{ node: "n", reason: "busy" }],
    },
  });
  expect(await asking).toMatchObject({
    answers: [
      { sessionId: "1", userId: "u", clientId: "", data: true, error: undefined },
      { sessionId: "2", data: undefined, error: { code: "NO" } },
    ],
    silent: ["3"],
    unreached: [{ node: "n", reason: "busy" }],
  });
});

test("surveys of others are answered by the handler, and by an error without one", async () => {
  const scene = connectedScene();
  const ask = async () => {
    const payload = { id: "q", source: "class.7", type: "t", text_data: "ready?" };
    scene.transport.frame({ id: "random", survey_request: { request_id: "r", payload } });
    await scene.clock.advance(0);
    return scene.transport.last.survey_response;
  };
  expect(await ask()).toMatchObject({ request_id: "r", error: { code: "UNIMPLEMENTED" } });
  scene.client.onSurvey(async ({ channel, data }) => ({ channel, data }));
  expect(await ask()).toMatchObject({
    request_id: "r",
    payload: { text_data: '{"channel":"class.7","data":"ready?"}' },
  });
  scene.client.onSurvey(() => {
    throw new MessagingError("NOT_TODAY", "ask tomorrow", { metadata: { day: 2 } });
  });
  expect(await ask()).toMatchObject({
    error: { code: "NOT_TODAY", message: "ask tomorrow", metadata: { day: 2 } },
  });
  expect(scene.errors).toEqual([]);
  scene.client.onSurvey(() => {
    throw new Error("secret");
  });
  expect(await ask()).toMatchObject({
    error: { code: "INTERNAL_ERROR", message: "internal error" },
  });
  expect(scene.errors).toMatchObject([{ cause: { message: "secret" } }]);
});

test("what a handler throws, or rejects with, goes to onError, and the others hear all the same", async () => {
  const scene = new Scene();
  const events: unknown[] = [];
  scene.client.addEventListener("error", ({ detail }) => events.push(detail));
  const heard: string[] = [];
  scene.client.subscribe("c", () => {
    throw new Error("thrown");
  });
  const second = scene.client.subscribe("c");
  second.addEventListener("message", async () => {
    throw new Error("rejected");
  });
  second.addEventListener("message", {
    handleEvent: () => {
      heard.push("object");
      throw new Error("of an object");
    },
  });
  const removed = () => heard.push("removed");
  second.addEventListener("message", removed);
  second.removeEventListener("message", removed);
  second.addEventListener("message", () => heard.push("message"));
  scene.transport.connect();
  scene.transport.frame({ publication: { messages: [{ channel: "c", epoch: "e", offset: 1 }] } });
  await scene.clock.advance(0);
  expect(heard).toEqual(["object", "message"]);
  const causes = scene.errors.map((error) => ((error as Error).cause as Error).message);
  expect(causes.sort()).toEqual(["of an object", "rejected", "thrown"]);
  expect(events).toHaveLength(3);
});

test("a handler of errors that fails itself is not told of that for ever", async () => {
  const scene = connectedScene({
    onError: () => {
      throw new Error("again");
    },
  });
  scene.client.addEventListener("error", () => {
    throw new Error("and again");
  });
  scene.transport.text("{");
  expect(scene.client.state).toBe("connected");
});

test("an error that belongs to no request goes to onError", () => {
  const scene = connectedScene();
  scene.transport.frame({ id: "random", error: { code: "UNAVAILABLE", message: "x" } });
  expect(scene.errors).toMatchObject([{ code: "UNAVAILABLE", message: "x" }]);
  expect(scene.client.state).toBe("connected");
});

test("what a later version of the server says is ignored, whatever its id", async () => {
  const scene = connectedScene();
  const publishing = scene.client.publish("c", 1);
  const { id = "" } = scene.transport.last;
  scene.transport.text(JSON.stringify({ id, envelope_of_later: { code: 1 } }));
  scene.transport.answer({ publish_ack: { offset: 1 } });
  await publishing;
  expect(scene.errors).toEqual([]);
});

/** A schema as any library makes them. */
function schema<T>(check: (value: unknown) => value is T) {
  const validate = (value: unknown) =>
    check(value) ? { value } : { issues: [{ message: "is no number" }] };
  return { "~standard": { version: 1 as const, vendor: "test", validate } };
}

test("schemas hold for what is published and for what comes", async () => {
  const isNumber = (value: unknown): value is number => typeof value === "number";
  const scene = new Scene({ schemas: { "n.*": schema(isNumber) } });
  const received: unknown[] = [];
  scene.client.subscribe("n.a", ({ data }) => received.push(data));
  scene.transport.connect();
  await expect(scene.client.publish("n.a", "seven")).rejects.toThrow("data of n.a: is no number");
  ignore(scene.client.publish("n.a", 7));
  expect(scene.transport.last.publish?.text_data).toBe("7");
  ignore(scene.client.publish("other", "seven"));
  expect(scene.transport.last.publish?.text_data).toBe("seven");
  const attributes = { datacontenttype: { ce_string: "application/json" } };
  const messages = ['"x"', "8"].map((text_data, i) => ({
    ...{ channel: "n.a", epoch: "e", offset: i + 1, payload: { attributes, text_data } },
  }));
  scene.transport.frame({ publication: { messages } });
  expect(received).toEqual([8]);
  expect(scene.errors).toMatchObject([{ code: "BAD_REQUEST" }]);
});

test("a queue is given publishes, and the session to send them in", async () => {
  const log: string[] = [];
  const scene = new Scene({
    queueFactory: ({ url }) => ({
      add: async (item) => {
        log.push(`add ${item.channel} ${item.size > 0} ${url}`);
        return { offset: 1, epoch: "e", duplicate: false };
      },
      opened: ({ userId, dedupWindowMs, time, send }) => {
        log.push(`opened ${userId} ${dedupWindowMs} ${time}`);
        const item = { id: "i", channel: "q", event: { id: "i" }, size: 1 };
        send(item, true).then(
          () => log.push("sent"),
          (error: unknown) => log.push(String(error)),
        );
      },
      lost: () => log.push("lost"),
      close: async (forget) => {
        log.push(`close ${forget}`);
      },
    }),
  });
  ignore(scene.client.publish("c", 1));
  scene.transport.connect({ user_id: "u", dedup_window_ms: 300_000 });
  expect(scene.transport.last).toMatchObject({ channel: "q", publish: { id: "i" }, again: true });
  scene.transport.answer({ publish_ack: { offset: 3 } });
  await scene.clock.advance(0);
  scene.transport.end(1006);
  ignore(scene.client.close({ forget: true }));
  expect(log).toEqual([
    "add c true ws://scripted",
    "opened u 300000 1767225600000",
    "sent",
    "lost",
    "lost",
    "close true",
  ]);
});
