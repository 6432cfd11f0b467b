/** What an application is subscribed to: how it is asked for, what comes of it, and how it outlives connections. */
import { expect, test } from "vitest";
import type { Subscription } from "../../../src/client/core/subscription.ts";
import type { WireMessage } from "../../../src/client/wire/frames.ts";
import { connectedScene, ignore, Scene } from "./scripted.ts";

/** Messages of a channel with these offsets. */
function publication(
  channel: string,
  offsets: readonly number[],
  epoch = "e",
  extra: WireMessage = {},
) {
  const messages = offsets.map((offset) => ({
    ...{ id: `${epoch}-${offset}`, channel, epoch, offset, ...extra },
    payload: { id: `i${offset}`, source: "/s", type: "t", text_data: `${offset}` },
  }));
  return { publication: { messages } };
}

/** Offsets and gaps in the order in which a subscription reports them. */
function heard(subscription: Subscription): (number | string)[] {
  const all: (number | string)[] = [];
  subscription.addEventListener("message", ({ detail }) => all.push(detail.offset));
  subscription.addEventListener("gap", ({ detail }) => all.push(detail.reason));
  subscription.addEventListener("recovered", ({ detail }) =>
    all.push(`recovered ${detail.channel}`),
  );
  return all;
}

test("a subscription that is made before the connection is part of connect", async () => {
  const scene = new Scene();
  const subscription = scene.client.subscribe("c", { token: "t", ephemeral: true, rewind: 3 });
  scene.transport.connect();
  expect(scene.transport.sent).toHaveLength(1);
  expect(scene.transport.sent[0]?.connect?.subscriptions).toEqual([
    { channel: "c", token: "t", ephemeral: true, rewind: 3 },
  ]);
  await subscription.ready;
  expect(subscription.state).toBe("subscribed");
});

test("one that is made later is asked for at once, and settles with its answer", async () => {
  const scene = connectedScene();
  const subscription = scene.client.subscribe("c");
  expect(scene.transport.last).toMatchObject({ subscribe: { subscriptions: [{ channel: "c" }] } });
  expect(subscription.state).toBe("subscribing");
  scene.transport.answer({ subscribe_ack: { subscriptions: [{ channel: "c" }] } });
  expect(subscription.state).toBe("subscribed");
  await subscription.ready;
});

test("one that is made while connect is under way is asked for after it", () => {
  const scene = new Scene();
  scene.transport.opened();
  scene.client.subscribe("c");
  scene.transport.answer({ connected: { capabilities: [] } });
  expect(scene.transport.sent.slice(1)).toMatchObject([
    { subscribe: { subscriptions: [{ channel: "c" }] } },
  ]);
});

test("what nobody wants any more when connect is answered is left", () => {
  const scene = new Scene();
  const [gone, again] = ["gone", "again"].map((name) => scene.client.subscribe(name));
  scene.client.subscribe("stays");
  scene.transport.opened();
  if (gone) ignore(gone.unsubscribe());
  if (again) ignore(again.unsubscribe());
  const all = heard(scene.client.subscribe("again"));
  const granted = ["gone", "again", "stays"].map((channel) => ({ channel }));
  scene.transport.answer({ connected: { subscriptions: granted } });
  expect(scene.transport.sent.slice(1)).toMatchObject([
    { unsubscribe: { subscriptions: [{ channel: "gone" }] } },
    { subscribe: { subscriptions: [{ channel: "again" }] } },
  ]);
  scene.transport.answer({ subscribe_ack: { subscriptions: [{ channel: "again" }] } });
  scene.transport.frame(publication("again", [1]));
  expect([all, scene.errors]).toEqual([[1], []]);
});

test("messages come from the acknowledgement on, also of the same packet", () => {
  const scene = connectedScene();
  const subscription = scene.client.subscribe("c");
  const all = heard(subscription);
  const { transport } = scene;
  // No promise goes on between the two.
  transport.answer({
    subscribe_ack: { subscriptions: [{ channel: "c", position: { epoch: "e", offset: 0 } }] },
  });
  transport.frame(publication("c", [1, 2]));
  expect(all).toEqual([1, 2]);
});

