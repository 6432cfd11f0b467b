/** What applications test themselves with: it has to do what the real server does. */
import { expect, test } from "vitest";
import { Client } from "../../src/client/core/client.ts";
import type { ClientOptions } from "../../src/client/core/options.ts";
import { memoryQueue } from "../../src/client/queue/queue.ts";
import { FakeServer, type FakeServerOptions, ManualClock } from "../../src/client/testing/index.ts";
import { MessagingError } from "../../src/protocol/errors.ts";

function world(options: Omit<FakeServerOptions, "clock"> = {}) {
  const clock = new ManualClock();
  const server = new FakeServer({ clock, ...options });
  const errors: MessagingError[] = [];
  const make = (more: ClientOptions = {}): Client => {
    const onError = (error: MessagingError): void => {
      errors.push(error);
    };
    const all = { clock, transport: server.transport, onError, ...more };
    return new Client("ws://fake", all, memoryQueue(), true);
  };
  return { clock, server, make, errors };
}

const event = (id: string) => ({ id, source: "/test", type: "t", text_data: id });

test("what is published reaches subscribers of the channel and of its patterns, once and in order", async () => {
  const { clock, server, make, errors } = world();
  const [ada, bob] = [make({ clientId: "ada" }), make()];
  const heard: string[] = [];
  bob.subscribe("room.*", ({ channel, data, publisher }) => {
    heard.push(`${channel} ${data} ${publisher.clientId}`);
  });
  await clock.advance(0);
  expect([ada.state, bob.state]).toEqual(["connected", "connected"]);
  const first = ada.publish("room.a", "one");
  const second = ada.publish("room.b", "two");
  await clock.advance(0);
  server.publish("room.a", event("three"));
  await clock.advance(0);
  expect(await first).toMatchObject({ offset: 1, duplicate: false });
  expect(await second).toMatchObject({ offset: 1 });
  expect(heard).toEqual(["room.a one ada", "room.b two ada", "room.a three "]);
  expect(server.history("room.a").map(({ text_data }) => text_data)).toEqual(["one", "three"]);
  expect(errors).toEqual([]);
});

test("a client that was cut gets what it missed, and a gap where that is gone", async () => {
  const { clock, server, make } = world();
  const client = make();
  const heard: unknown[] = [];
  const gaps: string[] = [];
  const subscription = client.subscribe("room", ({ data }) => heard.push(data));
  subscription.addEventListener("gap", ({ detail }) => gaps.push(detail.reason));
  await clock.advance(0);
  server.publish("room", event("1"));
  await clock.advance(0);
  server.cut();
  for (const id of ["2", "3"]) server.publish("room", event(id));
  await clock.advance(30_000);
  expect(heard).toEqual(["1", "2", "3"]);
  server.cut();
  for (const id of ["4", "5"]) server.publish("room", event(id));
  server.trim("room", 1);
  await clock.advance(30_000);
  expect(heard).toEqual(["1", "2", "3", "5"]);
  expect(gaps).toEqual(["head_trimmed"]);
  server.restart();
  server.publish("room", event("6"));
  await clock.advance(30_000);
  expect(heard.at(-1)).toBe("6");
  expect(gaps).toEqual(["head_trimmed", "epoch_changed"]);
});

/** A client that was cut, and what each of its subscriptions has heard since. */
async function cut(names: readonly string[], missed: readonly string[]) {
  const { clock, server, make } = world();
  const client = make();
  const heard: Record<string, string[]> = {};
  const wire: string[] = [];
  const listen = (name: string): void => {
    client.subscribe(name, ({ channel, data }) => {
      heard[name] = [...(heard[name] ?? []), `${channel} ${data}`];
    });
  };
  for (const name of names) listen(name);
  await clock.advance(1);
  server.cut();
  await clock.advance(1);
  for (const channel of missed) server.publish(channel, event(channel.slice(-1)));
  const opened = server.transport.open;
  Object.assign(server.transport, {
    open: (...[url, subprotocol, events]: Parameters<typeof opened>) =>
      opened(url, subprotocol, {
        ...events,
        frame: (frame) => {
          const { publication } = JSON.parse(String(frame));
          for (const { channel } of publication?.messages ?? []) wire.push(channel);
          events.frame(frame);
        },
      }),
  });
  await clock.advance(30_000);
  return { heard, wire };
}

