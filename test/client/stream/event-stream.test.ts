/** Server-sent events as a transport, against a server that is the test. */
import { expect, test } from "vitest";
import { Client } from "../../../src/client/core/client.ts";
import type { ClientOptions } from "../../../src/client/core/options.ts";
import { protobuf } from "../../../src/client/protobuf/index.ts";
import { eventId } from "../../../src/client/stream/event-id.ts";
import { EventLines } from "../../../src/client/stream/event-lines.ts";
import { type EventStreamOptions, eventStream } from "../../../src/client/stream/index.ts";
import { ManualClock } from "../../../src/client/testing/manual-clock.ts";
import { readEventId } from "../../../src/http/events/event-id.ts";
import { type ScriptedCall, ScriptedFetch, settled } from "./scripted-fetch.ts";

class Scene {
  readonly clock = new ManualClock();
  readonly server = new ScriptedFetch();
  readonly client: Client;
  readonly errors: string[] = [];

  constructor(options: EventStreamOptions = {}, more: ClientOptions = {}) {
    const { clock, server } = this;
    const transport = eventStream({ fetch: server.fetch, clock, ...options });
    const onError = ({ message }: Error) => this.errors.push(message);
    const terms = { clock, transport, onError, ...more };
    this.client = new Client("wss://example.com/ws", terms, undefined, true);
  }

  /** What a client hears of a name: data, gaps and verdicts. */
  listen(name: string, options: object = {}): string[] {
    const heard: string[] = [];
    const subscription = this.client.subscribe(name, options);
    subscription.addEventListener("message", ({ detail }) => heard.push(`${detail.data}`));
    subscription.addEventListener("gap", ({ detail }) => heard.push(`gap ${detail.reason}`));
    subscription.addEventListener("recovered", ({ detail }) =>
      heard.push(`all of ${detail.channel}`),
    );
    subscription.addEventListener("statechange", ({ detail }) => {
      if (detail.error !== undefined) heard.push(`${detail.state} ${detail.error.code}`);
    });
    subscription.ready.catch(() => {});
    return heard;
  }
}

async function write(call: ScriptedCall, ...texts: string[]): Promise<void> {
  for (const text of texts) call.write(new TextEncoder().encode(text));
  await settled();
}

function subscribed(channel: string, offset: number, epoch = "e"): string {
  const subscriptions = [{ channel, position: { epoch, offset: `${offset}` } }];
  const data = JSON.stringify({ session_id: "s", subscriptions });
  return `:\nevent: subscribed\nretry: 2000\ndata: ${data}\nid: ${epoch}-${offset}\n\n`;
}

function message(channel: string, offset: number, epoch = "e"): string {
  const payload = { id: "1", source: "/s", type: "t", text_data: `${offset}` };
  const data = JSON.stringify({ channel, epoch, offset: `${offset}`, payload });
  return `data: ${data}\nid: ${epoch}-${offset}\n\n`;
}

function event(type: string, data: object): string {
  return `event: ${type}\ndata: ${JSON.stringify(data)}\nid: x\n\n`;
}

/** Begins a stream. */
async function begin(call: ScriptedCall, ...texts: string[]): Promise<void> {
  call.stream("text/event-stream");
  await write(call, ...texts);
}

test("each name is a stream of its own, with a ticket, and what comes is heard in order", async () => {
  const tickets: string[] = [];
  const scene = new Scene({
    ticket: (channel) => {
      tickets.push(channel);
      return `ticket for ${channel}`;
    },
  });
  await settled();
  expect(scene.client.state).toBe("connected");
  const heard = scene.listen("chat.a/b");
  const all = scene.listen("news.*");
  await settled();
  expect(scene.server.calls.map(({ url }) => url)).toEqual([
    "https://example.com/channels/chat.a%2Fb/events?ticket=ticket+for+chat.a%2Fb",
    "https://example.com/channels/news.*/events?ticket=ticket+for+news.*",
  ]);
  expect(tickets).toEqual(["chat.a/b", "news.*"]);
  const [one, two] = scene.server.calls as [ScriptedCall, ScriptedCall];
  await begin(one, subscribed("chat.a/b", 7), message("chat.a/b", 8));
  await begin(two, subscribed("news.*", 1_000));
  await write(two, message("news.x", 3), ":\n", message("news.y", 1));
  await write(one, message("chat.a/b", 9));
  expect([heard, all]).toEqual([
    ["8", "9"],
    ["3", "1"],
  ]);
  expect(scene.errors).toEqual([]);
});

