/** What POST /channels/{channel} does on every host, over real sockets. */
import { expect } from "vitest";
import type { Message } from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import type { Client } from "../../support/client.ts";
import {
  arrived,
  EVENT_CASES,
  recordedRequests,
  SDKS,
  type Sdk,
  wanted,
  withoutInventedTime,
} from "../../support/cloudevents.ts";
import { exchange, type RawAnswer, type RawRequest } from "../../support/raw-http.ts";
import { KEYS } from "../api/cases.ts";

export interface CloudEventsHost {
  /** Such as `http://127.0.0.1:1234`. */
  readonly base: string;
  /** An extended client that has connected. */
  client(): Promise<Client>;
  /** A name that no other case has. */
  name(word: string): string;
  /** Whether somebody resolves the `..` of a path before it is looked at, as on Cloudflare. Default yes. */
  readonly resolvesDots?: boolean;
}

export interface CloudEventsCase {
  readonly name: string;
  run(host: CloudEventsHost): Promise<void>;
}

type Headers = RawRequest["headers"] & object;

const EVENT: Headers = [
  ["ce-id", "1"],
  ["ce-source", "/s"],
  ["ce-type", "t"],
  ["ce-specversion", "1.0"],
];
const STRUCTURED: Headers = [["Content-Type", "application/cloudevents+json"]];
const BATCH: Headers = [["Content-Type", "application/cloudevents-batch+json"]];

interface Sent extends Omit<RawRequest, "target"> {
  /** Default that of the channel. */
  readonly target?: string;
  /** None where it is empty. */
  readonly key?: string;
}

async function send(
  { base }: CloudEventsHost,
  channel: string,
  { key = KEYS.publish.key, headers = [], ...rest }: Sent,
): Promise<RawAnswer> {
  const target = rest.target ?? `/channels/${encodeURIComponent(channel)}`;
  const shown: Headers = key === "" ? headers : [...headers, ["Authorization", `Bearer ${key}`]];
  return await exchange(base, { ...rest, target, headers: shown });
}

async function subscribed(host: CloudEventsHost, channel: string): Promise<Client> {
  const client = await host.client();
  await client.subscribe(channel);
  return client;
}

const sdkCase = (sdk: Sdk): CloudEventsCase => ({
  name: `what the SDK has sent arrives attribute for attribute: ${sdk}`,
  async run(host) {
    const channel = host.name(`sdk/${sdk}`);
    const client = await subscribed(host, channel);
    const requests = recordedRequests(sdk);
    let count = 0;
    for (const { case: name, mode, headers, body } of requests) {
      const cases = EVENT_CASES.filter((one) => mode === "batch" || one.name === name);
      // The same event in another mode is another one to the channel.
      const own = `${channel}.${mode}`;
      await client.subscribe(own);
      const answer = await send(host, own, { headers, body });
      expect([name, mode, answer.status, answer.body]).toMatchObject([name, mode, 200, /./]);
      count += cases.length;
      const messages = await client.received(count);
      const events = messages.slice(-cases.length).map(({ payload }) => payload);
      expect(
        events.map((event, i) => {
          const one = cases[i];
          if (event === undefined || one === undefined) throw new Error("too much arrived");
          return withoutInventedTime(arrived(event), one);
        }),
      ).toEqual(cases.map((one) => wanted(one, sdk, mode)));
    }
  },
});

