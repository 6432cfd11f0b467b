/**
 * What every call of the server API does, on any host and by any protocol. A host starts with `SETTINGS` and
 * `authenticate`, and says where clients connect.
 */
import { createHash } from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { expect } from "vitest";
import type { Backends } from "../../../src/engine/ports/backends.ts";
import { hex, type Right, writeKey } from "../../../src/http/keys/key.ts";
import { type Client, type ConnectInit, kindOf, textOf, valueAs } from "../../support/client.ts";
import { eventually } from "../../support/eventually.ts";
import type { ApiDriver, Method, Outcome } from "./driver.ts";

/** Whoever has a token is the user of that name. */
export const authenticate: NonNullable<Backends["authenticate"]> = async ({ token }) => ({
  userId: token === "" ? "nobody" : token,
});

/** What channels the cases expect. */
export const CHANNELS = [
  { pattern: "fleeting.**", transient: true },
  { pattern: "hidden.**", presence: false },
] as const;

/** What limits the cases expect. */
export const LIMITS = { subscriptions_per_client: 40 } as const;

/** Keys by what they are good for. */
export const KEYS = {
  all: made("all", ["publish", "read", "manage"], ["**"]),
  chat: made("chat", ["publish", "read", "manage"], ["chat.*"]),
  publish: made("publish", ["publish"], ["**"]),
  read: made("read", ["read"], ["**"]),
  trace: made("trace", ["trace"], ["**"]),
  payloads: made("payloads", ["trace", "trace-payloads"], ["**"]),
  expired: made("expired", ["publish"], ["**"], "2020-01-01T00:00:00Z"),
} as const;

/** What settings hold of them. */
export const KEY_ENTRIES = Object.values(KEYS).map(({ entry }) => entry);

export interface ApiHost {
  /** By which the calls are made. */
  readonly driver: ApiDriver;
  /** A client that has connected, on whichever node the test is about. */
  client(connect?: ConnectInit): Promise<{ readonly client: Client; readonly id: string }>;
  /** The same on another node, where there is one. */
  elsewhere(connect?: ConnectInit): Promise<{ readonly client: Client; readonly id: string }>;
  /** A name that no other case has. */
  name(word: string): string;
}

export interface ApiCase {
  readonly name: string;
  run(api: Api): Promise<void>;
}

/** A host as the cases use it. */
export class Api {
  readonly host: ApiHost;

  constructor(host: ApiHost) {
    this.host = host;
  }

  async outcome(
    method: Method,
    request: JsonObject,
    key: string | undefined = KEYS.all.key,
  ): Promise<Outcome> {
    return await this.host.driver.call(method, request, key);
  }

  /** The answer to a call that is good. */
  async call(method: Method, request: JsonObject, key = KEYS.all.key): Promise<JsonObject> {
    const { code, message, body } = await this.outcome(method, request, key);
    expect([code, message]).toEqual([undefined, ""]);
    return body;
  }

  /** Publishes one event and answers the results of its destinations. */
  async publish(destination: JsonObject, more: JsonObject = {}, key = KEYS.all.key) {
    const publication = { id: "p", destination, payload: event("hello"), ...more };
    const { results } = await this.call("publish", { publications: [publication] }, key);
    const [result = {}] = results as JsonObject[];
    expect(result["id"]).toBe("p");
    return (result["destinations"] ?? [result]) as JsonObject[];
  }
}

export function event(text: string, more: JsonObject = {}): JsonObject {
  return { id: "e1", source: "/server", type: "t", text_data: text, ...more };
}

const ERROR = (code: string) => ({ error: expect.objectContaining({ code }) });
const POSITION = (offset: number) => ({
  position: { epoch: expect.any(String), offset: `${offset}` },
});