test("a key is shown in a header and in no address", async () => {
  const scene = new Scene({ key: "ml_key" });
  scene.listen("a");
  await settled();
  const { url, headers } = scene.server.last("channels/a");
  expect([url, headers.get("Authorization")]).toEqual([
    "https://example.com/channels/a/events",
    "Bearer ml_key",
  ]);
});

test("a client that comes back goes on where it was, and hears when it has all", async () => {
  const scene = new Scene();
  const heard = scene.listen("a");
  await settled();
  await begin(scene.server.last("/a/"), subscribed("a", 1), message("a", 2));
  scene.server.last("/a/").fail();
  await settled();
  expect(scene.client.state).toBe("connecting");
  await scene.clock.advance(1_000);
  await settled();
  expect(scene.server.last("/a/").url).toContain("last_event_id=e-2");
  await begin(scene.server.last("/a/"), subscribed("a", 4), message("a", 3));
  expect(heard).toEqual(["2", "3"]);
  await write(scene.server.last("/a/"), message("a", 4), message("a", 5));
  expect(heard).toEqual(["2", "3", "4", "all of a", "5"]);
  // Nothing was missed the next time, and something is gone the time after.
  scene.server.last("/a/").fail();
  await settled();
  await scene.clock.advance(2_000);
  await settled();
  await begin(scene.server.last("/a/"), subscribed("a", 5));
  expect(heard.at(-1)).toBe("all of a");
  scene.server.last("/a/").fail();
  await settled();
  await scene.clock.advance(4_000);
  await settled();
  const gap = { channel: "a", reason: "expired", until: { epoch: "e", offset: "8" } };
  await begin(scene.server.last("/a/"), subscribed("a", 9), event("gap", gap), message("a", 9));
  expect(heard.slice(-3)).toEqual(["gap expired", "9", "all of a"]);
});

/** Clients of a channel and of a pattern that stands for it, and what both hear. */
async function both() {
  const scene = new Scene();
  const own = scene.listen("a");
  const all = scene.listen("*");
  await settled();
  return { scene, own, all };
}

test("what one stream brings is of its subscription, and no other waits for less because of it", async () => {
  const { scene, own, all } = await both();
  await begin(scene.server.last("/a/"), subscribed("a", 1));
  await begin(scene.server.last("/*/"), subscribed("*", 1_000));
  // The stream that has begun later is ahead.
  await write(scene.server.last("/*/"), message("a", 4));
  await write(scene.server.last("/a/"), message("a", 2), message("a", 3), message("a", 4));
  await write(scene.server.last("/a/"), message("a", 5));
  await write(scene.server.last("/*/"), message("a", 5));
  expect([own, all]).toEqual([
    ["2", "3", "4", "5"],
    ["4", "5"],
  ]);
  expect(scene.errors).toEqual([]);
});

test("a subscription that has not caught up is not ahead by what the stream of another one brings", async () => {
  const { scene, own, all } = await both();
  await begin(scene.server.last("/a/"), subscribed("a", 1), message("a", 2));
  await begin(scene.server.last("/*/"), subscribed("*", 1_000), message("a", 2));
  scene.server.last("/a/").fail();
  await settled();
  await scene.clock.advance(1_000);
  await settled();
  await begin(scene.server.last("/*/"), subscribed("*", 2_000));
  await begin(scene.server.last("/a/"), subscribed("a", 5));
  const gap = { channel: "a", reason: "limit", until: { epoch: "e", offset: "4" } };
  await write(scene.server.last("/*/"), event("gap", gap), message("a", 5), message("a", 6));
  await write(scene.server.last("/a/"), ...[3, 4, 5, 6].map((offset) => message("a", offset)));
  expect(own).toEqual(["2", "3", "4", "5", "all of a", "6"]);
  expect(all).toEqual(["2", "all of *", "gap limit", "5", "6"]);
});