test("a handler is given the message with its data, event and place", () => {
  const scene = new Scene();
  const received: unknown[] = [];
  scene.client.subscribe("c", (message) => received.push(message));
  scene.transport.connect();
  const attributes = { datacontenttype: { ce_string: "application/json" }, n: { ce_integer: 7 } };
  const payload = { id: "i", source: "/s", type: "t", attributes, text_data: '{"a":[1]}' };
  const publisher = { client_id: "c1", user_id: "u1", session_id: "s1" };
  const message = { id: "e-1", channel: "c", epoch: "e", offset: 1, time: 5, payload, publisher };
  scene.transport.frame({ publication: { messages: [{ ...message, metadata: { k: "v" } }] } });
  expect(received).toEqual([
    {
      id: "e-1",
      channel: "c",
      epoch: "e",
      offset: 1,
      time: 5,
      replay: false,
      publisher: { clientId: "c1", userId: "u1", sessionId: "s1" },
      metadata: { k: "v" },
      data: { a: [1] },
      event: {
        ...{ id: "i", source: "/s", specversion: "1.0", type: "t", n: 7 },
        ...{ datacontenttype: "application/json", data: { a: [1] } },
      },
    },
  ]);
  expect(() => JSON.stringify(received)).not.toThrow();
});

test("after a loss everything is asked for in one frame, with positions, and nothing comes twice", async () => {
  const scene = new Scene();
  const one = heard(scene.client.subscribe("one"));
  const two = heard(scene.client.subscribe("two"));
  scene.transport.connect();
  scene.transport.frame(publication("one", [1, 2, 3]));
  scene.transport.end(1006);
  await scene.clock.advance(500);
  scene.transport.connect();
  expect(scene.transport.sent).toHaveLength(1);
  expect(scene.transport.sent[0]?.connect?.subscriptions).toEqual([
    { channel: "one", since: { epoch: "e", offset: 3 } },
    { channel: "two", since: { epoch: "e", offset: 0 } },
  ]);
  scene.transport.frame(publication("one", [3, 4, 5], "e", { replay: true }));
  scene.transport.frame({ recovered: { channel: "one", position: { epoch: "e", offset: 5 } } });
  scene.transport.frame({ recovered: { channel: "two", position: { epoch: "e" } } });
  scene.transport.frame(publication("one", [5, 6]));
  expect(one).toEqual([1, 2, 3, 4, 5, "recovered one", 6]);
  expect(two).toEqual(["recovered two"]);
});

test("a recovery that is cut short goes on where it was", async () => {
  const scene = new Scene();
  const all = heard(scene.client.subscribe("c", { since: { epoch: "e", offset: 10 } }));
  scene.transport.connect();
  scene.transport.frame(publication("c", [11, 12]));
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.subscriptions).toEqual([
    { channel: "c", since: { epoch: "e", offset: 12 } },
  ]);
  scene.transport.frame(publication("c", [13]));
  expect(all).toEqual([11, 12, 13]);
  // One that was cut before anything came begins again where the application said.
  const second = new Scene();
  second.client.subscribe("c", { since: { epoch: "e", offset: 10 } });
  second.transport.connect();
  await second.reconnect();
  expect(second.transport.sent[0]?.connect?.subscriptions).toEqual([
    { channel: "c", since: { epoch: "e", offset: 10 } },
  ]);
});

test.each([
  [10, 3, 7],
  [2, 3, 0],
])(
  "at %i, the last %i that were cut before any came begin after %i: nothing since then is left out",
  async (at, rewind, offset) => {
    const scene = new Scene();
    const all = heard(scene.client.subscribe("c", { rewind }));
    const subscriptions = [{ channel: "c", position: { epoch: "e", offset: at } }];
    scene.transport.connect({ subscriptions });
    await scene.reconnect();
    const since = { epoch: "e", offset };
    expect(scene.transport.sent[0]?.connect?.subscriptions).toEqual([{ channel: "c", since }]);
    // They have gone from history meanwhile, and so has one that came later.
    const position = { epoch: "e", offset: at + 2 };
    const gap = {
      channel: "c",
      reason: "expired",
      after: since,
      until: { epoch: "e", offset: at + 1 },
    };
    scene.transport.frame(publication("c", [at + 2], "e", { replay: true }));
    scene.transport.frame({ recovered: { channel: "c", position, gap } });
    scene.transport.frame(publication("c", [at + 3]));
    expect(all).toEqual([at + 2, "expired", "recovered c", at + 3]);
  },
);

