/** The door for CloudEvents over an engine in memory: what is taken, what is answered, and what is refused. */
import { createHash, randomBytes } from "node:crypto";
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, test, vi } from "vitest";
import { channelPathOf } from "../../../src/http/channel-path.ts";
import { publishCloudEvents } from "../../../src/http/cloudevents/door.ts";
import { type KeyEntry, writeKey } from "../../../src/http/keys/key.ts";
import { Keys } from "../../../src/http/keys/keys.ts";
import {
  type CloudEvent,
  CloudEventSchema,
} from "../../../src/protocol/gen/io/cloudevents/v1/cloudevents_pb.js";
import { MAX_REST_BYTES } from "../../../src/protocol/limits.ts";
import { EventWorld } from "../event-world.ts";

const BINARY = { "ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-specversion": "1.0" };
const STRUCTURED = { "content-type": "application/cloudevents+json" };
const BATCH = { "content-type": "application/cloudevents-batch+json" };
const EVENT = '"id":"1","source":"/s","type":"t","specversion":"1.0"';

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | ReadableStream;
  readonly headersAreText?: boolean;
}

function door(more: Partial<KeyEntry> = {}) {
  const world = new EventWorld();
  const key = writeKey("tests", randomBytes(32));
  const digest = createHash("sha256").update(key).digest();
  const standard = { rights: ["publish"], patterns: ["**"], expiresAt: undefined } as const;
  const keys = new Keys({
    entries: [{ id: "tests", digest, ...standard, ...more }],
    sha256: (text) => createHash("sha256").update(text).digest(),
    clock: world.clock,
    logger: { warn: () => {} },
  });
  let engines = 0;
  const send = async ({ path = "/channels/room", headersAreText = false, ...sent }: Sent) => {
    const url = `http://localhost${path}`;
    const { method = "POST", body } = sent;
    const request = new Request(url, {
      method,
      headers: { authorization: `Bearer ${sent.key ?? key}`, ...sent.headers },
      ...(body === undefined || method === "GET" ? {} : { body, duplex: "half" }),
    } as RequestInit);
    const response = await publishCloudEvents(
      request,
      channelPathOf(url) ?? { encoded: "", rest: "" },
      {
        keys,
        engine: () => {
          engines += 1;
          return world.engine;
        },
        peer: { address: "192.0.2.1" },
        headersAreText,
        maxEventBytes: 1_024,
      },
    );
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as object,
    };
  };
  const log = async (channel = "room"): Promise<CloudEvent[]> => {
    const { entries } = await world.engine.history(channel, { limit: -1 });
    return entries.map(({ body }) => fromBinary(CloudEventSchema, body?.event ?? new Uint8Array()));
  };
  return { send, log, engines: () => engines };
}

const refusal = (code: string, message: string | RegExp) => ({
  code,
  message: typeof message === "string" ? message : expect.stringMatching(message),
});

describe("answers", () => {
  test("an event: its position, and the same with duplicate when it comes again", async () => {
    const { send, log } = door();
    const first = await send({ headers: BINARY, body: "x" });
    expect(first).toMatchObject({
      status: 200,
      body: { id: "1", position: { epoch: expect.any(String), offset: "1" }, duplicate: false },
    });
    expect(first.headers.get("cache-control")).toBe("no-store");
    const again = await send({ headers: STRUCTURED, body: `{${EVENT}}` });
    expect(again.body).toEqual({ ...first.body, duplicate: true });
    expect(await log()).toHaveLength(1);
  });

  test("a batch: a list in its order, with what is refused among it", async () => {
    const { send, log } = door();
    const event = (id: string) => `{${EVENT.replace('"1"', `"${id}"`)}}`;
    const all = await send({ headers: BATCH, body: `[${event("a")},${event("b")}]` });
    expect(all).toMatchObject({
      status: 200,
      body: [
        { id: "a", position: { offset: "1" }, duplicate: false },
        { id: "b", position: { offset: "2" }, duplicate: false },
      ],
    });
    const some = await send({
      headers: BATCH,
      body: `[${event("b")}, 7, {"id":"c"}, ${event("c")}, ${event("d").replace("1.0", "0.3")}]`,
    });
    expect(some).toMatchObject({
      status: 400,
      body: [
        { id: "b", position: { offset: "2" }, duplicate: true },
        { error: refusal("BAD_REQUEST", "an event is an object") },
        { error: refusal("BAD_REQUEST", "the attribute source is missing") },
        { id: "c", position: { offset: "3" }, duplicate: false },
        { error: refusal("BAD_REQUEST", 'specversion is "0.3", and only 1.0 is taken') },
      ],
    });
    expect((await log()).map(({ id }) => id)).toEqual(["a", "b", "c"]);
  });

  test("an empty batch is one", async () => {
    expect(await door().send({ headers: BATCH, body: " [ ] " })).toMatchObject({
      status: 200,
      body: [],
    });
  });

  test("of several errors the status is the one that another try may mend", async () => {
    const { send } = door();
    const long = `{${EVENT},"data":"${"x".repeat(1_024)}"}`;
    const { status, body } = await send({ headers: BATCH, body: `[{}, ${long}]` });
    expect(status).toBe(413);
    expect(body).toMatchObject([
      { error: { code: "BAD_REQUEST" } },
      { error: { code: "TOO_LARGE" } },
    ]);
  });
});