test("a stream that nobody wants any more when it begins brings nothing to others", async () => {
  const scene = new Scene();
  const former = scene.client.subscribe("a");
  const all = scene.listen("*");
  await settled();
  for (const name of ["a", "*"]) {
    await begin(scene.server.last(`/${name}/`), subscribed(name, name === "a" ? 0 : 1_000));
  }
  scene.server.last("/a/").fail();
  await settled();
  await scene.clock.advance(1_000);
  await settled();
  const stream = scene.server.last("/a/");
  await former.unsubscribe();
  await begin(stream, subscribed("a", 3), message("a", 4));
  await begin(scene.server.last("/*/"), subscribed("*", 2_000), message("a", 3), message("a", 4));
  expect(all).toEqual(["all of *", "3", "4"]);
  expect(stream.signal?.aborted).toBe(true);
});

test("a message that is in no log is heard once by each subscription", async () => {
  const { scene, own, all } = await both();
  await begin(scene.server.last("/a/"), subscribed("a", 0));
  await begin(scene.server.last("/*/"), subscribed("*", 1_000));
  for (const name of ["a", "*"]) await write(scene.server.last(`/${name}/`), message("a", 0, ""));
  expect([own, all]).toEqual([["0"], ["0"]]);
});

test("what a stream's server has subscribed it to goes to whom it concerns", async () => {
  const scene = new Scene();
  const strays: unknown[] = [];
  scene.client.addEventListener("message", ({ detail }) => strays.push(detail.data));
  const own = scene.listen("a");
  await settled();
  const more = event("subscribed", { subscriptions: [{ channel: "b" }] });
  await begin(scene.server.last("/a/"), subscribed("a", 0), more, message("b", 1));
  await write(scene.server.last("/a/"), message("b", 2), message("b", 2), message("a", 1));
  expect([own, strays]).toEqual([["1"], ["1", "2"]]);
});

test("a client that is lost before it has all that it missed of a pattern goes on from where it was", async () => {
  const scene = new Scene();
  const heard = scene.listen("*");
  const last = () => scene.server.last("/*/");
  const from = () => new URL(last().url).searchParams.get("last_event_id");
  const back = async (): Promise<void> => {
    last().fail();
    await settled();
    await scene.clock.advance(4_000);
    await settled();
  };
  /** An event through the pattern: what it says of the pattern stands before what it says of channels. */
  const placed = (text: string, id: string) => text.replace(/id: .*\n/, `id: ${id},x=e-1\n`);
  await settled();
  await begin(
    last(),
    placed(subscribed("*", 1_000), "*e-1000"),
    placed(message("x", 1), "*e-1000"),
  );
  await back();
  expect(from()).toBe("*e-1000,x=e-1");
  await begin(
    last(),
    placed(subscribed("*", 2_000), "*e-1000"),
    placed(message("y", 1), "*e-1000"),
  );
  await write(last(), placed(message("z", 1), "*?"));
  await back();
  expect(from()).toBe("*e-1000,z=e-1,y=e-1,x=e-1");
  await begin(
    last(),
    placed(subscribed("*", 3_000), "*e-1000"),
    placed(message("z", 2), "*e-1000"),
  );
  await write(last(), placed(message("z", 3), "*e-3000"));
  // What the next renewal of the pattern says counts.
  for (let i = 0; i < 8; i++) {
    await scene.clock.advance(40_000);
    await write(last(), ":\n");
  }
  await back();
  expect(from()).toBe("*e-3000,z=e-3,y=e-1,x=e-1");
  expect(heard.filter((one) => /^\d/.test(one))).toEqual(["1", "1", "1", "2", "3"]);
});

test("ids are those that the server reads", () => {
  const epoch = "é*%-e";
  const position = { epoch, offset: 7 };
  expect(eventId({ channel: "a" })).toBe("");
  const channel = readEventId("a", eventId({ channel: "a", since: position }));
  expect(channel).toMatchObject({ since: { epoch, offset: "7" } });
  const positions = Object.fromEntries(
    Array.from({ length: 100 }, (_, i) => [`news.x${"é".repeat(i)}`, { epoch, offset: i }]),
  );
  const id = eventId({ channel: "news.*", since: position, positions });
  expect(id.length).toBeLessThanOrEqual(2_048);
  const pattern = readEventId("news.*", id);
  if (typeof pattern === "string") throw new Error(pattern);
  expect(pattern.since).toEqual({ epoch, offset: "7" });
  const { size } = pattern.channels;
  expect(size).toBeGreaterThan(10);
  expect([...pattern.channels.keys()]).toEqual(Object.keys(positions).slice(0, size));
  const short = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`n.${i}`, position]));
  const many = readEventId("n.*", eventId({ channel: "n.*", since: position, positions: short }));
  expect(many).toMatchObject({ channels: { size: 32 } });
});

