/**
 * Requests that are refused while their clients still send, at every door that takes a body, on any host. A host has the
 * keys of `api/cases.ts`.
 */
import { connect } from "node:http2";
import { expect } from "vitest";
import { APIService } from "../../src/protocol/gen/messageloop/server/v1/api_pb.js";
import { MAX_BODY_MS } from "../../src/protocol/limits.ts";
import { exchange } from "../support/raw-http.ts";
import { KEYS } from "./api/cases.ts";

const API = "/messageloop.server.v1.APIService/Publish";
const MESSAGING = "/messageloop.v1.MessagingService";
const KEY = { Authorization: `Bearer ${KEYS.all.key}` };
const JSON_TYPE = { "Content-Type": "application/json" };
/** Longer than what any door takes. */
const LONG = " ".repeat(5_000_000);
const ROUNDS = 4;

interface LongRequest {
  readonly method?: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Default: as many blanks. */
  readonly body?: string;
  readonly status: number;
  /** A part of the answer. */
  readonly says: string;
}

/** One message of a stream that is as long. */
const LONG_MESSAGE = `\0\0${String.fromCharCode(0x4c, 0x4b, 0x40)}${LONG}`;

const LONG_REQUESTS: readonly LongRequest[] = [
  { path: API, headers: JSON_TYPE, status: 401, says: '"unauthenticated"' },
  { path: API, headers: { ...KEY, ...JSON_TYPE }, status: 429, says: '"resource_exhausted"' },
  {
    path: API,
    headers: { ...KEY, ...JSON_TYPE, "Connect-Timeout-Ms": "60000" },
    status: 429,
    says: '"resource_exhausted"',
  },
  {
    path: API,
    headers: { ...KEY, "Content-Type": "application/grpc-web+proto" },
    body: LONG_MESSAGE,
    status: 200,
    says: "grpc-status: 8",
  },
  { path: API, headers: { ...KEY, "Content-Type": "text/plain" }, status: 415, says: "TYPE" },
  { method: "PUT", path: API, headers: { ...KEY, ...JSON_TYPE }, status: 405, says: "POST" },
  { path: `${API}ed`, headers: { ...KEY, ...JSON_TYPE }, status: 404, says: "Not Found" },
  { path: "/channels/room", headers: JSON_TYPE, status: 401, says: "AUTH_ERROR" },
  {
    path: "/channels/room",
    headers: { ...KEY, "Content-Type": "application/cloudevents+json" },
    status: 413,
    says: "TOO_LARGE",
  },
  { path: "/channels/room", headers: { ...KEY, ...JSON_TYPE }, status: 415, says: "TYPE" },
  { method: "PUT", path: "/channels/room", headers: KEY, status: 405, says: "METHOD_NOT_ALLOWED" },
  { path: "/channels/room/x", headers: KEY, status: 404, says: "NOT_FOUND" },
  { path: "/channels/room/events", headers: KEY, status: 405, says: "METHOD_NOT_ALLOWED" },
  { path: "/channels/room/history", headers: KEY, status: 405, says: "METHOD_NOT_ALLOWED" },
  { path: `${MESSAGING}/Send`, headers: JSON_TYPE, status: 429, says: '"resource_exhausted"' },
  {
    path: `${MESSAGING}/Send`,
    headers: { ...JSON_TYPE, Origin: "https://elsewhere.example" },
    status: 403,
    says: "Forbidden",
  },
  {
    path: `${MESSAGING}/Open`,
    headers: { "Content-Type": "application/connect+json" },
    body: LONG_MESSAGE,
    status: 200,
    says: '"resource_exhausted"',
  },
  { path: "/ws", headers: JSON_TYPE, status: 405, says: "Method Not Allowed" },
  { path: "/nothing", headers: JSON_TYPE, status: 404, says: "Not Found" },
];