/** Type, kind and value of the first event's data. */
function dataIn([event]: readonly CloudEvent[]): unknown[] {
  return [event?.attributes["datacontenttype"]?.attr.value, event?.data.case, event?.data.value];
}

describe("data", () => {
  const structured = async (members: string) => {
    const { send, log } = door();
    const { status } = await send({ headers: STRUCTURED, body: `{${EVENT}${members}}` });
    expect(status).toBe(200);
    return dataIn(await log());
  };
  const JSON_TYPE = "application/json";

  test.each([
    "0",
    "false",
    '""',
    "null",
    "[]",
    "{}",
    "1.0",
    "1e2",
    "12345678901234567890",
    '"\\u00e4"',
  ])("JSON arrives as it was written: %s", async (json) => {
    expect(await structured(`,"data": ${json} `)).toEqual([JSON_TYPE, "textData", json]);
    const typed = `,"datacontenttype":"application/vnd.a+json","data":${json}`;
    expect(await structured(typed)).toEqual(["application/vnd.a+json", "textData", json]);
  });

  test("with its blanks, its digits and the last of its repeated keys", async () => {
    const json = '{ "a" : [1,\n{"b":"}\\"]"}], "a": 1.50 }';
    expect(await structured(`,"data":1,"d\\u0061ta":${json}`)).toEqual([
      JSON_TYPE,
      "textData",
      json,
    ]);
  });

  test("a text of another type is what stands between its quotes", async () => {
    const text = ',"datacontenttype":"text/plain","data":"a\\n\\u00e4"';
    expect(await structured(text)).toEqual(["text/plain", "textData", "a\nä"]);
    expect(await structured(text.replace(/"a.*$/, "42"))).toEqual(["text/plain", "textData", "42"]);
  });

  test("base64 is bytes, in either alphabet", async () => {
    for (const base64 of ["+/8=", "-_8", ""]) {
      expect(await structured(`,"data_base64":"${base64}"`)).toEqual([
        undefined,
        "binaryData",
        new Uint8Array(Buffer.from(base64, "base64")),
      ]);
    }
  });

  test("nothing is nothing", async () => {
    expect(await structured("")).toEqual([undefined, undefined, undefined]);
    expect(await structured(',"data_base64":null')).toEqual([undefined, undefined, undefined]);
  });

  const binary = async (contentType: string | undefined, body: string | Uint8Array) => {
    const { send, log } = door();
    const type = contentType === undefined ? {} : { "content-type": contentType };
    const bytes = ReadableStream.from([Buffer.from(body as string)]);
    expect((await send({ headers: { ...BINARY, ...type }, body: bytes })).status).toBe(200);
    return dataIn(await log());
  };

  test.each([
    ["application/json", "42", "textData"],
    ["application/json", "no json", "textData"],
    ["Application/A+JSON; charset=UTF-8", "\ufeff{}", "textData"],
    ["text/plain; charset=us-ascii", "a", "textData"],
    ["text/plain; charset=iso-8859-1", "a", "binaryData"],
    ["application/xml", "<a/>", "textData"],
    ["application/octet-stream", "a", "binaryData"],
    ["application/x-www-form-urlencoded", "a=b", "binaryData"],
    ["nonsense", "a", "binaryData"],
    [undefined, "a", "binaryData"],
  ])("of %s in binary mode: %j is %s", async (contentType, body, kind) => {
    const value = kind === "textData" ? body : new Uint8Array(Buffer.from(body));
    expect(await binary(contentType, body)).toEqual([contentType, kind, value]);
  });

  test("bytes that are no UTF-8 are bytes, whatever is said of them", async () => {
    const bytes = new Uint8Array([0x22, 0xff, 0x22]);
    expect(await binary("application/json", bytes)).toEqual([
      "application/json",
      "binaryData",
      bytes,
    ]);
  });

  test("an empty body is no data, and what a library of HTTP says of it is no attribute", async () => {
    expect(await binary("application/x-www-form-urlencoded", "")).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(await binary("text/plain", "")).toEqual(["text/plain", undefined, undefined]);
  });
});

describe("headers", () => {
  const texts = async (headers: Record<string, string>, headersAreText = false) => {
    const { send, log } = door();
    const { status, body } = await send({ headers: { ...BINARY, ...headers }, headersAreText });
    if (status !== 200) return body;
    const [event] = await log();
    const { source, attributes } = event ?? { source: "", attributes: {} };
    const values = Object.entries(attributes).map(
      ([name, { attr }]) => [name, attr.value] as const,
    );
    return { source, ...Object.fromEntries(values) };
  };
  const utf8 = (text: string) => Buffer.from(text).toString("latin1");

  test.each<[string, Record<string, string>, Record<string, string>]>([
    ["encoded", { "ce-a": "%E2%82%AC%20%25%22", "ce-b": "plain" }, { a: '€ %"', b: "plain" }],
    ["encoded with small digits", { "ce-a": "%e2%82%ac" }, { a: "€" }],
    [
      "a slash that the binding leaves alone",
      { "ce-a": "a%2Fb", "ce-b": "%20" },
      { a: "a%2Fb", b: "%20" },
    ],
    ["a percent sign alone", { "ce-a": "100%", "ce-b": "%25" }, { a: "100%", b: "%25" }],
    ["raw UTF-8", { "ce-a": utf8("ä€𝄞"), "ce-b": "%C3%A4" }, { a: "ä€𝄞", b: "%C3%A4" }],
    ["a blank", { "ce-a": "a b", "ce-b": "%20" }, { a: "a b", b: "%20" }],
    ["quotes inside", { "ce-a": 'say "hi"', "ce-b": '"' }, { a: 'say "hi"', b: '"' }],
    [
      "a source that is a URI",
      { "ce-source": "/a%20b", "ce-a": "%20" },
      { source: "/a%20b", a: " " },
    ],
    ["a source that was encoded", { "ce-source": "/a%2520b" }, { source: "/a%20b" }],
    ["a schema that is a URI", { "ce-dataschema": "x:%C3%A4" }, { dataschema: "x:%C3%A4" }],
    ["nothing", { "ce-a": "" }, { a: "" }],
  ])("%s", async (_, headers, wanted) => {
    expect(await texts(headers)).toMatchObject(wanted);
  });

  test("that the host has read as UTF-8", async () => {
    // A Headers of Node takes no character beyond a byte; workerd hands over what is here put in its place.
    expect(await texts({ "ce-a": "Ã¤" }, true)).toMatchObject({ a: "Ã¤" });
    expect(await texts({ "ce-a": "Ã¤" }, false)).toMatchObject({ a: "ä" });
  });

  test.each([
    ["Latin-1", { "ce-a": "\u00e4" }],
    ["U+FFFD, which some hosts put in the place of other bytes", { "ce-a": utf8("\ufffd") }],
    ["encoded bytes that are not UTF-8", { "ce-a": "%C0%A0" }],
  ])("%s is refused", async (_, headers) => {
    expect(await texts(headers)).toEqual(
      refusal(
        "BAD_REQUEST",
        "the header ce-a holds bytes that are not UTF-8: percent-encode it, or use the structured mode",
      ),
    );
  });

  test("double quotes around a value, which may be HTTP's, are refused", async () => {
    expect(await texts({ "ce-etag": '"33a6"' })).toEqual(
      refusal(
        "BAD_REQUEST",
        "the header ce-etag stands in double quotes: encode them as %22, or use the structured mode",
      ),
    );
    expect(await texts({ "ce-etag": "%2233a6%22" })).toMatchObject({ etag: '"33a6"' });
  });
});

describe("time", () => {
  const time = async (text: string) => {
    const { send, log } = door();
    const { status } = await send({ headers: { ...BINARY, "ce-time": text } });
    const structured = await send({
      headers: STRUCTURED,
      body: `{${EVENT.replace("1", "2")},"time":"${text}"}`,
    });
    expect(structured.status).toBe(status);
    const values = (await log()).map(({ attributes }) => attributes["time"]?.attr.value);
    expect(values[1]).toEqual(values[0]);
    return values[0];
  };

  test.each([
    ["2024-02-29T23:59:59.123456789Z", 1_709_251_199n, 123_456_789],
    ["2024-01-01T01:00:00.5+02:00", 1_704_063_600n, 500_000_000],
    ["1969-12-31t23:59:59.999999999z", -1n, 999_999_999],
    ["0001-01-01T00:00:00Z", -62_135_596_800n, 0],
    ["9999-12-31T23:59:59.99999999900Z", 253_402_300_799n, 999_999_999],
  ])("%s", async (text, seconds, nanos) => {
    expect(await time(text)).toMatchObject({ seconds, nanos });
  });

  test.each([
    "2023-02-30T00:00:00Z",
    "2024-01-01T24:00:00Z",
    "2016-12-31T23:59:60Z",
    "2024-01-01T00:00:00",
    "2024-01-01 00:00:00Z",
    "2024-01-01T00:00:00.1234567891Z",
    "0001-01-01T00:00:00+01:00",
    "1704063600",
    "now",
  ])("%s is none", async (text) => {
    const { send } = door();
    const { body } = await send({ headers: { ...BINARY, "ce-time": text } });
    expect(body).toEqual(refusal("BAD_REQUEST", /^time is ".*", which is no time of RFC 3339/));
    expect(await time(text)).toBeUndefined();
  });
});

describe("malformed events", () => {
  test.each([
    ["", "the body is no JSON"],
    ["{", "the body is no JSON"],
    [`\ufeff{${EVENT}}`, "the body is no JSON"],
    ["[]", "an event is an object"],
    ["null", "an event is an object"],
    [`{${EVENT.replace('"1"', "1")}}`, "the attribute id is no text"],
    [`{${EVENT.replace('"1"', '""')}}`, "the attribute id is missing"],
    [`{${EVENT.replace('"1"', "null")}}`, "the attribute id is missing"],
    [`{${EVENT.replace('"1.0"', '"1.1"')}}`, 'specversion is "1.1", and only 1.0 is taken'],
    [`{${EVENT},"a":1.5}`, "the attribute a is no whole number of 32 bits"],
    [`{${EVENT},"a":2147483648}`, "the attribute a is no whole number of 32 bits"],
    [`{${EVENT},"a":1e999}`, "the attribute a is no whole number of 32 bits"],
    [`{${EVENT},"a":{}}`, "the attribute a is no value"],
    [`{${EVENT},"a":[1]}`, "the attribute a is no value"],
    [`{${EVENT},"subject":1}`, "the attribute subject is no text"],
    [`{${EVENT},"time":1}`, "the attribute time is no text"],
    [`{${EVENT},"datacontenttype":true,"data":1}`, "the attribute datacontenttype is no text"],
    [`{${EVENT},"A":"a"}`, '"A" cannot name an attribute: names are of a to z and 0 to 9'],
    [`{${EVENT},"a_b":"a"}`, '"a_b" cannot name an attribute: names are of a to z and 0 to 9'],
    [
      `{${EVENT},"__proto__":"a"}`,
      '"__proto__" cannot name an attribute: names are of a to z and 0 to 9',
    ],
    [`{${EVENT},"":"a"}`, '"" cannot name an attribute: names are of a to z and 0 to 9'],
    [`{${EVENT},"data":1,"data_base64":""}`, "an event has data or data_base64, and not both"],
    [`{${EVENT},"data_base64":"QQ="}`, "data_base64 is no base64"],
    [`{${EVENT},"data_base64":1}`, "data_base64 is no base64"],
    [`{${EVENT},"a":"\\ud800"}`, "attributes.a is not valid Unicode"],
  ])("%s", async (body, message) => {
    const { send, log } = door();
    expect(await send({ headers: STRUCTURED, body })).toMatchObject({
      status: 400,
      body: refusal("BAD_REQUEST", message),
    });
    expect(await log()).toEqual([]);
  });

  test.each([
    [{ "ce-id": "" }, "the attribute id is missing"],
    [{ "ce-specversion": "0.3" }, 'specversion is "0.3", and only 1.0 is taken'],
    [{ "ce-my-ext": "a" }, '"my-ext" cannot name an attribute: names are of a to z and 0 to 9'],
    [{ "ce-data": "a" }, '"data" cannot name an attribute: names are of a to z and 0 to 9'],
    [{ "ce-datacontenttype": "text/plain" }, /^in binary mode the header Content-Type says/],
  ])("in binary mode: %j", async (headers, message) => {
    const { send } = door();
    const answer = await send({ headers: { ...BINARY, ...headers } as Record<string, string> });
    expect(answer).toMatchObject({ status: 400, body: refusal("BAD_REQUEST", message) });
  });

  test("a body that is not UTF-8", async () => {
    const body = Buffer.from(`{${EVENT},"a":"\xff"}`, "latin1");
    expect((await door().send({ headers: STRUCTURED, body })).body).toEqual(
      refusal("BAD_REQUEST", "the body is not UTF-8"),
    );
  });

  test("a batch that is no list", async () => {
    expect((await door().send({ headers: BATCH, body: `{${EVENT}}` })).body).toEqual(
      refusal("BAD_REQUEST", "a batch is a list of events"),
    );
  });
});

describe("refusals", () => {
  test.each<[string, Sent, number, ReturnType<typeof refusal>]>([
    ["no key", { key: "" }, 401, refusal("AUTH_ERROR", /^the key is missing/)],
    ["a wrong key", { key: "ml_tests_x" }, 401, refusal("AUTH_ERROR", "the key is not valid")],
    [
      "a cookie in place of a key",
      { key: "", headers: { ...BINARY, cookie: "key=ml_tests_x" } },
      401,
      refusal("AUTH_ERROR", /./),
    ],
    ["a pattern", { path: "/channels/a.*" }, 400, refusal("BAD_REQUEST", "channel is a pattern")],
    [
      "an encoded pattern",
      { path: "/channels/%2A%2A" },
      400,
      refusal("BAD_REQUEST", "channel is a pattern"),
    ],
    ["no channel", { path: "/channels/" }, 400, refusal("BAD_REQUEST", "channel is empty")],
    [
      "an empty word",
      { path: "/channels/a..b" },
      400,
      refusal("BAD_REQUEST", "channel holds an empty word"),
    ],
    [
      "a control character",
      { path: "/channels/a%00" },
      400,
      refusal("BAD_REQUEST", "channel holds a control character"),
    ],
    [
      "half a percent sign",
      { path: "/channels/a%2" },
      400,
      refusal("BAD_REQUEST", /percent-encoded/),
    ],
    [
      "bytes that are no UTF-8",
      { path: "/channels/%FF" },
      400,
      refusal("BAD_REQUEST", /percent-encoded/),
    ],
    ["a bare slash", { path: "/channels/a/b" }, 404, refusal("NOT_FOUND", /%2F/)],
    ["another method", { method: "GET" }, 405, refusal("METHOD_NOT_ALLOWED", /POST/)],
    ["a preflight", { method: "OPTIONS", key: "" }, 405, refusal("METHOD_NOT_ALLOWED", /POST/)],
    [
      "no event at all",
      { headers: { "content-type": "application/json" } },
      415,
      refusal("UNSUPPORTED_TYPE", /^this is application\/json, and no event/),
    ],
    [
      "no type and no event",
      { headers: {} },
      415,
      refusal("UNSUPPORTED_TYPE", /^there is no Content-Type/),
    ],
    [
      "a format of CloudEvents that is not read",
      { headers: { "content-type": "application/cloudevents+protobuf" } },
      415,
      refusal("UNSUPPORTED_TYPE", /is not read/),
    ],
    [
      "another charset",
      { headers: { "content-type": "application/cloudevents+json; charset=latin1" } },
      415,
      refusal("UNSUPPORTED_TYPE", /UTF-8/),
    ],
    [
      "a compressed body",
      { headers: { ...STRUCTURED, "content-encoding": "gzip" } },
      415,
      refusal("UNSUPPORTED_TYPE", /Content-Encoding/),
    ],
    [
      "a type that is not ASCII",
      { headers: { ...BINARY, "content-type": "text/\u00e4" } },
      415,
      refusal("UNSUPPORTED_TYPE", /ASCII/),
    ],
    [
      "headers that are too long",
      { headers: { ...BINARY, "ce-a": "x".repeat(1_024) } },
      413,
      refusal("TOO_LARGE", /1024/),
    ],
    [
      "headers and body that are too long together",
      { headers: { ...BINARY, "ce-a": "x".repeat(500) }, body: "x".repeat(600) },
      413,
      refusal("TOO_LARGE", /body is longer/),
    ],
    [
      "too many events",
      { headers: BATCH, body: `[${"0,".repeat(1_000)}0]` },
      413,
      refusal("TOO_LARGE", "a batch has at most 1000 events"),
    ],
  ])("%s", async (_, sent, status, body) => {
    const { send, engines } = door();
    const answer = await send({ headers: BINARY, ...sent });
    expect(answer).toMatchObject({ status, body });
    expect(engines()).toBe(0);
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    expect(answer.headers.get("set-cookie")).toBeNull();
    if (status === 405) expect(answer.headers.get("allow")).toBe("POST");
    if (status === 401) expect(answer.headers.get("www-authenticate")).toBe("Bearer");
  });

  test("a key without the right, and one for other channels", async () => {
    expect(await door({ rights: ["read"] }).send({ headers: BINARY })).toMatchObject({
      status: 403,
      body: refusal("ACL_ERROR", "the key has not the right publish"),
    });
    const chat = door({ patterns: ["chat.*"] });
    expect(await chat.send({ headers: BINARY })).toMatchObject({ status: 403 });
    expect(await chat.send({ headers: BINARY, path: "/channels/chat.a" })).toMatchObject({
      status: 200,
    });
  });

  test("the path is decoded once", async () => {
    const { send, log } = door();
    expect((await send({ headers: BINARY, path: "/channels/a%2Fb%252F%C3%A4?x=/y" })).status).toBe(
      200,
    );
    expect(await log("a/b%2Fä")).toHaveLength(1);
  });

  test("a body that is announced as too long is not waited for", async () => {
    const body = new ReadableStream({ pull: () => new Promise<never>(() => {}) });
    const headers = { ...STRUCTURED, "content-length": "1025" };
    expect(await door().send({ headers, body })).toMatchObject({
      status: 413,
      body: refusal("TOO_LARGE", "the body is longer than 1024 bytes"),
    });
  });

  test("a body that turns out to be too long is given up, once enough of it has been thrown away", async () => {
    let given = 0;
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        given += 6_000;
        controller.enqueue(new Uint8Array(6_000));
      },
      cancel: () => {
        cancelled = true;
      },
    });
    expect((await door().send({ headers: STRUCTURED, body })).status).toBe(413);
    await vi.waitUntil(() => cancelled, 10_000);
    expect(given).toBeGreaterThan(MAX_REST_BYTES);
    expect(given).toBeLessThan(MAX_REST_BYTES + 30_000);
  });

  test("a body that breaks off", async () => {
    const body = new ReadableStream({
      start: (controller) => controller.error(new Error("the client has gone")),
    });
    expect(await door().send({ headers: STRUCTURED, body })).toMatchObject({
      status: 400,
      body: refusal("BAD_REQUEST", "the body breaks off"),
    });
  });
});