test("a verdict with a gap reports it with reason and range, and the position is past it", async () => {
  const scene = new Scene();
  const subscription = scene.client.subscribe("c");
  const all = heard(subscription);
  const gaps: unknown[] = [];
  scene.client.addEventListener("gap", ({ detail }) => gaps.push(detail));
  scene.transport.connect();
  scene.transport.frame(publication("c", [1]));
  await scene.reconnect();
  scene.transport.frame(publication("c", [8, 9]));
  const gap = {
    channel: "c",
    reason: "limit",
    after: { epoch: "e", offset: 1 },
    until: { epoch: "e", offset: 7 },
  };
  scene.transport.frame({ recovered: { channel: "c", position: { epoch: "e", offset: 9 }, gap } });
  scene.transport.frame(publication("c", [10]));
  expect(all).toEqual([1, 8, 9, "limit", "recovered c", 10]);
  expect(gaps).toEqual([gap]);
});

test("what a verdict says is missing does not lead back before what has come", async () => {
  const scene = new Scene();
  scene.client.subscribe("c");
  scene.transport.connect();
  scene.transport.frame(publication("c", [1]));
  await scene.reconnect();
  scene.transport.frame(publication("c", [8, 9]));
  const position = { epoch: "e", offset: 9 };
  const [after, until] = [
    { ...position, offset: 1 },
    { ...position, offset: 7 },
  ];
  const gap = { reason: "limit", after, until };
  scene.transport.frame({ recovered: { channel: "c", position, gap } });
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.subscriptions).toEqual([
    { channel: "c", since: position },
  ]);
});

test("a recovery that is cut short before its verdict reports what it has left out", async () => {
  const scene = new Scene();
  const gaps: unknown[] = [];
  scene.client.addEventListener("gap", ({ detail }) => gaps.push(detail));
  const all = [
    heard(scene.client.subscribe("c")),
    heard(scene.client.subscribe("since", { since: { epoch: "e", offset: 2 } })),
    heard(scene.client.subscribe("p.*")),
  ];
  scene.transport.connect();
  scene.transport.frame(publication("c", [1]));
  scene.transport.frame(publication("p.known", [1]));
  scene.transport.frame(publication("since", [5]));
  expect(gaps).toEqual([]);
  await scene.reconnect();
  scene.transport.frame(publication("c", [8, 9]));
  scene.transport.frame(publication("p.known", [2]));
  scene.transport.frame(publication("p.new", [3], "f"));
  scene.transport.frame(publication("p.all", [1], "f"));
  await scene.reconnect();
  const e = (offset: number) => ({ epoch: "e", offset });
  expect(gaps).toEqual([
    { channel: "since", reason: "unavailable", after: e(2), until: e(4) },
    { channel: "c", reason: "unavailable", after: e(1), until: e(7) },
    { channel: "p.new", reason: "unavailable", after: undefined, until: { epoch: "f", offset: 2 } },
  ]);
  expect(all).toEqual([
    [1, 8, 9, "unavailable"],
    [5, "unavailable"],
    [1, 2, 3, 1, "unavailable"],
  ]);
  expect(scene.transport.sent[0]?.connect?.subscriptions).toMatchObject([
    { channel: "c", since: e(9) },
    { channel: "since", since: e(5) },
    { channel: "p.*" },
  ]);
  // Of another life of a log that is known, and once only.
  scene.transport.frame(publication("c", [2], "g"));
  const epoch = { channel: "c", reason: "unavailable", after: e(9) };
  await scene.reconnect();
  await scene.reconnect();
  expect(gaps.slice(3)).toEqual([{ ...epoch, until: { epoch: "g", offset: 1 } }]);
});

test("what a pattern has missed is not told to a channel that is not acknowledged, and moves nothing there", async () => {
  const scene = connectedScene();
  const pattern = heard(scene.client.subscribe("c.*"));
  scene.transport.answer({ subscribe_ack: { subscriptions: [{ channel: "c.*" }] } });
  const since = { epoch: "e", offset: 2 };
  const exact = heard(scene.client.subscribe("c.a", { since }));
  const [after, until] = [since, { epoch: "e", offset: 7 }];
  scene.transport.frame({ gap: { channel: "c.a", reason: "unavailable", after, until } });
  expect([pattern, exact]).toEqual([["unavailable"], []]);
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.subscriptions).toMatchObject([
    { channel: "c.*" },
    { channel: "c.a", since },
  ]);
});

