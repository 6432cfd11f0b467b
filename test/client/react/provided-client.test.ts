/** What components share, as React mounts and unmounts them. The hooks themselves are tested in browsers: test/e2e. */
import { expect, test } from "vitest";
import { ChannelReader } from "../../../src/client/react/channel-reader.ts";
import { ProvidedClient } from "../../../src/client/react/provided-client.ts";
import { FakeServer, ManualClock } from "../../../src/client/testing/index.ts";
import {
  type ClientOptions,
  createClient,
  type Gap,
  MessagingError,
  type SubscribeOptions,
} from "../../../src/index.ts";

const nothing = (): void => {};
/** What is left is ended a task later. */
const aTask = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
const event = (id: string) => ({ id, source: "/test", type: "t", text_data: id });

function world(more: Partial<ClientOptions> = {}) {
  const clock = new ManualClock();
  /** Channels that were asked for. */
  const asked: string[] = [];
  const server = new FakeServer({
    clock,
    authorize: (_user, channel) => {
      asked.push(channel);
      if (channel === "private") throw new MessagingError("ACL_ERROR", "not yours");
    },
  });
  const errors: MessagingError[] = [];
  const options: ClientOptions = {
    clock,
    transport: server.transport,
    clientId: "me",
    onError: (error) => errors.push(error),
    ...more,
  };
  const provided = new ProvidedClient({ client: undefined, url: "ws://fake", options });
  const reader = (
    channel: string | undefined,
    keep = 100,
    terms: Omit<SubscribeOptions, "onMessage" | "signal"> = {},
  ) => new ChannelReader(provided, { channel, keep, terms });
  const texts = (one: ChannelReader) => one.status().messages.map(({ data }) => data);
  return { clock, server, provided, reader, texts, errors, options, asked };
}

test("a component that is taken down and put up in one go keeps connection and subscription", async () => {
  const { clock, server, provided, reader, texts } = world();
  const one = reader("room");
  const leave = one.subscribe(nothing);
  await clock.advance(0);
  server.publish("room", event("1"));
  await clock.advance(0);
  const client = provided.client();
  leave();
  const again = one.subscribe(nothing);
  server.publish("room", event("2"));
  await clock.advance(0);
  await aTask();
  server.publish("room", event("3"));
  await clock.advance(0);
  expect(texts(one)).toEqual(["1", "2", "3"]);
  expect(provided.client()).toBe(client);
  expect(server.sessions).toHaveLength(1);
  again();
  await aTask();
  await clock.advance(0);
  expect(provided.client()).toBeUndefined();
  expect(client?.state).toBe("closed");
  expect(server.sessions).toHaveLength(0);
});

test("components of one channel share its subscription, and the last one ends it", async () => {
  const { clock, server, reader, texts } = world();
  const heard: unknown[] = [];
  const all = reader("room");
  const few = reader("room", 2);
  const handler = reader("room", 0);
  handler.handlers = { onMessage: ({ data }) => heard.push(data), onGap: undefined };
  const leaves = [all, few, handler].map((one) => one.subscribe(nothing));
  const stays = reader("other").subscribe(nothing);
  await clock.advance(0);
  const status = handler.status();
  for (const id of ["1", "2", "3"]) server.publish("room", event(id));
  await clock.advance(0);
  expect(texts(all)).toEqual(["1", "2", "3"]);
  expect(texts(few)).toEqual(["2", "3"]);
  expect(heard).toEqual(["1", "2", "3"]);
  // What shows no messages is not rendered for them.
  expect(handler.status()).toBe(status);
  expect(all.status()).toBe(all.status());
  // Who comes later sees what has come.
  const later = reader("room");
  leaves.push(later.subscribe(nothing));
  expect(texts(later)).toEqual(["1", "2", "3"]);
  for (const leave of leaves) leave();
  await aTask();
  await clock.advance(0);
  expect(server.sessions[0]?.channels).toEqual(["other"]);
  stays();
});

test("more messages are kept where a component shows more", async () => {
  const { clock, server, reader, texts } = world();
  const one = reader("room", 150);
  one.subscribe(nothing);
  const usual = reader("room");
  usual.subscribe(nothing);
  await clock.advance(0);
  for (let i = 1; i <= 160; i++) server.publish("room", event(`${i}`));
  await clock.advance(0);
  expect(texts(one)).toHaveLength(150);
  expect(texts(one)[0]).toBe("11");
  expect(texts(usual)[0]).toBe("61");
});

test("a handler that throws is reported, and harms no other", async () => {
  const { clock, server, reader, errors } = world();
  const heard: unknown[] = [];
  const bad = reader("room", 0);
  const good = reader("room", 0);
  bad.handlers = {
    onMessage: () => {
      throw new Error("oops");
    },
    onGap: undefined,
  };
  good.handlers = { onMessage: ({ data }) => heard.push(data), onGap: undefined };
  for (const one of [bad, good]) one.subscribe(nothing);
  await clock.advance(0);
  server.publish("room", event("1"));
  await clock.advance(0);
  expect(heard).toEqual(["1"]);
  expect(errors.map(({ cause }) => (cause as Error).message)).toEqual(["oops"]);
});