test("what was missed comes once, by whatever it is subscribed to", async () => {
  const both = await cut(["room.a", "room.*"], ["room.a", "room.b"]);
  expect(both.wire).toEqual(["room.a", "room.b"]);
  expect(both.heard).toEqual({ "room.a": ["room.a a"], "room.*": ["room.a a", "room.b b"] });
  const patterns = await cut(["room.*", "**"], ["room.a"]);
  expect(patterns.wire).toEqual(["room.a"]);
  expect(patterns.heard).toEqual({ "room.*": ["room.a a"], "**": ["room.a a"] });
});

test("publishes wait while connections are refused, and are taken once where an answer was lost", async () => {
  const { clock, server, make } = world();
  const client = make();
  await clock.advance(0);
  server.silence(true);
  const lost = client.publish("room", "lost");
  await clock.advance(0);
  server.silence(false);
  server.refuse();
  server.cut();
  const later = client.publish("room", "later");
  await clock.advance(60_000);
  expect(server.history("room")).toEqual([]);
  server.accept();
  await clock.advance(60_000);
  expect([(await lost).offset, (await later).offset]).toEqual([1, 2]);
});

test("silence is noticed by the client's own pings", async () => {
  const { clock, server, make } = world();
  const client = make();
  await clock.advance(0);
  server.silence(true);
  await clock.advance(40_000);
  expect(client.state).toBe("connecting");
  server.silence(false);
  await clock.advance(60_000);
  expect(client.state).toBe("connected");
});

test("tokens, access, RPC, presence and history are the application's to decide", async () => {
  const { clock, make } = world({
    authenticate: (token) => {
      if (token === "bad") throw new MessagingError("AUTH_ERROR", "no");
      return token;
    },
    authorize: (user, channel) => {
      if (channel === `${user}'s`) return;
      throw new MessagingError("ACL_ERROR", "not yours");
    },
    rpc: (_channel, method, asked) => ({ ...asked, text_data: `${method} ${asked.text_data}` }),
  });
  const refused = make({ token: "bad" });
  const client = make({ token: "ada", clientId: "phone" });
  await clock.advance(0);
  await expect(refused.ready).rejects.toMatchObject({ code: "AUTH_ERROR" });
  expect(client.userId).toBe("ada");
  const own = client.subscribe("ada's");
  const other = client.subscribe("bob's");
  await clock.advance(0);
  await own.ready;
  await expect(other.ready).rejects.toMatchObject({ code: "ACL_ERROR" });
  const published = [0, 1, 2].map((i) => client.publish("ada's", `${i}`));
  const answer = client.rpc("any", "greet", "you");
  const present = client.presence("ada's");
  await clock.advance(0);
  const page = client.history("ada's", { limit: 2, reverse: true });
  await clock.advance(0);
  expect((await Promise.all(published)).map(({ offset }) => offset)).toEqual([1, 2, 3]);
  expect(await answer).toBe("greet you");
  expect((await present).members).toMatchObject([{ userId: "ada", clientId: "phone" }]);
  const { messages, more } = await page;
  expect(messages.map(({ data }) => data)).toEqual(["2", "1"]);
  expect(more).toBe(true);
});

test("a member with several sessions joins with the first and leaves with the last", async () => {
  const { clock, make } = world();
  const told: string[] = [];
  make()
    .subscribe("room")
    .addEventListener("presence", ({ detail }) => told.push(detail.kind));
  const [one, two] = [make({ clientId: "tab" }), make({ clientId: "tab" })];
  await clock.advance(0);
  for (const client of [one, two]) {
    client.subscribe("room");
    await clock.advance(0);
  }
  expect(told).toEqual(["join"]);
  await Promise.all([one.close(), clock.advance(2_000)]);
  expect(told).toEqual(["join"]);
  await Promise.all([two.close(), clock.advance(2_000)]);
  expect(told).toEqual(["join", "leave"]);
});

test("a close code that is final ends the client, and one with a delay brings it back after that", async () => {
  const { clock, server, make } = world();
  const [one, two] = [make(), make()];
  await clock.advance(0);
  const [first, second] = server.sessions;
  first?.disconnect(3503, "force disconnect");
  second?.disconnect(3512, "server going away", 5_000);
  await clock.advance(4_999);
  expect([one.state, two.state]).toEqual(["closed", "connecting"]);
  await clock.advance(60_000);
  expect(two.state).toBe("connected");
});