/** What is refused, with which status and code. */
const REFUSALS: readonly (readonly [string, Sent, number, string])[] = [
  ["no key", { key: "", headers: EVENT }, 401, "AUTH_ERROR"],
  ["a wrong key", { key: "ml_x_y", headers: EVENT }, 401, "AUTH_ERROR"],
  ["a key that has expired", { key: KEYS.expired.key, headers: EVENT }, 401, "AUTH_ERROR"],
  [
    "a cookie",
    { key: "", headers: [...EVENT, ["Cookie", `key=${KEYS.all.key}`]] },
    401,
    "AUTH_ERROR",
  ],
  ["a key without the right", { key: KEYS.read.key, headers: EVENT }, 403, "ACL_ERROR"],
  ["a key for other channels", { key: KEYS.chat.key, headers: EVENT }, 403, "ACL_ERROR"],
  ["a pattern", { target: "/channels/chat.*", headers: EVENT }, 400, "BAD_REQUEST"],
  ["an encoded pattern", { target: "/channels/chat.%2a%2A", headers: EVENT }, 400, "BAD_REQUEST"],
  ["no channel", { target: "/channels/", headers: EVENT }, 400, "BAD_REQUEST"],
  ["an empty word", { target: "/channels/a..b", headers: EVENT }, 400, "BAD_REQUEST"],
  ["a control character", { target: "/channels/a%0A", headers: EVENT }, 400, "BAD_REQUEST"],
  ["half an encoding", { target: "/channels/a%C3", headers: EVENT }, 400, "BAD_REQUEST"],
  ["a bare slash", { target: "/channels/a/b", headers: EVENT }, 404, "NOT_FOUND"],
  ["another method", { method: "PUT", headers: EVENT }, 405, "METHOD_NOT_ALLOWED"],
  ["reading", { method: "GET", headers: EVENT }, 405, "METHOD_NOT_ALLOWED"],
  [
    "a preflight",
    {
      method: "OPTIONS",
      key: "",
      headers: [
        ["Origin", "https://a.example"],
        ["Access-Control-Request-Method", "POST"],
      ],
    },
    405,
    "METHOD_NOT_ALLOWED",
  ],
  [
    "no event",
    { headers: [["Content-Type", "application/json"]], body: "{}" },
    415,
    "UNSUPPORTED_TYPE",
  ],
  ["an event that is none", { headers: STRUCTURED, body: "{}" }, 400, "BAD_REQUEST"],
  ["an event without its type", { headers: EVENT.slice(0, 2) }, 400, "BAD_REQUEST"],
  ["30 February", { headers: [...EVENT, ["ce-time", "2023-02-30T00:00:00Z"]] }, 400, "BAD_REQUEST"],
  ["Latin-1 in a header", { headers: [...EVENT, ["ce-a", "\u00e4"]] }, 400, "BAD_REQUEST"],
  ["a body that is too long", { headers: STRUCTURED, body: " ".repeat(70_000) }, 413, "TOO_LARGE"],
  ["a batch that is too long", { headers: BATCH, body: " ".repeat(1_100_000) }, 413, "TOO_LARGE"],
];