test("an epoch that changes resets the position, and the old offset is not sent with the new epoch", async () => {
  const scene = new Scene();
  const all = heard(scene.client.subscribe("c"));
  scene.transport.connect();
  scene.transport.frame(
    publication(
      "c",
      [498, 499, 500].map((n) => n - 497),
    ),
  );
  scene.transport.frame({
    gap: {
      channel: "c",
      reason: "epoch_changed",
      after: { epoch: "e", offset: 3 },
      until: { epoch: "f", offset: 0 },
    },
  });
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.subscriptions?.[0]?.since).toEqual({
    epoch: "f",
    offset: 0,
  });
  scene.transport.frame(publication("c", [1, 2], "f"));
  expect(all).toEqual([1, 2, 3, "epoch_changed", 1, 2]);
});

test("a hole that the server has not reported is a gap; one that it has reported comes once", () => {
  const scene = new Scene();
  const subscription = scene.client.subscribe("c");
  const all = heard(subscription);
  const gaps: unknown[] = [];
  subscription.addEventListener("gap", ({ detail }) => gaps.push(detail));
  scene.transport.connect();
  scene.transport.frame(publication("c", [1, 4]));
  expect(gaps).toEqual([
    {
      channel: "c",
      reason: "unavailable",
      after: { epoch: "e", offset: 1 },
      until: { epoch: "e", offset: 3 },
    },
  ]);
  scene.transport.frame({
    gap: {
      channel: "c",
      reason: "head_trimmed",
      after: { epoch: "e", offset: 4 },
      until: { epoch: "e", offset: 8 },
    },
  });
  scene.transport.frame(publication("c", [9]));
  expect(all).toEqual([1, "unavailable", 4, "head_trimmed", 9]);
});

test("messages that are in no log are delivered as they come", () => {
  const scene = new Scene();
  const ids: string[] = [];
  scene.client.subscribe("c", ({ id, offset, epoch }) => ids.push(`${id} ${offset} ${epoch}`));
  scene.transport.connect();
  const messages = ["x", "y", "x"].map((id) => ({ id, channel: "c" }));
  scene.transport.frame({ publication: { messages } });
  expect(ids).toEqual(["x 0 ", "y 0 ", "x 0 "]);
});

test("a pattern brings what it stands for, with the channel of each, and recovers by positions", async () => {
  const scene = new Scene();
  const subscription = scene.client.subscribe("a.*");
  const all: string[] = [];
  subscription.addEventListener("message", ({ detail }) =>
    all.push(`${detail.channel} ${detail.offset}`),
  );
  const position = { epoch: "p", offset: 1_000 };
  scene.transport.connect({ subscriptions: [{ channel: "a.*", position }] });
  scene.transport.frame(publication("a.b", [4, 5]));
  scene.transport.frame(publication("a.c", [1]));
  scene.transport.frame(publication("a.b.c", [1]));
  scene.transport.end(1006);
  await scene.clock.advance(500);
  scene.transport.opened();
  expect(scene.transport.last.connect?.subscriptions).toEqual([
    {
      channel: "a.*",
      since: position,
      positions: { "a.b": { epoch: "e", offset: 5 }, "a.c": { epoch: "e", offset: 1 } },
    },
  ]);
  scene.transport.answer({
    connected: { subscriptions: [{ channel: "a.*", position: { epoch: "p", offset: 9_000 } }] },
  });
  scene.transport.frame(publication("a.b", [5, 6]));
  scene.transport.frame({ recovered: { channel: "a.b", position: { epoch: "e", offset: 6 } } });
  // Until its verdict has come the old position of the pattern holds.
  await scene.reconnect({
    subscriptions: [{ channel: "a.*", position: { epoch: "p", offset: 9_500 } }],
  });
  expect(scene.transport.sent[0]?.connect?.subscriptions?.[0]?.since).toEqual(position);
  scene.transport.frame({ recovered: { channel: "a.*", position: { epoch: "p", offset: 9_500 } } });
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.subscriptions?.[0]?.since).toEqual({
    epoch: "p",
    offset: 9_500,
  });
  expect(all).toEqual(["a.b 4", "a.b 5", "a.c 1", "a.b 6"]);
});