export const API_CASES: readonly ApiCase[] = [
  {
    name: "Publish: as in v0.1.1 an event that is published twice is delivered twice",
    async run(api) {
      const room = api.host.name("room");
      const { client } = await api.host.elsewhere({ subscriptions: [{ channel: room }] });
      expect(await api.publish({ channels: [room] })).toEqual([{ channel: room, ...POSITION(1) }]);
      expect(await api.publish({ channels: [room] })).toEqual([{ channel: room, ...POSITION(2) }]);
      await client.received(2);
      expect(client.messages.map(({ payload }) => textOf(payload))).toEqual(["hello", "hello"]);
    },
  },
  {
    name: "Publish: with dedup it is delivered once, and the answer says where it was",
    async run(api) {
      const room = api.host.name("room");
      const { client } = await api.host.elsewhere({ subscriptions: [{ channel: room }] });
      const options = { dedup: true };
      const payload = event("one");
      expect(await api.publish({ channels: [room] }, { payload, options })).toEqual([
        { channel: room, ...POSITION(1) },
      ]);
      expect(await api.publish({ channels: [room] }, { payload, options })).toEqual([
        { channel: room, ...POSITION(1), duplicate: true },
      ]);
      await api.publish({ channels: [room] }, { payload: event("two", { id: "e2" }), options });
      await client.received(2);
      expect(client.messages.map(({ payload: got }) => textOf(got))).toEqual(["one", "two"]);
      for (const nameless of [event("x", { id: "" }), event("x", { source: "" })]) {
        const asked = { payload: nameless, options };
        expect(await api.publish({ channels: [room] }, asked)).toEqual([
          { id: "p", ...ERROR("BAD_REQUEST") },
        ]);
      }
      const both = await api.publish({ channels: [room], sessions: ["s"] }, { payload, options });
      expect(both).toEqual([{ id: "p", ...ERROR("BAD_REQUEST") }]);
    },
  },
  {
    name: "Publish: what is transient reaches who is subscribed now, and is in no log",
    async run(api) {
      const room = api.host.name("room");
      const { client } = await api.host.elsewhere({ subscriptions: [{ channel: room }] });
      const options = { transient: true };
      expect(await api.publish({ channels: [room] }, { options })).toEqual([{ channel: room }]);
      await client.received(1);
      expect(client.messages[0]).toMatchObject({ channel: room, offset: 0n, epoch: "" });
      expect(await api.publish({ channels: [room] })).toEqual([{ channel: room, ...POSITION(1) }]);
      const { messages } = await api.call("history", { channel: room });
      expect(messages).toHaveLength(1);
      for (const other of [{ add_history: true }, { dedup: true }]) {
        expect(
          await api.publish({ channels: [room] }, { options: { ...options, ...other } }),
        ).toEqual([{ id: "p", ...ERROR("BAD_REQUEST") }]);
      }
    },
  },
  {
    name: "Publish: add_history asks for what a channel may not have, and changes nothing elsewhere",
    async run(api) {
      const [room, fleeting] = [api.host.name("room"), api.host.name("fleeting.room")];
      const options = { add_history: true };
      expect(await api.publish({ channels: [fleeting, room] }, { options })).toEqual([
        { channel: fleeting, ...ERROR("BAD_REQUEST") },
        { channel: room, ...POSITION(1) },
      ]);
      expect(await api.publish({ channels: [fleeting] })).toEqual([
        { channel: fleeting, ...POSITION(1) },
      ]);
    },
  },
  {
    name: "Publish: to sessions, wherever they are, and an unknown one is named",
    async run(api) {
      const [near, far] = [await api.host.client(), await api.host.elsewhere()];
      const sessions = [near.id, "unknown", far.id, `${far.id}x`];
      const payload = event("to you", { attributes: { ext1: { ce_string: "v" } } });
      expect(await api.publish({ sessions }, { payload })).toEqual([
        { session: near.id, sessions: 1 },
        { session: "unknown", ...ERROR("NOT_FOUND") },
        { session: far.id, sessions: 1 },
        { session: `${far.id}x`, ...ERROR("NOT_FOUND") },
      ]);
      for (const { client } of [near, far]) {
        await client.received(1);
        expect(client.messages[0]).toMatchObject({ id: "p", channel: "", offset: 0n });
        expect(client.messages[0]?.payload).toMatchObject({ id: "e1", source: "/server" });
        expect(textOf(client.messages[0]?.payload)).toBe("to you");
      }
    },
  },
  {
    name: "Publish and Disconnect: by user, on all the user's devices",
    async run(api) {
      const user = api.host.name("user");
      const devices = [
        await api.host.client({ token: user }),
        await api.host.elsewhere({ token: user }),
        await api.host.elsewhere({ token: user }),
      ];
      const other = await api.host.client({ token: api.host.name("other") });
      const reached = await eventually(
        async () => await api.publish({ users: [user, "nobody-at-all"] }),
        ([first]) => first?.["sessions"] === 3,
      );
      expect(reached).toEqual([{ user, sessions: 3 }, { user: "nobody-at-all" }]);
      for (const { client } of devices) await client.received(1);
      const answer = await api.call("disconnect", { users: [user], code: 4001, reason: "bye" });
      expect(answer).toEqual({ users: { [user]: 3 } });
      for (const { client } of devices) {
        expect(await client.closed()).toEqual({ code: 4001, reason: "bye" });
      }
      expect(kindOf(await other.client.ping())).toBe("pong");
      expect(await api.publish({ users: [""] })).toEqual(
        [ERROR("BAD_REQUEST")].map((one) => ({ user: "", ...one })),
      );
    },
  },
  {
    name: "Publish: a batch keeps its order, and each item succeeds or fails by itself",
    async run(api) {
      const room = api.host.name("room");
      const { client } = await api.host.elsewhere({ subscriptions: [{ channel: room }] });
      const to = (channel: string, payload: JsonObject = event(channel)): JsonObject => ({
        id: channel,
        destination: { channels: [channel] },
        payload,
      });
      const odd = event("", { attributes: { odd: {} } });
      const publications = [
        ...Array.from({ length: 100 }, (_, i) => to(room, event(`${i}`))),
        to(`${room}.*`),
        to("a..b"),
        to(room, odd),
        to(room, event("x".repeat(100_000))),
        { id: "empty", destination: {} },
        { id: "none" },
        { id: "no payload", destination: { channels: [room] } },
      ];
      const { results } = await api.call("publish", { publications, request_id: "r" });
      const all = results as { id: string; error?: JsonObject; destinations?: JsonObject[] }[];
      expect(all.slice(0, 100).map(({ destinations }) => destinations?.[0])).toEqual(
        Array.from({ length: 100 }, (_, i) => ({ channel: room, ...POSITION(i + 1) })),
      );
      const codes = all.slice(100).map(({ id, error, destinations }) => {
        const of = (error ?? destinations?.[0]?.["error"]) as { code: string } | undefined;
        return [id, of?.code];
      });
      expect(codes).toEqual([
        [`${room}.*`, "BAD_REQUEST"],
        ["a..b", "BAD_REQUEST"],
        [room, "BAD_REQUEST"],
        [room, "TOO_LARGE"],
        ["empty", "BAD_REQUEST"],
        ["none", "BAD_REQUEST"],
        ["no payload", undefined],
      ]);
      await client.received(101);
      expect(client.messages.slice(0, 100).map(({ payload }) => textOf(payload))).toEqual(
        Array.from({ length: 100 }, (_, i) => `${i}`),
      );
      expect(client.messages[100]?.payload).toBeDefined();
    },
  },
  {
    name: "Publish: only so many publications and destinations",
    async run(api) {
      const channels = Array.from({ length: 1_001 }, (_, i) => `c${i}`);
      expect(await api.publish({ channels })).toEqual([{ id: "p", ...ERROR("BAD_REQUEST") }]);
      const many = Array.from({ length: 1_001 }, () => ({}));
      expect(await api.outcome("publish", { publications: many })).toMatchObject({
        code: "invalid_argument",
      });
      const wide = { destination: { sessions: channels.slice(0, 1_000) } };
      const request = { publications: Array.from({ length: 11 }, () => wide) };
      expect(await api.outcome("publish", request)).toMatchObject({ code: "invalid_argument" });
      expect(await api.call("publish", {})).toEqual({});
    },
  },
  {
    name: "Publish: metadata goes to extended clients",
    async run(api) {
      const room = api.host.name("room");
      const subscriptions = [{ channel: room }];
      const { client } = await api.host.elsewhere({ subscriptions, capabilities: ["x"] });
      const publications = [{ destination: { channels: [room] }, payload: event("hello") }];
      await api.call("publish", { publications, metadata: { trace: "t1" } });
      await client.received(1);
      expect(client.messages[0]?.metadata).toEqual({ trace: "t1" });
    },
  },
  {
    name: "Disconnect: sessions wherever they are, with a code that is the application's to give",
    async run(api) {
      const [near, far] = [await api.host.client(), await api.host.elsewhere()];
      const third = await api.host.client();
      for (const code of [1, 999, 1001, 1009, 1011, 2999, 5000]) {
        expect(await api.outcome("disconnect", { sessions: [near.id], code })).toMatchObject({
          code: "invalid_argument",
        });
      }
      expect(
        await api.call("disconnect", {
          sessions: [near.id, far.id, "no"],
          code: 1000,
          reason: "so",
        }),
      ).toEqual({ results: { [near.id]: true, [far.id]: true, no: false } });
      for (const { client } of [near, far]) {
        expect(await client.closed()).toEqual({ code: 1000, reason: "so" });
      }
      expect(await api.call("disconnect", { sessions: [third.id] })).toEqual({
        results: { [third.id]: true },
      });
      expect(await third.client.closed()).toEqual({ code: 3503, reason: "force disconnect" });
      expect(await api.call("disconnect", {})).toEqual({});
    },
  },
  {
    name: "Subscribe and Unsubscribe: a session wherever it is",
    async run(api) {
      const room = api.host.name("room");
      const { client, id } = await api.host.elsewhere();
      const channels = [room, "a..b"];
      const refused = { errors: { "a..b": expect.objectContaining({ code: "BAD_REQUEST" }) } };
      expect(await api.call("subscribe", { session_id: id, channels })).toEqual({
        results: { [room]: true, "a..b": false },
        ...refused,
      });
      await api.publish({ channels: [room] });
      await client.received(1);
      expect(await api.call("unsubscribe", { session_id: id, channels: [room, "never"] })).toEqual({
        results: { [room]: true, never: true },
      });
      await api.publish({ channels: [room] });
      expect(kindOf(await client.ping())).toBe("pong");
      expect(client.messages).toHaveLength(1);
      for (const session of ["", "unknown"]) {
        const request = { session_id: session, channels: [room] };
        expect(await api.call("subscribe", request)).toEqual({ results: { [room]: false } });
        expect(await api.call("unsubscribe", request)).toEqual({ results: { [room]: false } });
      }
    },
  },
  {
    name: "Subscribe: a session gets no more channels than its client may have, and each too many has its error",
    async run(api) {
      const room = api.host.name("many");
      const { client, id } = await api.host.elsewhere({ subscriptions: [{ channel: room }] });
      const most = LIMITS.subscriptions_per_client;
      const channels = Array.from({ length: most + 1 }, (_, i) => `${room}.${i}`);
      const { results, errors } = await api.call("subscribe", { session_id: id, channels });
      expect(Object.entries(results as JsonObject).filter(([, has]) => !has)).toHaveLength(2);
      expect(errors).toEqual(
        Object.fromEntries(
          channels
            .slice(-2)
            .map((channel) => [channel, expect.objectContaining({ code: "BAD_REQUEST" })]),
        ),
      );
      expect(kindOf(await client.ping())).toBe("pong");
    },
  },
  {
    name: "History: pages in both directions, what is gone is named, and it can be removed",
    async run(api) {
      const room = api.host.name("room");
      const publications = Array.from({ length: 5 }, (_, i) => ({
        destination: { channels: [room] },
        payload: event(`${i + 1}`),
      }));
      await api.call("publish", { publications });
      const texts = ({ messages = [] }: JsonObject): unknown[] =>
        (messages as { payload: JsonObject }[]).map(({ payload }) => payload["text_data"]);
      const first = await api.call("history", { channel: room, limit: 2 });
      expect([texts(first), first["more"]]).toEqual([["1", "2"], true]);
      const { epoch } = first["position"] as { epoch: string };
      expect(first["position"]).toEqual({ epoch, offset: "5" });
      const second = await api.call("history", { channel: room, since: { epoch, offset: "2" } });
      expect([texts(second), second["more"]]).toEqual([["3", "4", "5"], undefined]);
      const back = await api.call("history", { channel: room, limit: 2, reverse: true });
      expect([texts(back), back["more"]]).toEqual([["5", "4"], true]);
      const head = await api.call("history", { channel: room, limit: 0 });
      expect([texts(head), head["position"]]).toEqual([[], { epoch, offset: "5" }]);
      expect(await api.call("removeHistory", { channel: room })).toEqual({});
      const gone = await api.call("history", { channel: room, since: { epoch, offset: "2" } });
      expect(gone).toMatchObject({ gap: { reason: "head_trimmed" }, position: { offset: "5" } });
      const other = { channel: room, since: { epoch: "another", offset: "2" } };
      expect(await api.call("history", other)).toMatchObject({ gap: { reason: "epoch_changed" } });
      expect(texts(await api.call("history", { channel: api.host.name("new") }))).toEqual([]);
      expect(await api.outcome("history", { channel: "a.*" })).toMatchObject({
        code: "invalid_argument",
      });
    },
  },
  {
    name: "Presence: who is there, on all nodes",
    async run(api) {
      const room = api.host.name("room");
      const subscriptions = [{ channel: room }];
      await api.host.client({ subscriptions, clientId: "phone", token: "ann" });
      await api.host.elsewhere({ subscriptions, clientId: "laptop", token: "bob" });
      const members = await eventually(
        async () => await api.call("presence", { channel: room }),
        ({ total }) => total === 2,
      );
      expect(members).toMatchObject({
        members: [
          { user_id: "ann", client_id: "phone" },
          { user_id: "bob", client_id: "laptop" },
        ],
        generation: { number: expect.stringMatching(/^\d+$/) },
      });
      const one = await api.call("presence", { channel: room, limit: 1 });
      expect([one["total"], one["members"]]).toEqual([2, [expect.anything()]]);
      const hidden = await api.outcome("presence", { channel: api.host.name("hidden.room") });
      expect(hidden.code).toBe("invalid_argument");
    },
  },
  {
    name: "Channels: by name, in pages, and only those that the key may read",
    async run(api) {
      const words = ["b", "a", "\u{1f600}", "\uffff", "c"];
      const rooms = words.map((word) => api.host.name(`list.${word}`));
      for (const room of rooms) await api.publish({ channels: [room] });
      const order = rooms.toSorted((left, right) =>
        Buffer.compare(Buffer.from(left), Buffer.from(right)),
      );
      const mine = new Set(rooms);
      const pages = async (limit: number): Promise<string[]> => {
        const found: string[] = [];
        for (let cursor = ""; ; ) {
          const page = await api.call("channels", { pattern: "list.**", limit, cursor });
          expect(Number(page["as_of"])).toBeGreaterThan(1_700_000_000_000);
          for (const { channel } of (page["channels"] ?? []) as { channel: string }[]) {
            if (mine.has(channel)) found.push(channel);
          }
          cursor = `${page["cursor"] ?? ""}`;
          if (cursor === "") return found;
        }
      };
      expect(
        await eventually(
          () => pages(100),
          (found) => found.length === 5,
          15_000,
        ),
      ).toEqual(order);
      expect(await pages(1)).toEqual(order);
      const { channels } = await api.call("channels", { pattern: "list.**" }, KEYS.chat.key);
      expect(channels).toBeUndefined();
      for (const bad of [{ cursor: "x" }, { cursor: "!" }, { pattern: "**.a" }, { limit: 0 }]) {
        expect((await api.outcome("channels", bad)).code).toBe("invalid_argument");
      }
    },
  },
  {
    name: "Channels: a key is told nothing of channels that it may not read, by no cursor either",
    async run(api) {
      const mine = ["a", "b", "c"].map((word) => api.host.name(`chat.${word}`));
      const hidden = ["bay", "chat-", "chat.a.b", "city"].map((word) => api.host.name(word));
      for (const room of [...mine, ...hidden]) await api.publish({ channels: [room] });
      const all = await eventually(
        () => api.call("channels", { limit: 1_000 }),
        ({ channels }) => {
          const names = (channels as { channel: string }[]).map(({ channel }) => channel);
          return [...mine, ...hidden].every((room) => names.includes(room));
        },
      );
      expect(all["cursor"]).toBeUndefined();
      const found: string[] = [];
      for (let cursor = ""; ; ) {
        const page = await api.call("channels", { limit: 1, cursor }, KEYS.chat.key);
        found.push(...(page["channels"] as { channel: string }[]).map(({ channel }) => channel));
        cursor = `${page["cursor"] ?? ""}`;
        if (cursor === "") break;
        const text = Buffer.from(cursor, "base64url").toString();
        expect(text.slice(text.indexOf(":") + 1)).toBe(found.at(-1));
      }
      expect(found).toEqual(found.filter((name) => /^chat\.[^.]+$/.test(name)));
      expect(found.filter((name) => mine.includes(name))).toEqual(mine);
    },
  },
  {
    name: "Survey: the subscribers of all nodes are asked",
    async run(api) {
      const room = api.host.name("room");
      const subscriptions = [{ channel: room }];
      const near = await api.host.client({ subscriptions });
      const far = await api.host.elsewhere({ subscriptions });
      const request = {
        request_id: "r1",
        channel: room,
        payload: event("how many?"),
        timeout_ms: 3_500,
      };
      const asked = api.call("survey", request);
      const question = await far.client.until(() =>
        far.client.replies.find(({ envelope }) => envelope.case === "surveyRequest"),
      );
      const { requestId } = valueAs(question, "surveyRequest");
      far.client.send({
        envelope: {
          case: "surveyResponse",
          value: {
            requestId,
            payload: { id: "a", source: "/c", type: "t", data: { case: "textData", value: "two" } },
          },
        },
      });
      expect(await asked).toEqual({
        request_id: "r1",
        results: [
          // Who that is depends on the host's authentication.
          expect.objectContaining({
            session_id: far.id,
            client_id: "test",
            payload: expect.objectContaining({ text_data: "two" }),
          }),
        ],
        silent: [near.id],
      });
      const none = { channel: api.host.name("empty"), payload: event("anyone?") };
      expect(await api.call("survey", none)).toEqual({});
      for (const channel of ["", `${room}.*`, "**", "a..b"]) {
        const refused = await api.outcome("survey", { ...none, channel });
        expect([channel, refused.code]).toEqual([channel, "invalid_argument"]);
      }
      expect((await api.outcome("survey", { ...none, timeout_ms: -1 })).code).toBe(
        "invalid_argument",
      );
    },
  },
  {
    name: "Revoke: sessions on all nodes end, of users and of single tokens, and what is wrong fails by itself",
    async run(api) {
      const [ann, bob] = [api.host.name("ann"), api.host.name("bob")];
      const near = await api.host.client({ token: ann });
      const far = await api.host.elsewhere({ token: ann });
      const other = await api.host.client({ token: bob });
      const long = "x".repeat(256);
      const { durable, ...errors } = await api.call("revoke", {
        users: [ann, "", long],
        tokens: [
          { user: bob, id: "never issued" },
          { user: bob, id: long },
          { user: "", id: "of nobody" },
        ],
      });
      expect([true, undefined]).toContain(durable);
      expect(errors).toEqual({
        user_errors: { "": ERROR("BAD_REQUEST").error, [long]: ERROR("BAD_REQUEST").error },
        token_errors: {
          [long]: ERROR("BAD_REQUEST").error,
          "of nobody": ERROR("BAD_REQUEST").error,
        },
      });
      for (const { client } of [near, far]) expect((await client.closed()).code).toBe(3500);
      expect(other.client.close).toBeUndefined();
      // Its authenticator vouches for the token anew.
      await api.host.client({ token: ann });
      const day = `${Date.now() + 86_400_000}`;
      expect(await api.call("revoke", { users: [ann], until: day })).toEqual(
        durable === true ? { durable } : {},
      );
      for (const request of [
        {},
        {
          tokens: [
            { user: ann, id: "one" },
            { user: bob, id: "one" },
          ],
        },
        { users: Array.from({ length: 1_001 }, (_, i) => `u${i}`) },
      ]) {
        expect((await api.outcome("revoke", request)).code).toBe("invalid_argument");
      }
      for (const until of ["1", "18446744073709551615", `${Date.now() + 91 * 86_400_000}`]) {
        expect(await api.call("revoke", { users: [ann], until })).toEqual({
          user_errors: { [ann]: ERROR("BAD_REQUEST").error },
        });
      }
    },
  },
  {
    name: "Status: what the key is good for, for any key, and what the node does, for one that may read all",
    async run(api) {
      const all = await api.call("status", {});
      const version = expect.stringMatching(/^\d+\.\d+\.\d+/);
      expect(all).toMatchObject({
        key: { id: "all", rights: ["publish", "read", "manage"], patterns: ["**"] },
        host: expect.stringMatching(/^(server|worker)$/),
        version,
        as_of: expect.stringMatching(/^\d{13}$/),
      });
      const chat = await api.call("status", {}, KEYS.chat.key);
      expect(chat).toMatchObject({ key: { id: "chat", patterns: ["chat.*"] }, version });
      expect(chat["nodes"]).toBeUndefined();
      expect((await api.call("status", {}, KEYS.publish.key))["nodes"]).toBeUndefined();
      const { nodes } = await api.call("status", {}, KEYS.read.key);
      // Gateways sleep, and are not woken to be counted.
      if (all["host"] === "worker") {
        expect(nodes).toBeUndefined();
        return;
      }
      const { id } = await api.host.client();
      await api.publish({ channels: [api.host.name("room")] });
      const [before] = nodes as JsonObject[];
      const [after] = (await api.call("status", {}))["nodes"] as JsonObject[];
      expect(`${id}`.startsWith(`${after?.["name"]}.`)).toBe(true);
      expect(after?.["name"]).toBe(before?.["name"]);
      expect(Number(after?.["sessions"])).toBeGreaterThan(0);
      expect(Number(after?.["publications"])).toBeGreaterThan(
        Number(before?.["publications"] ?? 0),
      );
      expect(Number(after?.["memory_bytes"])).toBeGreaterThan(1_000_000);
    },
  },
  {
    name: "Nodes: those of the process with their load, or that gateways do not report",
    async run(api) {
      const { host } = await api.call("status", {});
      const { id } = await api.host.client();
      const { nodes, unreported } = await api.call("nodes", {}, KEYS.read.key);
      if (host === "worker") {
        expect([nodes, unreported]).toEqual([undefined, true]);
        return;
      }
      const all = nodes as JsonObject[];
      const its = all.find(({ name }) => `${id}`.startsWith(`${name}.`));
      expect(Number(its?.["sessions"])).toBeGreaterThan(0);
      const busy = Number(its?.["busy"] ?? 0);
      expect(busy).toBeGreaterThanOrEqual(0);
      expect(busy).toBeLessThanOrEqual(1);
      // It has one thread.
      expect([all.length, its?.["thread"], unreported]).toEqual([1, undefined, undefined]);
    },
  },
  {
    name: "Settings: what is in force and where it comes from, and nothing of a secret",
    async run(api) {
      const { settings } = await api.call("settings", {});
      const all = new Map((settings as JsonObject[]).map((one) => [one["path"], one]));
      const written = { source: expect.stringMatching(/^(file|environment|program)$/) };
      expect(all.get("limits.subscriptions_per_client")).toMatchObject({ value: "40", ...written });
      expect(all.get("channels.0.pattern")).toMatchObject({ value: "fleeting.**", ...written });
      expect(all.get("channels.1.presence")).toMatchObject({ value: "false", ...written });
      expect(all.get("access.default")).toEqual({
        path: "access.default",
        value: "allow",
        source: "default",
      });
      expect(all.get("api.keys")).toMatchObject({ secret: true, ...written });
      expect(all.get("api.keys")?.["value"]).toBeUndefined();
      const text = JSON.stringify(settings);
      for (const { digest } of KEY_ENTRIES) expect(text).not.toContain(digest);
    },
  },
  {
    name: "Explain: which rule decides, for a user, and for what a token grants",
    async run(api) {
      const question = { user: "ann", action: "publish", channel: "room" };
      expect(await api.call("explain", question, KEYS.read.key)).toEqual({
        allowed: true,
        reasons: ["no rule denies it, and access.default is allow"],
      });
      const grants = { grants: [{ pattern: "chat.*", actions: ["publish"] }] };
      expect(await api.call("explain", { ...question, grants })).toEqual({
        reasons: ["the token grants nothing that allows it"],
      });
      expect(await api.call("explain", { ...question, channel: "chat.a", grants })).toEqual({
        allowed: true,
        reasons: ["the token allows chat.*"],
      });
      const many = Array.from({ length: 101 }, () => ({ pattern: "a", actions: [] }));
      for (const wrong of [
        { action: "read" },
        { channel: "" },
        { channel: "chat.*" },
        { grants: { grants: [{ pattern: "a..b", actions: [] }] } },
        { grants: { grants: [{ pattern: "a", actions: ["all"] }] } },
        { grants: { grants: many } },
      ]) {
        const { code } = await api.outcome("explain", { ...question, ...wrong });
        expect([wrong, code]).toEqual([wrong, "invalid_argument"]);
      }
    },
  },
  {
    name: "Sessions: those of a user on all nodes, as long as they are there",
    async run(api) {
      const user = api.host.name("user");
      const first = await api.host.client({ token: user });
      const second = await api.host.elsewhere({ token: user });
      const there = async (): Promise<string[]> => {
        const { sessions = [] } = await api.call("sessions", { user }, KEYS.read.key);
        for (const { since } of sessions as JsonObject[]) {
          expect(Math.abs(Date.now() - Number(since))).toBeLessThan(60_000);
        }
        return (sessions as JsonObject[]).map(({ session_id }) => `${session_id}`).toSorted();
      };
      const both = [first.id, second.id].toSorted();
      expect(await eventually(there, (ids) => ids.length === 2)).toEqual(both);
      await api.call("disconnect", { sessions: [second.id] });
      expect(await eventually(there, (ids) => ids.length === 1)).toEqual([first.id]);
      expect(await api.call("sessions", { user: api.host.name("nobody") })).toEqual({});
      expect((await api.outcome("sessions", {})).code).toBe("invalid_argument");
    },
  },
  {
    name: "Channels: where a channel need not be woken for it, how far its log is",
    async run(api) {
      const room = api.host.name("headed");
      const [first] = await api.publish({ channels: [room] });
      await api.publish({ channels: [room] });
      const { host } = await api.call("status", {});
      const { channels } = await eventually(
        () => api.call("channels", { pattern: room }),
        ({ channels: found }) => Array.isArray(found),
        15_000,
      );
      const [{ position } = {}] = channels as JsonObject[];
      const { epoch } = (first?.["position"] ?? {}) as JsonObject;
      expect(position).toEqual(host === "worker" ? undefined : { epoch, offset: "2" });
    },
  },
  {
    name: "Trace: the frames of a user and of a channel, wherever the session is, and events with their right alone",
    async run(api) {
      const [room, user] = [api.host.name("traced"), api.host.name("tracy")];
      const { client, id } = await api.host.elsewhere({
        token: user,
        subscriptions: [{ channel: room }],
      });
      const traces = [
        [{ user }, KEYS.trace.key],
        [{ channel: room, payloads: true }, KEYS.payloads.key],
      ] as const;
      const read = async (ids: readonly string[]) =>
        await Promise.all(
          traces.map(([about, key], i) =>
            api.call("trace", { ...about, trace_id: ids[i] ?? "", duration_ms: 60_000 }, key),
          ),
        );
      // The first reading begins a trace, and answers after half a second.
      const ids = (await read([])).map(({ trace_id }) => `${trace_id}`);
      await client.publish(room, "secret");
      await client.received(1);
      for (const [i, answer] of (await read(ids)).entries()) {
        const frames = answer["frames"] as JsonObject[];
        const [publish] = frames.filter(({ kind }) => kind === "publish");
        expect(publish).toMatchObject({
          session_id: id,
          user_id: user,
          inbound: true,
          id: expect.stringMatching(/./),
          channel: room,
          outcome: "taken",
        });
        expect(`${publish?.["payload"] ?? ""}`.includes("secret")).toBe(i === 1);
        const kinds = frames.map(({ kind, outcome }) => `${kind} ${outcome}`);
        expect(kinds).toContain("publication sent");
        // An acknowledgement names no channel.
        expect(kinds.includes("publish_ack sent")).toBe(i === 0);
      }
    },
  },
  {
    name: "Keys: without one, with a wrong or an expired one nothing is done",
    async run(api) {
      for (const key of [undefined, "wrong", KEYS.all.key.slice(0, -1), KEYS.expired.key]) {
        const request = { publications: [{ destination: { channels: [api.host.name("room")] } }] };
        const { code, message } = await api.host.driver.call("publish", request, key);
        expect(code).toBe("unauthenticated");
        expect(message).toContain("key");
        expect(message).not.toContain(KEYS.all.key.slice(0, 20));
      }
    },
  },
  {
    name: "Keys: each call needs its right, in the channels of the key",
    async run(api) {
      const session = { session_id: "s", channels: [] };
      const calls: readonly (readonly [Method, JsonObject, keyof typeof KEYS])[] = [
        ["disconnect", {}, "publish"],
        ["disconnect", {}, "chat"],
        ["revoke", { users: ["ann"] }, "publish"],
        ["revoke", { users: ["ann"] }, "chat"],
        ["removeHistory", { channel: "room" }, "read"],
        ["removeHistory", { channel: "room" }, "chat"],
        ["survey", { channel: "room" }, "read"],
        ["survey", { channel: "room" }, "publish"],
        ["history", { channel: "room" }, "publish"],
        ["history", { channel: "room" }, "chat"],
        ["presence", { channel: "room" }, "publish"],
        ["presence", { channel: "room" }, "chat"],
        ["channels", {}, "publish"],
        ["createTicket", { channels: ["room"] }, "chat"],
        ["createTicket", { channels: ["chat.**"] }, "chat"],
        ["sessions", { user: "ann" }, "publish"],
        ["sessions", { user: "ann" }, "chat"],
        ["nodes", {}, "publish"],
        ["nodes", {}, "chat"],
        ["settings", {}, "read"],
        ["settings", {}, "chat"],
        ["explain", { action: "publish", channel: "room" }, "publish"],
        ["explain", { action: "publish", channel: "room" }, "chat"],
        ["trace", { channel: "room" }, "all"],
        ["trace", { user: "ann" }, "chat"],
        ["trace", { channel: "room", payloads: true }, "trace"],
      ];
      for (const [method, request, key] of calls) {
        const { code } = await api.outcome(method, request, KEYS[key].key);
        expect([method, key, code]).toEqual([method, key, "permission_denied"]);
      }
      const channels = ["chat.one", "chat.one.two", "room"];
      const denied = (channel: string) => ({ channel, ...ERROR("ACL_ERROR") });
      expect(await api.publish({ channels }, {}, KEYS.chat.key)).toMatchObject([
        { channel: "chat.one" },
        denied("chat.one.two"),
        denied("room"),
      ]);
      expect(await api.publish({ sessions: ["s"], users: ["u"] }, {}, KEYS.chat.key)).toEqual([
        { session: "s", ...ERROR("ACL_ERROR") },
        { user: "u", ...ERROR("ACL_ERROR") },
      ]);
      expect(await api.publish({ channels: ["room"] }, {}, KEYS.read.key)).toEqual([
        denied("room"),
      ]);
      const changed = await api.call("subscribe", { ...session, channels }, KEYS.chat.key);
      expect(Object.keys(changed["errors"] as JsonObject)).toEqual(["chat.one.two", "room"]);
    },
  },
  {
    name: "Subscribe and Unsubscribe: channels with the names that every object has",
    async run(api) {
      const names = ["constructor", "toString"];
      const each = (value: boolean) => Object.fromEntries(names.map((name) => [name, value]));
      const { id } = await api.host.elsewhere();
      const request = { session_id: id, channels: names };
      for (const method of ["subscribe", "unsubscribe"] as const) {
        const refused = await api.call(method, request, KEYS.chat.key);
        expect(refused["results"]).toEqual(each(false));
        expect(Object.keys(refused["errors"] as JsonObject)).toEqual(names);
      }
      expect(await api.call("subscribe", request)).toEqual({ results: each(true) });
      expect(await api.call("unsubscribe", request)).toEqual({ results: each(true) });
      const nobody = { ...request, session_id: `${id}x` };
      expect(await api.call("subscribe", nobody)).toEqual({ results: each(false) });
    },
  },
];

export function made(
  id: string,
  rights: readonly Right[],
  patterns: readonly string[],
  expires?: string,
) {
  // Not random, so that processes that are given the same settings agree.
  const key = writeKey(id, createHash("sha256").update(`key of the tests: ${id}`).digest());
  const digest = hex(createHash("sha256").update(key).digest());
  const entry = { id, digest, rights, patterns, ...(expires === undefined ? {} : { expires }) };
  return { key, entry };
}
