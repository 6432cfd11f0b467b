/** How a connection begins, lives, is lost and comes back. */
import { expect, test } from "vitest";
import { CAPABILITIES } from "../../../src/client/core/connection.ts";
import { dial } from "../../../src/client/dial.ts";
import { DISCONNECTS } from "../../../src/protocol/codes.ts";
import { connectedScene, Scene } from "./scripted.ts";

test("connect names the client, and ready settles when it is answered", async () => {
  const scene = new Scene({ clientType: "web", version: "3", token: "t" });
  expect(scene.client.state).toBe("connecting");
  expect(scene.transport).toMatchObject({ url: "ws://scripted", subprotocol: "messageloop+json" });
  scene.transport.connect({ session_id: "s", user_id: "u" });
  expect(scene.transport.sent).toMatchObject([
    {
      connect: {
        client_id: "me",
        client_type: "web",
        token: "t",
        version: "3",
        capabilities: CAPABILITIES,
      },
    },
  ]);
  await scene.client.ready;
  expect(scene.client).toMatchObject({ state: "connected", sessionId: "s", userId: "u" });
  expect(scene.states).toEqual(["connected"]);
});

test("a refusal of connect rejects with its code and how the connection ended", async () => {
  const scene = new Scene();
  scene.transport.opened();
  scene.transport.answer({ error: { code: "AUTH_ERROR", message: "who are you" } });
  expect(scene.client.state).toBe("connecting");
  scene.transport.end(3500, "invalid token");
  await expect(scene.client.ready).rejects.toMatchObject({
    code: "AUTH_ERROR",
    message: "who are you",
    close: { code: 3500, reason: "invalid token" },
  });
  expect(scene.client.state).toBe("closed");
  expect(scene.clock.timers).toBe(0);
});

test("dial rejects when its first attempt fails, and createClient goes on", async () => {
  const impatient = new Scene({ patient: false });
  impatient.transport.end(1006);
  await expect(impatient.client.ready).rejects.toMatchObject({
    code: "UNAVAILABLE",
    close: { code: 1006 },
  });
  expect(impatient.clock.timers).toBe(0);
  const patient = new Scene();
  patient.transport.end(1006);
  await patient.clock.advance(500);
  patient.transport.connect();
  await patient.client.ready;
});

test("an attempt without an answer is given up, and another one made", async () => {
  const scene = new Scene({ connectTimeoutMs: 5_000 });
  scene.transport.opened();
  await scene.clock.advance(5_000);
  expect(scene.transport.closed).toMatchObject({ code: 3000 });
  await scene.clock.advance(500);
  expect(scene.transports).toHaveLength(2);
});

test.each([
  ["ftp://x", "BAD_REQUEST"],
  ["not a url", "BAD_REQUEST"],
  ["/ws", "BAD_REQUEST"],
])("dial of %s is refused at once", async (url, code) => {
  await expect(dial(url)).rejects.toMatchObject({ name: "MessagingError", code });
});

test("an encoding that is given by its name only is refused with what to do", async () => {
  // @ts-expect-error: the name is what people try first.
  await expect(dial("ws://x", { encoding: "proto" })).rejects.toThrow("messageloop/protobuf");
});

test.each(Object.values(DISCONNECTS))(
  "close code $code: comes back is $reconnect",
  async ({ code, reconnect, reason }) => {
    const scene = connectedScene();
    scene.transport.end(code, reason);
    expect(scene.client.state).toBe(reconnect ? "connecting" : "closed");
    await scene.clock.advance(60_000);
    expect(scene.transports.length > 1).toBe(reconnect);
  },
);

test.each([
  [4000, true],
  [4499, true],
  [4500, false],
  [0, true],
  [1001, true],
])("close code %i of an application or a runtime: comes back is %s", (code, comesBack) => {
  const scene = connectedScene();
  scene.transport.end(code);
  expect(scene.client.state).toBe(comesBack ? "connecting" : "closed");
});

