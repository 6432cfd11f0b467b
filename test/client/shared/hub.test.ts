/** Tabs that share a connection: which of them share it, what each gets of it, and how it ends. */
import { expect, test } from "vitest";
import { SDK_VERSION } from "../../../src/client/shared/version.ts";
import type { SubscriptionRequest } from "../../../src/client/wire/frames.ts";
import { MessagingError } from "../../../src/protocol/errors.ts";
import { type BareTab, Scene, URL_OF_ALL, Wire } from "./scene.ts";

test("tabs of one user have one connection, and each gets what it has asked for", async () => {
  const scene = new Scene();
  const one = await scene.reader("ann:1", "a", "both");
  const two = await scene.reader("ann:1", "b.*", "both");
  expect(scene.server.sessions).toHaveLength(1);
  for (const channel of ["a", "b.x", "both", "c"]) scene.publish(channel, "1");
  await scene.pass();
  expect(one.heard).toEqual(["a 1", "both 1"]);
  expect(two.heard).toEqual(["b.x 1", "both 1"]);
  expect(one.client.sessionId).toBe(two.client.sessionId);
  expect(two.client.userId).toBe("ann");
});

test("a token of the same user joins its connection, one of another user does not", async () => {
  const scene = new Scene();
  const one = await scene.reader("ann:1", "a");
  const two = await scene.reader("ann:2", "a");
  const other = await scene.reader("bob:1", "a");
  expect(scene.server.sessions.map(({ userId }) => userId)).toEqual(["ann", "bob"]);
  expect(two.client.sessionId).toBe(one.client.sessionId);
  expect(other.client.sessionId).not.toBe(one.client.sessionId);
  expect(other.client.userId).toBe("bob");
});

test("a token goes to the hub and to no other tab", async () => {
  const scene = new Scene();
  const one = await scene.reader("ann:1", "a");
  const two = await scene.reader("ann:2", "a");
  await two.client.publish("a", "x");
  for (const { wire } of [one, two]) expect(JSON.stringify(wire().toTab)).not.toMatch(/ann:\d/);
  expect(JSON.stringify(one.wire().toHub)).not.toContain("ann:2");
});

test("a refused token ends the tab that has it, and no other", async () => {
  const scene = new Scene();
  const one = await scene.reader("ann:1", "a");
  const refused = scene.tab({ token: "ann:bad" });
  await scene.pass();
  await expect(refused.client.ready).rejects.toMatchObject({
    code: "AUTH_ERROR",
    message: "not this token",
    close: { code: 3500 },
  });
  expect(refused.client.state).toBe("closed");
  expect(one.client.state).toBe("connected");
  scene.publish("a", "1");
  await scene.pass();
  expect(one.heard).toEqual(["a 1"]);
});

test("channels end with the last tab that has them, and the connection with the last tab", async () => {
  const scene = new Scene();
  const one = await scene.reader("ann:1", "a", "both");
  const two = await scene.reader("ann:1", "b", "both");
  await one.client.close();
  await scene.pass();
  expect(scene.server.sessions[0]?.channels).toEqual(["both", "b"]);
  scene.publish("both", "1");
  await scene.pass();
  expect(two.heard).toEqual(["both 1"]);
  await two.client.close();
  await scene.pass();
  expect(scene.server.sessions).toEqual([]);
  expect(scene.hub.sessions).toEqual([]);
  await scene.pass(120_000);
  expect(scene.clock.timers).toBe(0);
});

test("a tab that answers nothing is dropped after 30 s, and no other is", async () => {
  const scene = new Scene();
  const gone = await scene.reader("ann:1", "a");
  const stays = await scene.reader("ann:1", "b");
  gone.wire().crash();
  await gone.client.close();
  await scene.pass(25_000);
  expect(scene.server.sessions[0]?.channels).toEqual(["a", "b"]);
  await scene.pass(20_000);
  expect(scene.server.sessions[0]?.channels).toEqual(["b"]);
  scene.publish("b", "1");
  await scene.pass();
  expect(stays.heard).toEqual(["b 1"]);
});