test("refusals are the subscription's; what may pass is tried again, with another ticket", async () => {
  let tickets = 0;
  const scene = new Scene({ ticket: () => `${++tickets}` });
  const heard = scene.listen("denied");
  await settled();
  scene.server.last("denied").respond(403, '{"code":"ACL_ERROR","message":"no"}');
  await settled();
  expect(heard).toEqual(["refused ACL_ERROR"]);
  expect(scene.client.state).toBe("connected");
  scene.listen("late");
  await settled();
  for (const [status, body] of [
    [204, ""],
    [503, "busy"],
    [200, "<html>"],
    [404, "<html>"],
  ] as const) {
    const before = scene.server.of("/late/").length;
    scene.server.last("/late/").respond(status, body);
    await settled();
    await scene.clock.advance(3_000);
    await settled();
    expect(scene.server.of("/late/")).toHaveLength(before + 1);
  }
  expect(scene.server.last("/late/").url).toContain("ticket=6");
  await begin(scene.server.last("/late/"), subscribed("late", 0));
  expect([scene.client.state, scene.errors]).toEqual(["connected", []]);
});

test("a ticket that cannot be had is a stream that cannot be had for now", async () => {
  let fails = true;
  const ticket = async () => {
    if (fails) throw new Error("the application is away");
    return "t";
  };
  const scene = new Scene({ ticket });
  const heard = scene.listen("a");
  await settled();
  expect(scene.server.calls).toEqual([]);
  fails = false;
  await scene.clock.advance(1_000);
  await settled();
  await begin(scene.server.last("/a/"), subscribed("a", 0), message("a", 1));
  expect(heard).toEqual(["1"]);
});

test("subscriptions of one request wait for each other, but not for long", async () => {
  const scene = new Scene();
  await settled();
  const first = scene.listen("first");
  const second = scene.listen("second");
  await settled();
  await begin(scene.server.last("first"), subscribed("first", 0), message("first", 1));
  scene.server.last("first").fail();
  await settled();
  await scene.clock.advance(1_000);
  await settled();
  // Both are asked for in one connect now.
  await begin(scene.server.last("first"), subscribed("first", 2), message("first", 2));
  expect([scene.client.state, first]).toEqual(["connecting", ["1"]]);
  await scene.clock.advance(8_000);
  await settled();
  expect([scene.client.state, first]).toEqual(["connected", ["1", "2", "all of first"]]);
  await scene.clock.advance(1_000);
  await settled();
  await begin(scene.server.last("second"), subscribed("second", 0), message("second", 1));
  expect(second).toEqual(["1"]);
});

test("a client none of whose streams is to be had is not connected", async () => {
  const scene = new Scene();
  const heard = scene.listen("a");
  await settled();
  await begin(scene.server.last("/a/"), subscribed("a", 0));
  scene.server.last("/a/").fail();
  await settled();
  for (let i = 0; i < 3; i++) {
    await scene.clock.advance(20_000);
    await settled();
    scene.server.last("/a/").fail();
    await settled();
    expect(scene.client.state).toBe("connecting");
  }
  expect(heard.every((one) => one.startsWith("subscribing"))).toBe(true);
});

test("the server's disconnect decides", async () => {
  for (const [code, reconnect, state] of [
    [3512, true, "connecting"],
    [3503, false, "closed"],
  ] as const) {
    const scene = new Scene();
    scene.listen("a");
    await settled();
    const told = { code, reason: "why", reconnect, retry_after_ms: 5_000 };
    await begin(scene.server.last("/a/"), subscribed("a", 0), event("disconnect", told));
    expect(scene.client.state).toBe(state);
    expect(scene.server.last("/a/").signal?.aborted).toBe(true);
    await scene.clock.advance(4_999);
    expect(scene.server.of("/a/")).toHaveLength(1);
    await scene.clock.advance(1_000);
    await settled();
    expect(scene.server.of("/a/")).toHaveLength(reconnect ? 2 : 1);
  }
});

test("a stream that says nothing is lost, and a comment is something", async () => {
  const scene = new Scene();
  scene.listen("a");
  await settled();
  await begin(scene.server.last("/a/"), subscribed("a", 0));
  for (let i = 0; i < 5; i++) {
    await scene.clock.advance(40_000);
    await write(scene.server.last("/a/"), ":\n");
  }
  expect(scene.client.state).toBe("connected");
  await scene.clock.advance(46_000);
  expect(scene.client.state).toBe("connecting");
});