test("what the server says before it closes stands above the code", async () => {
  const away = connectedScene();
  away.transport.frame({ disconnect: { code: 3512, reason: "x", reconnect: false } });
  away.transport.end(3512);
  expect(away.client.state).toBe("closed");
  // On the wire nothing stands for false.
  const brief = connectedScene();
  brief.transport.frame({ disconnect: { code: 3512, reason: "x" } });
  brief.transport.end(3512);
  expect(brief.client.state).toBe("closed");
  // The close frame was lost.
  const lost = connectedScene();
  lost.transport.frame({ disconnect: { code: 3503, reason: "banned", reconnect: false } });
  lost.transport.end(1006);
  await expect(lost.client.publish("c", 1)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(lost.states).toEqual(["connecting", "connected", "closed"].slice(1));
});

test("the first try after a loss comes within half a second, and each further one within the double", async () => {
  const scene = connectedScene({ random: () => 0.999 });
  const delays: number[] = [];
  scene.client.addEventListener("statechange", ({ detail }) => {
    if (detail.retryInMs !== undefined) delays.push(Math.round(detail.retryInMs));
  });
  await scene.clock.advance(60_000);
  scene.transport.end(1006);
  for (let i = 0; i < 8; i++) {
    await scene.clock.advance(delays.at(-1) ?? 0);
    await scene.clock.advance(1);
    scene.transport.end(1006);
  }
  expect(delays).toEqual([500, 999, 1_998, 3_996, 7_992, 15_984, 19_980, 19_980, 19_980]);
  // A connection that has lasted makes all of that forgotten.
  await scene.clock.advance(20_000);
  scene.transport.connect();
  await scene.clock.advance(60_000);
  scene.transport.end(1006);
  expect(delays.at(-1)).toBe(500);
});

test("connections that are lost at once are no better than none", async () => {
  const scene = connectedScene({ random: () => 0.999 });
  const delays: number[] = [];
  scene.client.addEventListener("statechange", ({ detail }) => {
    if (detail.retryInMs !== undefined) delays.push(Math.round(detail.retryInMs));
  });
  for (let i = 0; i < 5; i++) {
    scene.transport.end(1011);
    await scene.clock.advance(20_000);
    scene.transport.connect();
  }
  expect(delays).toEqual([500, 999, 1_998, 3_996, 7_992]);
});

test("the delay that the server names is the least, and not the same for all clients that got it", async () => {
  const chances = [0.2, 0.6];
  const scene = connectedScene({ random: () => chances.shift() ?? 0 });
  scene.transport.frame({ disconnect: { code: 3512, reconnect: true, retry_after_ms: 9_000 } });
  scene.transport.end(3512);
  await scene.clock.advance(9_099);
  expect(scene.transports).toHaveLength(1);
  await scene.clock.advance(1);
  expect(scene.transports).toHaveLength(2);
  const { transport } = scene;
  transport.opened();
  transport.answer({ error: { code: "UNAVAILABLE", metadata: { retry_after_ms: 30_000 } } });
  transport.end(1011);
  await scene.clock.advance(30_599);
  expect(scene.transports).toHaveLength(2);
  await scene.clock.advance(1);
  expect(scene.transports).toHaveLength(3);
});

test("a network that is back is no reason to come before the server has allowed it", async () => {
  const scene = connectedScene();
  scene.transport.frame({ disconnect: { code: 3512, reconnect: true, retry_after_ms: 9_000 } });
  scene.transport.end(3512);
  scene.page.wake();
  await scene.clock.advance(8_999);
  expect(scene.transports).toHaveLength(1);
  await scene.clock.advance(1);
  expect(scene.transports).toHaveLength(2);
});

test("a network that is back is used at once", async () => {
  const scene = connectedScene({ random: () => 0.999 });
  scene.transport.end(1006);
  scene.page.wake();
  await scene.clock.advance(0);
  expect(scene.transports).toHaveLength(2);
  scene.transport.connect();
  expect(scene.transport.pings).toBe(0);
  // While connected it is a reason to look whether the connection still lives.
  scene.page.wake();
  expect(scene.transport.pings).toBe(1);
  expect(scene.transports).toHaveLength(2);
});

test("a page that is left closes, and comes back when it is shown", async () => {
  const scene = connectedScene();
  scene.page.sleep();
  expect(scene.transport.closed).toMatchObject({ code: 1000 });
  expect(scene.client.state).toBe("connecting");
  await scene.clock.advance(600_000);
  expect(scene.transports).toHaveLength(1);
  scene.page.wake();
  await scene.clock.advance(0);
  scene.transport.connect();
  expect(scene.states).toEqual(["connected", "connecting", "connected"]);
});

test("nothing of an earlier attempt is heard", async () => {
  const scene = new Scene({ connectTimeoutMs: 1_000 });
  const [old] = [scene.transport];
  await scene.clock.advance(2_000);
  expect(scene.transports).toHaveLength(2);
  old.connect();
  old.end(3503);
  expect(scene.client.state).toBe("connecting");
  expect(old.sent).toEqual([]);
  scene.transport.connect();
  expect(scene.client.state).toBe("connected");
});

test("after close nothing is delivered and nothing comes back, whenever it is called", async () => {
  const messages: unknown[] = [];
  for (const moment of ["connecting", "connected", "waiting"]) {
    const scene = new Scene();
    scene.client.subscribe("c", (message) => messages.push(message));
    if (moment !== "connecting") scene.transport.connect();
    if (moment === "waiting") scene.transport.end(1006);
    const { transport } = scene;
    const closing = scene.client.close();
    expect(scene.client.close()).toBeInstanceOf(Promise);
    expect(scene.client.state).toBe("closed");
    transport.frame({ publication: { messages: [{ channel: "c", epoch: "e", offset: 1 }] } });
    await scene.clock.advance(60_000);
    await closing;
    expect(scene.transports).toHaveLength(1);
    expect([scene.clock.timers, scene.page.watched]).toEqual([0, 0]);
    transport.end(1000);
  }
  expect(messages).toEqual([]);
});

test("close waits for the server, but not for long", async () => {
  const scene = connectedScene();
  let isClosed = false;
  const closing = scene.client.close().then(() => {
    isClosed = true;
  });
  expect(scene.transport.closed).toEqual({ code: 1000, reason: "client closing" });
  await scene.clock.advance(999);
  expect(isClosed).toBe(false);
  await scene.clock.advance(1);
  await closing;
  const prompt = connectedScene();
  const done = prompt.client.close();
  prompt.transport.end(1000);
  await done;
  expect(prompt.clock.timers).toBe(0);
});

test("a ping is sent as often as the server asks, and one without an answer ends the connection", async () => {
  const scene = connectedScene({}, { ping_interval_ms: 25_000 });
  for (let i = 1; i <= 3; i++) {
    await scene.clock.advance(25_000);
    expect(scene.transport.pings).toBe(i);
    scene.transport.alive();
  }
  await scene.clock.advance(25_000 + 10_999);
  expect(scene.client.state).toBe("connected");
  await scene.clock.advance(1);
  expect(scene.client.state).toBe("connecting");
  expect(scene.transport.closed).toMatchObject({ code: 3000 });
});

test("a pong that takes longer than the interval keeps the connection", async () => {
  const scene = connectedScene({}, { ping_interval_ms: 1_000 });
  for (let i = 0; i < 10; i++) {
    await scene.clock.advance(7_000);
    scene.transport.alive();
  }
  expect(scene.client.state).toBe("connected");
});

test("any frame is a sign of life", async () => {
  const scene = connectedScene({}, { ping_interval_ms: 1_000 });
  for (let i = 0; i < 10; i++) {
    await scene.clock.advance(9_000);
    scene.transport.frame({});
  }
  expect(scene.client.state).toBe("connected");
});

test("a pong that comes after a late timer is seen", async () => {
  const scene = connectedScene({}, { ping_interval_ms: 25_000 });
  await scene.clock.advance(25_000);
  // The page was frozen: the timer runs first, and then what has come in the meantime.
  await scene.clock.advance(10_000);
  scene.transport.alive();
  await scene.clock.advance(5_000);
  expect(scene.client.state).toBe("connected");
});

test("a pause that only the transport has heard of is kept as well", async () => {
  const scene = connectedScene();
  scene.transport.end(1006, "HTTP 503", { retryAfterMs: 7_000 });
  scene.page.wake();
  await scene.clock.advance(6_999);
  expect(scene.transports).toHaveLength(1);
  await scene.clock.advance(1);
  expect(scene.transports).toHaveLength(2);
});

test("a transport that says that no try can help ends it", async () => {
  const scene = new Scene();
  scene.transport.end(1006, "the server answered with another subprotocol", { fatal: true });
  await expect(scene.client.ready).rejects.toThrow("another subprotocol");
});

test("what was received is reported often enough for the server's credit", () => {
  const scene = connectedScene({}, { credit_bytes: 4_000 });
  const before = scene.transport.sent.length;
  scene.transport.frame({ id: "x".repeat(1_500) });
  expect(scene.transport.sent.slice(before)).toMatchObject([{ received: {} }]);
  const told = Number(scene.transport.last.received?.bytes);
  scene.transport.frame({ id: "ä".repeat(500) });
  scene.transport.frame({ id: "y" });
  expect(Number(scene.transport.last.received?.bytes)).toBe(told + 1_009);
});

test("a frame that cannot be read is reported, and the connection goes on", () => {
  const scene = connectedScene();
  scene.transport.text("{");
  expect(scene.errors).toMatchObject([{ code: "BAD_REQUEST" }]);
  expect(scene.client.state).toBe("connected");
});

test("a handler of the loss may close the client", async () => {
  const scene = connectedScene();
  scene.client.addEventListener("statechange", () => scene.client.close());
  scene.transport.end(1006);
  await scene.clock.advance(60_000);
  expect(scene.client.state).toBe("closed");
  expect(scene.transports).toHaveLength(1);
  expect(scene.clock.timers).toBe(0);
});

test("a signal closes the client", async () => {
  const controller = new AbortController();
  const scene = connectedScene({ signal: controller.signal });
  controller.abort();
  expect(scene.client.state).toBe("closed");
  await expect(dial("ws://x", { signal: controller.signal })).rejects.toThrow("aborted");
});