/** Each of them at the same time, time and again, with a length and without: all have to hear why. */
export async function refuseLongRequests(base: string): Promise<void> {
  const refusals: unknown[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const answers = LONG_REQUESTS.map(async ({ method = "POST", path, headers, body, ...to }) => {
      const bytes = Buffer.from(body ?? LONG, "latin1");
      const init = { method, headers, ...(round % 2 === 0 ? { body: bytes } : streamed(bytes)) };
      try {
        const answer = await fetch(`${base}${path}`, init);
        const text = await answer.text();
        return answer.status === to.status && text.includes(to.says)
          ? []
          : [[method, path, to, answer.status, text.slice(0, 200)]];
      } catch (error) {
        return [[method, path, to, `${error}`, `${(error as Error).cause}`]];
      }
    });
    refusals.push(...(await Promise.all(answers)).flat());
  }
  expect(refusals).toEqual([]);
}

/**
 * Each of them over HTTP/2, on a connection of its own: on one, the client of the runtime takes no more streams after two
 * long bodies, whether or not the server reads them.
 */
export async function refuseLongRequestsByHttp2(authority: string): Promise<void> {
  const refusals: unknown[] = [];
  for (const { method = "POST", path, headers, body, ...to } of LONG_REQUESTS) {
    const session = connect(authority);
    const stream = session.request({ ":method": method, ":path": path, ...headers });
    const failures: unknown[] = [];
    // What the server does not want to read it may refuse, behind its answer.
    stream.on("error", (error) => failures.push(error));
    stream.end(Buffer.from(body ?? LONG, "latin1"));
    let status: number | undefined;
    stream.on("response", (head) => {
      status = head[":status"];
    });
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    await new Promise((resolve) => stream.once("end", resolve).once("close", resolve));
    const text = Buffer.concat(chunks).toString();
    const good = status === to.status && text.includes(to.says) && failures.length === 0;
    if (!good) refusals.push([method, path, to, status, text.slice(0, 200), `${failures}`]);
    session.destroy();
  }
  expect(refusals).toEqual([]);
}

function streamed(bytes: Buffer): RequestInit {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < bytes.length; at += 100_000) {
        controller.enqueue(bytes.subarray(at, at + 100_000));
      }
      controller.close();
    },
  });
  return { body, duplex: "half" };
}

/** Requests whose bodies do not come to their end. */
const SLOW_REQUESTS = [
  { path: API, type: "application/json", status: 408, says: '"deadline_exceeded"' },
  { path: API, type: "application/proto", status: 408, says: '"deadline_exceeded"' },
  { path: API, type: "application/grpc-web+proto", status: 200, says: "grpc-status: 4" },
  {
    path: "/channels/slow",
    type: "application/cloudevents+json",
    status: 408,
    says: "REQUEST_TIMEOUT",
  },
  {
    path: `${MESSAGING}/Send`,
    type: "application/json",
    status: 408,
    says: '"deadline_exceeded"',
  },
  {
    path: `${MESSAGING}/Open`,
    type: "application/connect+json",
    status: 200,
    says: '"deadline_exceeded"',
  },
] as const;

/** All of them at the same time. Takes half a minute. */
export async function refuseSlowRequests(base: string): Promise<void> {
  const answers = SLOW_REQUESTS.map(async ({ path, type, status, says }) => {
    const began = performance.now();
    const headers = [
      ["Content-Type", type] as const,
      ["Authorization", KEY.Authorization] as const,
    ];
    const answer = await exchange(base, { target: path, headers, body: "\0\0", length: 500 });
    const took = performance.now() - began;
    const inTime = took > MAX_BODY_MS - 500 && took < MAX_BODY_MS + 9_000;
    return inTime && answer.status === status && answer.body.includes(says)
      ? []
      : [[path, type, took, answer.status, answer.body]];
  });
  expect((await Promise.all(answers)).flat()).toEqual([]);
}

/** What no library of ours should be heard to say. */
const LIBRARIES =
  /parse binary|cannot decode|premature|illegal|invalid|wire|index out|unexpected|encoded data|JSON at|not valid/i;
const STRANGE_FIELDS =
  '{"session_id":{},"user_id":7,"user":7,"publications":7,"sessions":7,"channel":7,"channels":7,"pattern":7,"subscriptions":7}';
const GARBAGE: readonly (readonly [string, string])[] = [
  ["proto", "\xff\xff\xff\xff\xff\xff"],
  ["proto", "\x0a\x05\x01"],
  ["json", "{"],
  ["json", STRANGE_FIELDS],
  ["json", '"\xff"'],
];