test("a loss brings what was missed, and a hole is a gap", async () => {
  const { clock, server, provided, reader, texts } = world();
  const gaps: Gap[] = [];
  const one = reader("room");
  one.handlers = { onMessage: undefined, onGap: (gap) => gaps.push(gap) };
  one.subscribe(nothing);
  await clock.advance(0);
  server.publish("room", event("1"));
  await clock.advance(0);
  server.cut();
  await clock.advance(0);
  expect(provided.status()).toMatchObject({ state: "connecting", error: { code: "UNAVAILABLE" } });
  expect(provided.status().retryInMs).toBeGreaterThanOrEqual(0);
  expect(one.status().state).toBe("subscribing");
  for (const id of ["2", "3"]) server.publish("room", event(id));
  server.trim("room", 1);
  await clock.advance(30_000);
  expect(provided.status()).toEqual({ state: "connected", error: undefined, retryInMs: undefined });
  expect(one.status()).toMatchObject({ state: "subscribed", gap: { reason: "head_trimmed" } });
  expect(gaps).toEqual([one.status().gap]);
  expect(texts(one)).toEqual(["1", "3"]);
});

test("the same channel in two ways is refused for the second, until the first has gone", async () => {
  const { clock, server, reader, texts } = world();
  for (const id of ["1", "2", "3"]) server.publish("room", event(id));
  const first = reader("room", 100, { rewind: 1 });
  const second = reader("room", 100, { rewind: 2 });
  let told = 0;
  const leave = first.subscribe(nothing);
  second.subscribe(() => {
    told += 1;
  });
  await clock.advance(0);
  expect(texts(first)).toEqual(["3"]);
  expect(second.status()).toMatchObject({ state: "refused", error: { code: "BAD_REQUEST" } });
  expect(told).toBe(1);
  leave();
  // As a component that is rendered with other options: the one before it has not been tidied away yet.
  const third = reader("room", 100, { rewind: 2 });
  third.subscribe(nothing);
  await clock.advance(0);
  expect(texts(third)).toEqual(["2", "3"]);
});

test("a refusal is shown, and another token asks again", async () => {
  const { clock, provided, reader, asked } = world();
  const one = reader("private", 100, { token: "old" });
  one.subscribe(nothing);
  await clock.advance(0);
  expect(one.status()).toMatchObject({ state: "refused", error: { code: "ACL_ERROR" } });
  // Terms that differ in the token alone are the same.
  const other = reader("private", 100, { token: "new" });
  other.subscribe(nothing);
  expect(other.status().error?.code).toBe("ACL_ERROR");
  await clock.advance(0);
  expect(asked).toEqual(["private", "private"]);
  expect(provided.feed("private")?.state).toBe("refused");
});

test("no channel subscribes to nothing", async () => {
  const { clock, server, provided, reader } = world();
  const one = reader(undefined);
  one.subscribe(nothing);
  await clock.advance(0);
  expect(one.status()).toMatchObject({ state: "ended", messages: [] });
  expect(server.sessions[0]?.channels).toEqual([]);
  await expect(provided.publish(undefined, "x")).rejects.toMatchObject({ code: "BAD_REQUEST" });
});

test("what is published before anything is mounted rejects", async () => {
  const { provided } = world();
  await expect(provided.publish("room", "x")).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("a client is made by what the application says", async () => {
  const { clock, server, options } = world();
  const made: unknown[] = [];
  const create = (url: string, given: ClientOptions) => {
    made.push([url, given.clientId]);
    return createClient(url, given);
  };
  const by = { client: undefined, url: "ws://fake", options, create };
  const leave = new ProvidedClient(by).mount();
  await clock.advance(0);
  expect(made).toEqual([["ws://fake", "me"]]);
  expect(server.sessions).toHaveLength(1);
  leave();
});

test("the status says why a client was closed at once", async () => {
  const options = { onError: nothing };
  const provided = new ProvidedClient({ client: undefined, url: "no address", options });
  const leave = provided.subscribe(nothing);
  await aTask();
  expect(provided.status()).toMatchObject({ state: "closed", error: { code: "BAD_REQUEST" } });
  leave();
});

test("a client of the application's own is not closed, and a closed one ends what is wanted of it", async () => {
  const { clock, server, options } = world();
  const client = createClient("ws://fake", options);
  const provided = new ProvidedClient({ client, url: undefined, options: {} });
  const one = new ChannelReader(provided, { channel: "room", keep: 10, terms: {} });
  const leave = one.subscribe(nothing);
  await clock.advance(0);
  expect(one.status().state).toBe("subscribed");
  leave();
  await aTask();
  await clock.advance(0);
  expect(client.state).toBe("connected");
  expect(server.sessions[0]?.channels).toEqual([]);
  await Promise.all([client.close(), clock.advance(2_000)]);
  one.subscribe(nothing);
  expect(one.status().state).toBe("ended");
  expect(provided.status().state).toBe("closed");
});

test("functions among the options are those of the last rendering", async () => {
  const asked: string[] = [];
  const { clock, provided, server, options } = world({ getToken: () => "first" });
  provided.options = {
    ...options,
    getToken: ({ reason }) => {
      asked.push(reason);
      return "last";
    },
  };
  const leave = provided.mount();
  await clock.advance(0);
  expect(asked).toEqual(["connect"]);
  expect(server.sessions).toHaveLength(1);
  leave();
});