export const CLOUDEVENTS_CASES: readonly CloudEventsCase[] = [
  ...SDKS.map(sdkCase),
  {
    name: "an event in binary mode: its position, on the wire as bytes and nanoseconds",
    async run(host) {
      const channel = host.name("a/ä b");
      const client = await subscribed(host, channel);
      const headers: Headers = [
        ...EVENT,
        ["Content-Type", "application/json"],
        ["ce-time", "2024-02-29T23:59:59.000000001Z"],
        ["ce-text", Buffer.from("naïve €").toString("latin1")],
      ];
      const answer = await send(host, channel, { headers, body: '{"a": 1.0}' });
      expect(answer.status).toBe(200);
      const { position, ...rest } = JSON.parse(answer.body) as Record<string, object>;
      expect(rest).toEqual({ id: "1", duplicate: false });
      const [message] = await client.received(1);
      expect(position).toEqual({ epoch: message?.epoch, offset: `${message?.offset}` });
      expect(message?.channel).toBe(channel);
      const frame = String(client.frames.at(-1));
      expect(frame).toContain('"text_data":"{\\"a\\": 1.0}"');
      expect(frame).toContain('"time":{"ce_timestamp":"2024-02-29T23:59:59.000000001Z"}');
      expect(frame).toContain('"text":{"ce_string":"naïve €"}');
    },
  },
  {
    name: "an event that comes again is the same one, and that of another key is its own",
    async run(host) {
      const channel = host.name("again");
      const client = await subscribed(host, channel);
      const position = async (key: string) => {
        const { body } = await send(host, channel, { key, headers: EVENT });
        const { duplicate, position } = JSON.parse(body) as {
          duplicate: boolean;
          position: { offset: string };
        };
        return [position.offset, duplicate];
      };
      expect(await position(KEYS.publish.key)).toEqual(["1", false]);
      expect(await position(KEYS.publish.key)).toEqual(["1", true]);
      expect(await position(KEYS.all.key)).toEqual(["2", false]);
      await send(host, channel, { headers: [...EVENT.slice(1), ["ce-id", "2"]] });
      const messages = await client.received(3);
      expect(messages.map(({ offset }: Message) => Number(offset))).toEqual([1, 2, 3]);
    },
  },
  {
    name: "a batch: its order, and what is refused of it",
    async run(host) {
      const channel = host.name("batch");
      const client = await subscribed(host, channel);
      const event = (id: number) =>
        `{"specversion":"1.0","id":"${id}","source":"/s","type":"t","data":${id}}`;
      const all = Array.from({ length: 300 }, (_, i) => event(i)).join(",");
      const first = await send(host, channel, { headers: BATCH, body: `[${all}]` });
      expect(first.status).toBe(200);
      const answers = JSON.parse(first.body) as { id: string; position: { offset: string } }[];
      expect(answers.map(({ id, position }) => [id, position.offset])).toEqual(
        answers.map((_, i) => [`${i}`, `${i + 1}`]),
      );
      const ids = (await client.received(300)).map(({ payload }) => payload?.id);
      expect(ids).toEqual(answers.map(({ id }) => id));
      const body = `[${event(300)},{"id":"x"},${event(299)}]`;
      const second = await send(host, channel, { headers: BATCH, body });
      expect([second.status, JSON.parse(second.body)]).toEqual([
        400,
        [
          expect.objectContaining({ id: "300", duplicate: false }),
          { error: { code: "BAD_REQUEST", message: "the attribute source is missing" } },
          expect.objectContaining({ id: "299", duplicate: true }),
        ],
      ]);
    },
  },
  {
    name: "the path is decoded once",
    async run(host) {
      const own = host.name("x");
      const cases: readonly (readonly [string, string, number?])[] = [
        [`${own}%2Fa`, `${own}/a`],
        [`${own}%252Fa`, `${own}%2Fa`],
        [`${own}%25`, `${own}%`],
        [`${own}+a%20b`, `${own}+a b`],
        [`${own}%C3%A4?channel=x`, `${own}ä`],
        host.resolvesDots === false ? [`x/../${own}`, "", 404] : [`x/../${own}%3F`, `${own}?`],
        [`${own}%2E%2F%2E%2E`, "", 400],
      ];
      for (const [encoded, channel, expected = 200] of cases) {
        const client = await host.client();
        if (channel !== "") await client.subscribe(channel);
        const headers: Headers = [...EVENT.slice(1), ["ce-id", encoded.length.toString()]];
        const { status } = await send(host, "", { target: `/channels/${encoded}`, headers });
        expect([encoded, status]).toEqual([encoded, expected]);
        if (channel !== "") expect((await client.received(1))[0]?.channel).toBe(channel);
      }
    },
  },
  {
    name: "who is refused need not send the rest of the body to hear of it",
    async run(host) {
      const unfinished = { headers: STRUCTURED, body: "{", length: 500 };
      const began = performance.now();
      const answers = await Promise.all([
        send(host, "room", { ...unfinished, key: "ml_x_y" }),
        send(host, "a.*", unfinished),
        send(host, "room", { ...unfinished, method: "PUT" }),
        send(host, "room", { ...unfinished, headers: [["Content-Type", "text/plain"]] }),
        send(host, "room", { ...unfinished, length: 1_000_000 }),
      ]);
      expect(answers.map(({ status }) => status)).toEqual([401, 400, 405, 415, 413]);
      // Less than it would take until the request is given up.
      expect(performance.now() - began).toBeLessThan(10_000);
    },
  },
  {
    name: "what is refused has a status, a code and a message, and nothing for pages",
    async run(host) {
      for (const [what, sent, status, code] of REFUSALS) {
        const answer = await send(host, host.name("refused"), sent);
        expect([what, answer.status, JSON.parse(answer.body)]).toEqual([
          what,
          status,
          { code, message: expect.any(String) },
        ]);
        const names = [...answer.headers.keys()];
        expect(names.filter((name) => /^access-control|^set-cookie/.test(name))).toEqual([]);
        if (status === 405) expect(answer.headers.get("allow")).toBe("POST");
        if (status === 401) expect(answer.headers.get("www-authenticate")).toBe("Bearer");
      }
    },
  },
];