/** What cannot be decoded, to every call. */
export async function refuseGarbage(base: string): Promise<void> {
  const methods = APIService.methods.map(({ name }) => `/${APIService.typeName}/${name}`);
  const asks = [...methods, `${MESSAGING}/Send`, `${MESSAGING}/Open`].flatMap((path) =>
    GARBAGE.flatMap(([encoding, text]) => {
      const plain = path.endsWith("/Open") ? [] : [`application/${encoding}`];
      const streamed = path.endsWith("/Open") ? [`application/connect+${encoding}`] : [];
      return [...plain, ...streamed, `application/grpc-web+${encoding}`].flatMap((type) =>
        [{}, { "Connect-Timeout-Ms": "60000" }].map((more) => ({ path, type, text, more })),
      );
    }),
  );
  // What asks for nothing has no field of a wrong type: what it does not know it passes over.
  const without = new Set(
    APIService.methods
      .filter(({ input }) => input.fields.length === 0)
      .map(({ name }) => `/${APIService.typeName}/${name}`),
  );
  const wrong = await Promise.all(
    asks
      .filter(({ path, text }) => text !== STRANGE_FIELDS || !without.has(path))
      .map(async ({ path, type, text, more }) => {
        const bytes = Buffer.from(text, "latin1");
        const head = Buffer.from([0, 0, 0, 0, bytes.length]);
        const enveloped = type.includes("+");
        const answer = await fetch(`${base}${path}`, {
          method: "POST",
          headers: { ...KEY, ...more, "Content-Type": type },
          body: enveloped ? Buffer.concat([head, bytes]) : bytes,
        });
        const said = await answer.text();
        const refused = type.includes("grpc") ? /grpc-status: 3\b/ : /"code":"invalid_argument"/;
        const status = enveloped ? 200 : 400;
        const words = said.replaceAll("invalid_argument", "");
        const good = answer.status === status && refused.test(said) && !LIBRARIES.test(words);
        return good ? [] : [[path, type, text, answer.status, said.slice(0, 300)]];
      }),
  );
  expect(wrong.flat()).toEqual([]);
}

const NO_JSON = [415, "UNSUPPORTED_TYPE"] as const;
/** Content types of one call, and what becomes of it: the status, and a part of the answer. */
const CONTENT_TYPES: readonly (readonly [string, number, string])[] = [
  ["application/json", 200, "{}"],
  ["Application/JSON;charset=UTF-8", 200, "{}"],
  ['application/json;  charset="utf-8"', 200, "{}"],
  ["application/json; charset=utf-8; profile=x", 200, "{}"],
  ["application/json; charset=utf-16", ...NO_JSON],
  ["application/json; charset=iso-8859-1", ...NO_JSON],
  ["application/jsonp", ...NO_JSON],
  ["text/json", ...NO_JSON],
  ["", ...NO_JSON],
];

/** The parameters of a content type, and the types that are none of a call, at every door of calls alike. */
export async function readContentTypes(base: string): Promise<void> {
  const wrong: unknown[] = [];
  const check = async (
    path: string,
    init: RequestInit,
    [status, says]: readonly [number, string],
  ): Promise<void> => {
    const answer = await fetch(`${base}${path}`, { method: "POST", body: "{}", ...init });
    const text = await answer.text();
    if (answer.status !== status || !text.includes(says)) {
      wrong.push([path, init, answer.status, text.slice(0, 200)]);
    }
  };
  // Also of calls that only the library can answer.
  for (const more of [{}, { "Connect-Timeout-Ms": "60000" }]) {
    for (const [type, status, says] of CONTENT_TYPES) {
      const headers = { ...KEY, ...more, "Content-Type": type };
      await check(API, { headers }, [status, says]);
      // It is the secret that this one lacks.
      const send = status === 200 ? ([404, "not_found"] as const) : NO_JSON;
      await check(`${MESSAGING}/Send`, { headers }, send);
    }
  }
  await check(`${MESSAGING}/Open`, { headers: JSON_TYPE }, [415, "application/connect+json"]);
  const get = { method: "GET", body: null };
  for (const path of [API, `${MESSAGING}/Send`, `${MESSAGING}/Open`]) {
    await check(path, get, [405, "METHOD_NOT_ALLOWED"]);
  }
  expect(wrong).toEqual([]);
}