test("a tab that was frozen comes back and gets what it has missed", async () => {
  const scene = new Scene();
  const one = await scene.reader("ann:1", "a", "p.*");
  const two = await scene.reader("ann:1", "a", "p.*");
  for (const channel of ["a", "p.x"]) scene.publish(channel, "1");
  await scene.pass();
  one.wire().freeze();
  for (const channel of ["a", "p.x"]) scene.publish(channel, "2");
  await scene.pass(45_000);
  for (const channel of ["a", "p.x"]) scene.publish(channel, "3");
  one.wire().thaw();
  await scene.pass(2_000);
  for (const channel of ["a", "p.x"]) scene.publish(channel, "4");
  await scene.pass();
  for (const { heard, gaps } of [one, two]) {
    for (const channel of ["a", "p.x"]) {
      const own = heard.filter((text) => text.startsWith(`${channel} `));
      expect(own).toEqual([1, 2, 3, 4].map((n) => `${channel} ${n}`));
    }
    expect(gaps).toEqual([]);
  }
});

test("after a loss all tabs come back to one connection, and nothing is missing", async () => {
  const scene = new Scene();
  const tabs = [
    await scene.reader("ann:1", "a", "p.*"),
    await scene.reader("ann:2", "p.*", "p.x"),
    await scene.reader("ann:3", "a", "p.**"),
  ];
  for (const channel of ["a", "p.x", "p.y"]) scene.publish(channel, "1");
  await scene.pass();
  scene.server.cut();
  await scene.pass();
  expect(tabs.map(({ client }) => client.state)).toEqual(Array(3).fill("connecting"));
  for (const channel of ["a", "p.x", "p.y"]) scene.publish(channel, "2");
  await scene.pass(5_000);
  expect(scene.server.sessions).toHaveLength(1);
  for (const channel of ["a", "p.x", "p.y"]) scene.publish(channel, "3");
  await scene.pass();
  const expected = (channels: readonly string[]) =>
    channels.flatMap((channel) => [1, 2, 3].map((n) => `${channel} ${n}`));
  expect(tabs[0]?.heard.toSorted()).toEqual(expected(["a", "p.x", "p.y"]));
  // A message goes to every subscription that stands for its channel.
  expect(tabs[1]?.heard.toSorted()).toEqual(expected(["p.x", "p.x", "p.y"]).toSorted());
  expect(tabs[2]?.heard.toSorted()).toEqual(expected(["a", "p.x", "p.y"]));
  expect(tabs.flatMap(({ gaps }) => gaps)).toEqual([]);
});

test("what one tab asks for of the past comes to no other", async () => {
  const scene = new Scene();
  for (const text of ["1", "2", "3"]) scene.publish("a", text);
  const live = await scene.reader("ann:1", "a");
  const last = scene.tab({ token: "ann:1" });
  scene.listen(last, "a", { rewind: 2 });
  const since = scene.tab({ token: "ann:1" });
  scene.listen(since, "a", { since: { epoch: scene.server.epoch, offset: 1 } });
  await scene.pass();
  scene.publish("a", "4");
  await scene.pass();
  expect(live.heard).toEqual(["a 4"]);
  for (const tab of [last, since]) expect(tab.heard).toEqual(["a 2", "a 3", "a 4"]);
});

/** What tabs ask for in these tests, by the place of the channel `room.a`. */
const channelAt = (offset: number, epoch = "epoch-1"): SubscriptionRequest => ({
  channel: "room.a",
  since: { epoch, offset },
});
const patternAt = (channel: string, offset: number, epoch = "epoch-1"): SubscriptionRequest => ({
  channel,
  since: { epoch: "epoch-1", offset: 0 },
  positions: { "room.a": { epoch, offset } },
});