test("what a pattern brings at or below a channel's acknowledged position is not dropped", () => {
  const scene = new Scene();
  const pattern = heard(scene.client.subscribe("a.*"));
  scene.transport.connect();
  const channel = heard(scene.client.subscribe("a.b"));
  scene.transport.answer({
    subscribe_ack: { subscriptions: [{ channel: "a.b", position: { epoch: "e", offset: 7 } }] },
  });
  scene.transport.frame(publication("a.b", [6, 7, 8]));
  expect(pattern).toEqual([6, 7, 8]);
  expect(channel).toEqual([6, 7, 8]);
});

test("a channel begins with what it asks for although a pattern has brought it already", () => {
  const scene = new Scene();
  const pattern = heard(scene.client.subscribe("**"));
  scene.transport.connect();
  scene.transport.frame(publication("c", [8, 9]));
  const channel = heard(scene.client.subscribe("c", { rewind: 2 }));
  scene.transport.answer({
    subscribe_ack: { subscriptions: [{ channel: "c", position: { epoch: "e", offset: 9 } }] },
  });
  scene.transport.frame(publication("c", [8, 9], "e", { replay: true }));
  scene.transport.frame({ recovered: { channel: "c", position: { epoch: "e", offset: 9 } } });
  scene.transport.frame(publication("c", [10]));
  expect(channel).toEqual([8, 9, "recovered c", 10]);
  expect(pattern.filter((one) => typeof one === "number")).toEqual([8, 9, 10]);
});

test("a pattern's position is renewed on a long connection", async () => {
  const scene = new Scene();
  const subscription = scene.client.subscribe("a.*", { token: "t" });
  scene.client.subscribe("c");
  scene.transport.connect();
  const before = scene.transport.sent.length;
  await scene.clock.advance(5 * 60_000);
  expect(scene.transport.sent.slice(before)).toMatchObject([
    { subscribe: { subscriptions: [{ channel: "a.*", token: "t" }] } },
  ]);
  scene.transport.answer({
    subscribe_ack: { subscriptions: [{ channel: "a.*", position: { epoch: "p", offset: 5_000 } }] },
  });
  await scene.clock.advance(5 * 60_000);
  // What is refused then goes on as it is.
  scene.transport.answer({
    subscribe_ack: { subscriptions: [{ channel: "a.*", error: { code: "ACL_ERROR" } }] },
  });
  expect(subscription.state).toBe("subscribed");
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.subscriptions?.[0]).toMatchObject({
    since: { epoch: "p", offset: 5_000 },
  });
});

test("a refusal is reported, kept, and mended by another token", async () => {
  let token = 0;
  const scene = new Scene({ getToken: () => `t${++token}` });
  await scene.clock.advance(0);
  const subscription = scene.client.subscribe("c");
  const error = { code: "ACL_ERROR", message: "no" };
  scene.transport.connect({ subscriptions: [{ channel: "c", error }] });
  await expect(subscription.ready).rejects.toMatchObject(error);
  expect(subscription).toMatchObject({ state: "refused", error });
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.subscriptions).toEqual([]);
  scene.transport.end(3513);
  await scene.clock.advance(500);
  scene.transport.connect();
  expect(scene.transport.sent[0]?.connect?.subscriptions).toEqual([{ channel: "c" }]);
  expect(subscription.state).toBe("subscribed");
});

test("a refusal that a retry may mend is tried again, not before the server says", async () => {
  const scene = connectedScene();
  const subscription = scene.client.subscribe("c");
  const error = { code: "RATE_LIMITED", metadata: { retry_after_ms: 3_000 } };
  scene.transport.answer({ subscribe_ack: { subscriptions: [{ channel: "c", error }] } });
  expect(subscription.state).toBe("subscribing");
  const before = scene.transport.sent.length;
  await scene.clock.advance(2_999);
  expect(scene.transport.sent).toHaveLength(before);
  // Clients that got the same pause do not come back at the same moment.
  await scene.clock.advance(500);
  scene.transport.answer({ subscribe_ack: { subscriptions: [{ channel: "c" }] } });
  await subscription.ready;
});

test("a subscribe without an answer is asked again", async () => {
  const scene = connectedScene();
  scene.client.subscribe("c");
  const before = scene.transport.sent.length;
  await scene.clock.advance(11_000);
  expect(scene.transport.sent.slice(before)).toMatchObject([{ subscribe: {} }]);
});