test("a client that reads can do nothing else, and says so", async () => {
  const scene = new Scene();
  await settled();
  for (const refused of [
    scene.client.publish("a", 1),
    scene.client.rpc("a", "m", 1),
    scene.client.presence("a"),
    scene.client.history("a"),
    scene.client.survey("a", 1),
  ]) {
    await expect(refused).rejects.toMatchObject({ code: "UNIMPLEMENTED" });
  }
  const heard = scene.listen("a", { rewind: 3 });
  await settled();
  expect(heard).toEqual(["refused BAD_REQUEST"]);
  expect(scene.server.calls).toEqual([]);
});

test("a channel that is asked for again before its stream has begun has a stream that begins then", async () => {
  const scene = new Scene({}, { requestTimeoutMs: 1_000 });
  await settled();
  const subscription = scene.client.subscribe("a");
  const heard: unknown[] = [];
  subscription.addEventListener("message", ({ detail }) => heard.push(detail.data));
  await settled();
  const first = scene.server.last("/a/");
  await scene.clock.advance(1_500);
  await settled();
  const second = scene.server.last("/a/");
  expect([second === first, first.signal?.aborted, subscription.state]).toEqual([
    false,
    true,
    "subscribing",
  ]);
  await begin(second, subscribed("a", 3));
  expect(subscription.state).toBe("subscribed");
  // The time of the first request is over, which is not about the second stream.
  await scene.clock.advance(8_000);
  await write(second, message("a", 4));
  expect([heard, second.signal?.aborted]).toEqual([["4"], false]);
});

test("what is wanted anew while its stream begins has a stream of its own, and goes on after its beginning", async () => {
  const scene = new Scene();
  const former = scene.client.subscribe("a.*");
  await settled();
  const first = scene.server.last("/a.*/");
  await former.unsubscribe();
  scene.listen("a.*");
  await begin(first, subscribed("a.*", 1_000));
  const second = scene.server.last("/a.*/");
  expect([second === first, first.signal?.aborted]).toEqual([false, true]);
  await begin(second, subscribed("a.*", 2_000));
  second.fail();
  await settled();
  await scene.clock.advance(1_000);
  await settled();
  expect(scene.server.last("/a.*/").url).toContain("last_event_id=*e-2000");
});

test("unsubscribing ends a stream, and so does the server's word", async () => {
  const scene = new Scene();
  const subscription = scene.client.subscribe("a");
  const heard = scene.listen("b");
  await settled();
  for (const name of ["a", "b"]) {
    await begin(scene.server.last(`/${name}/`), subscribed(name, 0));
  }
  await subscription.unsubscribe();
  expect(scene.server.last("/a/").signal?.aborted).toBe(true);
  const told = event("unsubscribed", { subscriptions: [{ channel: "b" }] });
  await write(scene.server.last("/b/"), told);
  expect([heard, scene.client.state]).toEqual([["ended ACL_ERROR"], "connected"]);
  expect(scene.server.last("/b/").signal?.aborted).toBe(true);
  const again = scene.listen("b");
  await settled();
  await begin(scene.server.last("/b/"), subscribed("b", 0), message("b", 1));
  expect(again).toEqual(["1"]);
  await scene.client.close();
  expect(scene.server.calls.map(({ signal }) => signal?.aborted)).toEqual([true, true, true]);
  expect(scene.clock.timers).toBe(0);
});

test("protobuf is not spoken", async () => {
  const { client } = new Scene({}, { encoding: protobuf });
  await expect(client.ready).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("lines are what they are, however they come", () => {
  const text =
    ":\nevent: a\r\nretry: 1\ndata: é\u2028x\ndata:two\nid: 1\n\n\n\nevent: no data\n\ndata: {}\n\n";
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 5, 100]) {
    const events: unknown[] = [];
    const lines = new EventLines((one) => events.push(one));
    for (let at = 0; at < bytes.length; at += size) lines.read(bytes.slice(at, at + size));
    expect(events).toEqual([
      { type: "a", data: "é\u2028x\ntwo", id: "1" },
      { type: "message", data: "{}", id: "1" },
    ]);
  }
});