/** The offsets of `room.a` that a tab was given, and the reasons of gaps. */
function toldOf({ given }: BareTab) {
  const frames = given();
  const gaps = frames.flatMap(({ gap, recovered }) => gap ?? recovered?.gap ?? []);
  return {
    offsets: frames.flatMap(({ publication }) =>
      (publication?.messages ?? []).map(({ offset }) => offset),
    ),
    gaps: gaps.map(({ channel, reason }) => `${channel} ${reason}`),
  };
}

function publishNine(scene: Scene): void {
  for (let n = 1; n <= 9; n++) scene.publish("room.a", `${n}`);
}

test.each([
  ["a channel is ahead of a pattern", [channelAt(7), patternAt("room.*", 5)]],
  ["a pattern is ahead of a channel", [channelAt(5), patternAt("room.*", 7)]],
  ["a pattern is ahead of another one", [patternAt("room.*", 7), patternAt("room.**", 5)]],
  [
    "a channel that asks for nothing has several",
    [{ channel: "room.a" }, patternAt("room.*", 7), patternAt("room.**", 5)],
  ],
])("a tab comes back to the lowest of its places where %s", async (_name, requested) => {
  for (const hasCompany of [false, true]) {
    for (const asked of [requested, requested.toReversed()]) {
      const scene = new Scene();
      publishNine(scene);
      if (hasCompany) await scene.reader("ann:1", "room.a", "room.**");
      const tab = scene.bareTab("ann:1");
      tab.connect(...asked);
      await scene.pass();
      expect(toldOf(tab)).toEqual({ offsets: [6, 7, 8, 9], gaps: [] });
    }
  }
});

test("a pattern that a tab asks for later brings what its channel has had already", async () => {
  const scene = new Scene();
  publishNine(scene);
  const tab = scene.bareTab("ann:1");
  tab.connect({ channel: "room.a" });
  await scene.pass();
  scene.publish("room.a", "10");
  await scene.pass();
  tab.subscribe(patternAt("room.*", 5));
  await scene.pass();
  expect(toldOf(tab)).toEqual({ offsets: [10, 6, 7, 8, 9, 10], gaps: [] });
});

test("a gap comes where a channel is at another log than a pattern", async () => {
  for (const asked of [
    [channelAt(7, "epoch-0"), patternAt("room.*", 5)],
    [patternAt("room.*", 5), channelAt(7, "epoch-0")],
  ]) {
    const scene = new Scene();
    publishNine(scene);
    const tab = scene.bareTab("ann:1");
    tab.connect(...asked);
    await scene.pass();
    const { offsets, gaps } = toldOf(tab);
    expect(offsets.slice(-4)).toEqual([6, 7, 8, 9]);
    expect(gaps).toContain("room.a epoch_changed");
  }
});

test("a gap comes where one request begins a channel anew and goes on with a pattern", async () => {
  const entry = { channel: "room.a", rewind: 2 };
  for (const asked of [
    [entry, patternAt("room.*", 5)],
    [patternAt("room.*", 5), entry],
  ]) {
    const scene = new Scene();
    publishNine(scene);
    const tab = scene.bareTab("ann:1");
    tab.connect();
    await scene.pass();
    tab.subscribe(...asked);
    await scene.pass();
    expect(toldOf(tab)).toEqual({ offsets: [8, 9], gaps: ["room.a unavailable"] });
  }
});

test("a channel that begins anew during a loss leaves its pattern what it has missed", async () => {
  const scene = new Scene();
  const other = await scene.reader("ann:1", "room.a");
  const tab = await scene.reader("ann:1", "room.*");
  scene.publish("room.a", "1");
  await scene.pass();
  scene.server.cut();
  await scene.pass();
  for (const text of ["2", "3", "4"]) scene.publish("room.a", text);
  const last: unknown[] = [];
  tab.client.subscribe("room.a", { rewind: 2, onMessage: ({ data }) => last.push(data) });
  await scene.pass(5_000);
  scene.publish("room.a", "5");
  await scene.pass();
  expect(last).toEqual(["3", "4", "5"]);
  for (const { heard, gaps } of [tab, other]) {
    expect(heard).toEqual(["1", "2", "3", "4", "5"].map((text) => `room.a ${text}`));
    expect(gaps).toEqual([]);
  }
});