test("several subscriptions to one channel share it, and the last one that ends it ends it", async () => {
  const scene = connectedScene();
  const [one, two] = [scene.client.subscribe("c"), scene.client.subscribe("c")];
  const [first, second] = [heard(one), heard(two)];
  expect(scene.transport.sent.filter(({ subscribe }) => subscribe)).toHaveLength(1);
  scene.transport.answer({ subscribe_ack: { subscriptions: [{ channel: "c" }] } });
  const three = scene.client.subscribe("c");
  expect(three.state).toBe("subscribed");
  scene.transport.frame(publication("c", [1]));
  await one.unsubscribe();
  await three.unsubscribe();
  scene.transport.frame(publication("c", [2]));
  expect([first, second]).toEqual([[1], [1, 2]]);
  expect(scene.transport.last.unsubscribe).toBeUndefined();
  const ending = two.unsubscribe();
  expect(two.state).toBe("ended");
  expect(scene.transport.last).toMatchObject({
    unsubscribe: { subscriptions: [{ channel: "c" }] },
  });
  scene.transport.frame(publication("c", [3]));
  scene.transport.answer({ unsubscribe_ack: {} });
  await ending;
  expect(second).toEqual([1, 2]);
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.subscriptions).toEqual([]);
});

test("a channel that is subscribed to already cannot be subscribed to with other options", () => {
  const scene = connectedScene();
  scene.client.subscribe("c");
  expect(() => scene.client.subscribe("c", { rewind: 1 })).toThrow("other options");
});

test("a subscription that ends while it is asked for does not come back by its answer", () => {
  const scene = connectedScene();
  const subscription = scene.client.subscribe("c");
  const { id = "" } = scene.transport.last;
  ignore(subscription.unsubscribe());
  const again = scene.client.subscribe("c");
  scene.transport.frame({ id, subscribe_ack: { subscriptions: [{ channel: "c" }] } });
  expect([subscription.state, again.state]).toEqual(["ended", "subscribing"]);
});

test("what the server's side subscribes is reported, delivered to the client, and recovered", async () => {
  const scene = connectedScene();
  const told: unknown[] = [];
  scene.client.addEventListener("subscribed", ({ detail }) =>
    told.push(["subscribed", ...detail.channels]),
  );
  scene.client.addEventListener("unsubscribed", ({ detail }) =>
    told.push(["unsubscribed", ...detail.channels]),
  );
  scene.client.addEventListener("message", ({ detail }) =>
    told.push([detail.channel, detail.offset]),
  );
  scene.transport.frame({
    subscribed: { subscriptions: [{ channel: "s", position: { epoch: "e", offset: 4 } }] },
  });
  scene.transport.frame(publication("s", [5]));
  scene.transport.frame({ publication: { messages: [{ id: "direct" }] } });
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.subscriptions).toEqual([
    { channel: "s", since: { epoch: "e", offset: 5 } },
  ]);
  scene.transport.frame({ unsubscribed: { subscriptions: [{ channel: "s" }] } });
  expect(told).toEqual([
    ["subscribed", "s"],
    ["s", 5],
    ["", 0],
    ["unsubscribed", "s"],
  ]);
});

test("a subscription that the server ends has ended", async () => {
  const scene = new Scene();
  const subscription = scene.client.subscribe("c");
  scene.transport.connect();
  scene.transport.frame({ unsubscribed: { subscriptions: [{ channel: "c" }] } });
  expect(subscription).toMatchObject({ state: "ended", error: { code: "ACL_ERROR" } });
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.subscriptions).toEqual([]);
});

test("presence goes to the subscriptions of the channel", () => {
  const scene = new Scene();
  const changes: unknown[] = [];
  scene.client.subscribe("c").addEventListener("presence", ({ detail }) => changes.push(detail));
  scene.transport.connect();
  const generation = { epoch: "g", number: 1 };
  scene.transport.frame({
    presence_event: { channel: "c", join: { user_id: "u", time: 5 }, generation },
  });
  scene.transport.frame({
    presence_event: { channel: "c", leave: { client_id: "x" }, generation },
  });
  scene.transport.frame({ presence: { channel: "c", members: [{ user_id: "v" }] } });
  scene.transport.frame({ presence_event: { channel: "d", join: { user_id: "u" }, generation } });
  const nobody = { userId: "", clientId: "", sessionId: "", time: 0 };
  expect(changes).toEqual([
    { channel: "c", kind: "join", member: { ...nobody, userId: "u", time: 5 } },
    { channel: "c", kind: "leave", member: { ...nobody, clientId: "x" } },
    { channel: "c", kind: "members", members: [{ ...nobody, userId: "v" }] },
  ]);
});

test("for await takes what has come since subscribe, and ends with the subscription", async () => {
  const scene = new Scene();
  const subscription = scene.client.subscribe("c");
  scene.transport.connect();
  scene.transport.frame(publication("c", [1, 2]));
  const taken: number[] = [];
  const reading = (async () => {
    for await (const { offset } of subscription) taken.push(offset);
  })();
  await scene.clock.advance(0);
  scene.transport.frame(publication("c", [3]));
  await scene.clock.advance(0);
  expect(taken).toEqual([1, 2, 3]);
  scene.transport.frame(publication("c", [4]));
  ignore(subscription.unsubscribe());
  await reading;
  expect(taken).toEqual([1, 2, 3, 4]);
});

test("an iterator that is too slow fails instead of skipping", async () => {
  const scene = new Scene();
  const subscription = scene.client.subscribe("c");
  scene.transport.connect();
  for (let i = 0; i < 1_001; i++) scene.transport.frame(publication("c", [i + 1]));
  await expect(subscription[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: "RATE_LIMITED",
  });
});

test("a signal ends a subscription, and closing the client ends all", async () => {
  const scene = connectedScene();
  const controller = new AbortController();
  const [one, two] = [
    scene.client.subscribe("a", { signal: controller.signal }),
    scene.client.subscribe("b"),
  ];
  controller.abort();
  expect(one.state).toBe("ended");
  expect(scene.transport.last).toMatchObject({
    unsubscribe: { subscriptions: [{ channel: "a" }] },
  });
  ignore(scene.client.close());
  expect(two.state).toBe("ended");
  await expect(two.ready).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("no frame is longer than the server takes, whatever there is to ask for", async () => {
  const scene = connectedScene({}, { max_message_bytes: 4_096 });
  const names = Array.from({ length: 60 }, (_, i) => `channel.${i}.${"x".repeat(100)}`);
  for (const name of names) scene.client.subscribe(name);
  scene.client.subscribe("many.*");
  scene.transport.answer({
    subscribe_ack: { subscriptions: [{ channel: "many.*", position: { epoch: "p", offset: 1 } }] },
  });
  for (let i = 0; i < 200; i++) scene.transport.frame(publication(`many.${i}`, [1]));
  scene.transport.end(1006);
  await scene.clock.advance(500);
  scene.transport.opened();
  scene.transport.answer({ connected: { max_message_bytes: 4_096, subscriptions: [] } });
  const asked = scene.transport.sent.flatMap(
    ({ connect, subscribe }) => (connect ?? subscribe)?.subscriptions ?? [],
  );
  expect(new Set(asked.map(({ channel }) => channel))).toEqual(new Set([...names, "many.*"]));
  expect(scene.transport.sent.length).toBeGreaterThan(2);
  for (const frame of scene.transport.sent)
    expect(JSON.stringify(frame).length).toBeLessThan(4_096);
  const positions = asked.find(({ positions }) => positions)?.positions ?? {};
  // Those heard last are those that count.
  expect(Object.keys(positions).length).toBeGreaterThan(10);
  expect(positions["many.199"]).toEqual({ epoch: "e", offset: 1 });
  expect(positions["many.0"]).toBeUndefined();
});

test("a subscription's own token can be replaced", async () => {
  const scene = new Scene();
  const subscription = scene.client.subscribe("c", { token: "old" });
  scene.transport.connect();
  const replacing = subscription.setToken("new");
  expect(scene.transport.last).toMatchObject({
    sub_refresh: { channels: ["c"], tokens: { c: "new" } },
  });
  scene.transport.answer({
    sub_refresh_ack: { subscriptions: [{ channel: "c", error: { code: "ACL_ERROR" } }] },
  });
  await expect(replacing).rejects.toMatchObject({ code: "ACL_ERROR" });
  await scene.reconnect();
  expect(scene.transport.sent[0]?.connect?.subscriptions).toMatchObject([
    { channel: "c", token: "new" },
  ]);
});