test("a subscription that was ended before its turn came does not come to life", async () => {
  const scene = new Scene();
  const other = await scene.reader("ann:1", "a");
  const tab = await scene.reader("ann:1", "b");
  const heard: unknown[] = [];
  const since = { epoch: scene.server.epoch, offset: 0 };
  const subscription = tab.client.subscribe("a", { since, onMessage: (m) => heard.push(m.data) });
  const ending = subscription.unsubscribe();
  await scene.pass();
  await ending;
  scene.publish("a", "1");
  await scene.pass();
  expect(heard).toEqual([]);
  expect(other.heard).toEqual(["a 1"]);
  await other.client.close();
  await scene.pass();
  expect(scene.server.sessions[0]?.channels).toEqual(["b"]);
});

test("a slow tab gets a gap of its own, and goes on", async () => {
  const scene = new Scene();
  const slow = await scene.reader("ann:1", "a", "b");
  const quick = await scene.reader("ann:1", "a");
  slow.wire().freeze();
  for (let n = 1; n <= 11_000; n++) {
    scene.publish("a", `${n}`);
    if (n % 1_000 === 0) await scene.pass();
  }
  expect(quick.heard).toHaveLength(11_000);
  expect(slow.wire().toTab.length).toBeLessThan(10_100);
  slow.wire().thaw();
  await scene.pass();
  scene.publish("a", "11001");
  scene.publish("b", "1");
  await scene.pass();
  expect(slow.heard.slice(9_998)).toEqual(["a 9999", "a 10000", "a 11001", "b 1"]);
  const { epoch } = scene.server;
  expect(slow.gaps).toEqual([
    {
      channel: "a",
      reason: "limit",
      after: { epoch, offset: 10_000 },
      until: { epoch, offset: 11_000 },
    },
  ]);
  expect(quick.gaps).toEqual([]);
});

test("one tab brings a new token for all; one of another user leaves", async () => {
  const scene = new Scene();
  const asked: string[] = [];
  const tabs = ["one", "two"].map((name) =>
    scene.tab({
      token: "ann:1",
      getToken: ({ reason }) => {
        asked.push(`${name} ${reason}`);
        return "ann:2";
      },
    }),
  );
  await scene.pass();
  scene.server.sessions[0]?.tell({ token_expiring: { expires_at: 0 } });
  await scene.pass(20_000);
  expect(asked).toEqual(["one expiring"]);
  expect(scene.hub.sessions.map(({ token }) => token)).toEqual(["ann:2"]);
  const [one, two] = tabs;
  await expect(two?.client.refresh("ann:bad")).rejects.toMatchObject({ code: "AUTH_ERROR" });
  expect(two?.client.state).toBe("connected");
  const moved = two?.client.refresh("bob:1").catch(({ code }) => code);
  await scene.pass(5_000);
  expect(await moved).toBe("UNAVAILABLE");
  expect(two?.client).toMatchObject({ state: "connected", userId: "bob" });
  expect(one?.client).toMatchObject({ state: "connected", userId: "ann" });
  expect(scene.server.sessions.map(({ userId }) => userId).sort()).toEqual(["ann", "bob"]);
});

test("a tab whose getToken brings another user goes to that user's connection", async () => {
  const scene = new Scene();
  let user = "ann";
  const tab = scene.tab({ getToken: () => `${user}:1` });
  const stays = await scene.reader("ann:1", "a");
  expect(scene.server.sessions).toHaveLength(1);
  user = "bob";
  await scene.pass(61_000);
  scene.server.cut();
  await scene.pass(5_000);
  expect(tab.client.userId).toBe("bob");
  expect(stays.client.userId).toBe("ann");
  expect(scene.server.sessions).toHaveLength(2);
});

test("the server's words at the end reach every tab", async () => {
  const scene = new Scene();
  const tabs = [await scene.reader("ann:1", "a"), await scene.reader("ann:1", "b")];
  scene.server.sessions[0]?.disconnect(3503, "force disconnect");
  await scene.pass(60_000);
  for (const { client } of tabs) {
    expect(client.state).toBe("closed");
    await expect(client.publish("a", 1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  }
  const later = await scene.reader("ann:1", "a");
  scene.server.sessions[0]?.disconnect(3512, "server going away", 40_000);
  await scene.pass(39_000);
  expect(later.client.state).toBe("connecting");
  await scene.pass(45_000);
  expect(later.client.state).toBe("connected");
});

test("what the server's side subscribes a session to is all tabs', later ones' as well", async () => {
  const scene = new Scene();
  const strays: string[] = [];
  const tab = () => {
    const made = scene.tab({ token: "ann:1" });
    made.client.addEventListener("message", ({ detail }) => strays.push(`${detail.data}`));
    return made;
  };
  const one = tab();
  await scene.pass();
  const [session] = scene.server.sessions;
  const position = { epoch: scene.server.epoch, offset: 0 };
  session?.tell({ subscribed: { subscriptions: [{ channel: "news", position }] } });
  const tell = (offset: number) => {
    const payload = { id: `${offset}`, source: "/s", type: "t", text_data: `n${offset}` };
    const message = { channel: "news", epoch: position.epoch, offset, payload };
    session?.tell({ publication: { messages: [message] } });
  };
  tell(1);
  await scene.pass();
  const two = tab();
  await scene.pass();
  tell(2);
  await scene.pass();
  expect(strays).toEqual(["n1", "n2", "n2"]);
  session?.tell({ unsubscribed: { subscriptions: [{ channel: "news" }] } });
  await scene.pass();
  tell(3);
  await scene.pass();
  expect(strays).toHaveLength(3);
  for (const { gaps } of [one, two]) expect(gaps).toEqual([]);
});

test("errors, answers and sizes are those of a connection of one's own", async () => {
  const scene = new Scene({
    authorize: (_user, channel) => {
      if (channel === "secret") throw new MessagingError("ACL_ERROR", "no");
    },
  });
  const { client } = await scene.reader("ann:1", "a");
  const other = await scene.reader("ann:1", "a");
  const secret = client.subscribe("secret", () => {});
  const published = client.publish("a", { n: 1 });
  const answer = client.rpc("a", "echo", { x: [1] });
  const bytes = client.rpc("a", "echo", new Uint8Array([0, 255]));
  const large = client.publish("a", "x".repeat(70_000)).catch(({ code }) => code);
  const page = client.history("a");
  const members = client.presence("a");
  await scene.pass();
  await expect(secret.ready).rejects.toMatchObject({ code: "ACL_ERROR" });
  expect(await published).toMatchObject({ offset: 1, duplicate: false });
  expect(await answer).toEqual({ x: [1] });
  expect(await bytes).toEqual(new Uint8Array([0, 255]));
  expect(await large).toBe("TOO_LARGE");
  expect((await page).messages.map(({ data }) => data)).toEqual([{ n: 1 }]);
  // One session for both.
  expect(await members).toMatchObject({ total: 1 });
  expect(other.client.state).toBe("connected");
});

test("the hub of another version, and one for another server, say so", async () => {
  for (const [message, text] of [
    [{ version: "0.0.1" }, /the worker is of version .*, not 0\.0\.1/],
    [{ url: "ws://elsewhere/ws" }, /this connection goes to ws:\/\/fake\/ws/],
  ] as const) {
    const scene = new Scene();
    const wire = new Wire();
    scene.hub.attach(wire.hub);
    wire.tab.send({
      ...{ kind: "open", version: SDK_VERSION, url: URL_OF_ALL },
      ...{ subprotocol: "messageloop+json", ...message },
    });
    await scene.pass();
    expect(wire.toTab).toMatchObject([{ kind: "ended", fatal: true }]);
    expect(JSON.stringify(wire.toTab)).toMatch(text);
  }
});
