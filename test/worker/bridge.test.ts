/** The bridge between a gateway's socket and a client whose answer ends in the Worker. */
import { expect, test } from "vitest";
import { DISCONNECTS } from "../../src/protocol/codes.ts";
import { askedClose } from "../../src/worker/close.ts";
import { Bridge, type BridgeOptions } from "../../src/worker/doors/bridge.ts";
import { clock, timers } from "../../src/worker/platform.ts";
import { eventually } from "../support/eventually.ts";

const LONG = 60_000;

interface Scene {
  readonly bridge: Bridge;
  readonly gateway: WebSocket;
  /** What the gateway has heard: texts, and how its socket was closed. */
  readonly heard: string[];
}

function scene(options: Partial<BridgeOptions> = {}): Scene {
  const { 0: client, 1: gateway } = new WebSocketPair();
  const heard: string[] = [];
  gateway.accept();
  gateway.addEventListener("message", ({ data }) => {
    heard.push(`${data}`);
  });
  gateway.addEventListener("close", ({ code, reason }) => {
    heard.push(`closed ${code} ${reason}`);
  });
  const bridge = new Bridge(client, {
    heartbeatMs: LONG,
    lifetimeMs: LONG,
    lifetimeEnd: DISCONNECTS.goingAway,
    returnAfterMs: 1_500,
    maxQueueBytes: 10_000,
    clock,
    timers,
    abandon: () => {
      heard.push("abandoned");
    },
    ...options,
  });
  return { bridge, gateway, heard };
}

const LEFT = "closed 1001 client gone";

test("frames pass in both directions as they are, and a close tells why", async () => {
  const { bridge, gateway, heard } = scene();
  bridge.send("connect");
  gateway.send("text");
  gateway.send(new Uint8Array([1, 2]));
  gateway.close(3503, "invalid token");
  expect(await bridge.next()).toEqual({ kind: "frame", frame: "text" });
  expect(await bridge.next()).toEqual({ kind: "frame", frame: new Uint8Array([1, 2]) });
  const end = { kind: "end", disconnect: { code: 3503, reason: "invalid token" } };
  expect(await bridge.next()).toEqual(end);
  await eventually(() => heard.length === 2);
  expect(heard).toEqual(["connect", "closed 3503 invalid token"]);
});

test("there is a heartbeat where there was nothing else", async () => {
  const { bridge, gateway } = scene({ heartbeatMs: 300 });
  expect(await bridge.next()).toEqual({ kind: "heartbeat" });
  gateway.send("m");
  expect(await bridge.next()).toMatchObject({ kind: "frame" });
  expect(await bridge.next()).toEqual({ kind: "heartbeat" });
  bridge.leave();
});

test("a stream that is old is ended by its gateway, which is asked to", async () => {
  const { bridge, gateway, heard } = scene({ lifetimeMs: 20 });
  const next = bridge.next();
  await eventually(() => heard.length === 1);
  expect(askedClose(heard[0] ?? "")).toEqual({ code: 3512, retryAfterMs: 1_500 });
  gateway.send("disconnect");
  gateway.close(3512, "server going away");
  expect(await next).toEqual({ kind: "frame", frame: "disconnect" });
  expect(await bridge.next()).toMatchObject({ kind: "end", disconnect: { code: 3512 } });
});

test("a client that does not read is closed, and what waits for it is forgotten", async () => {
  const { bridge, gateway, heard } = scene({ maxQueueBytes: 5_000 });
  for (let i = 0; i < 100; i++) gateway.send("x".repeat(1_000));
  await eventually(() => heard.length === 1);
  expect(askedClose(heard[0] ?? "")?.code).toBe(3510);
  gateway.close(3510, "slow consumer");
  expect(await bridge.next()).toMatchObject({ kind: "end", disconnect: { code: 3510 } });
});

test("who leaves closes the socket, whatever waits, and nothing goes on", async () => {
  const lifetimeMs = 500;
  const { bridge, gateway, heard } = scene({ heartbeatMs: 5, lifetimeMs });
  gateway.send("never read");
  const waiting = bridge.next();
  await waiting;
  const next = bridge.next();
  bridge.leave();
  expect(await next).toEqual({ kind: "end", disconnect: undefined });
  await eventually(() => heard.length === 1);
  await new Promise((resolve) => setTimeout(resolve, lifetimeMs + 50));
  expect(heard).toEqual([LEFT]);
});

test("a gateway that does not end a session it was asked to end is not waited for long", async () => {
  const asked: (() => void)[] = [];
  const { bridge, heard } = scene({
    timers: {
      after: (ms, callback) => {
        if (ms === 5_000) asked.push(callback);
        return () => {};
      },
    },
  });
  bridge.close(DISCONNECTS.goingAway);
  bridge.close(DISCONNECTS.slowConsumer);
  expect(asked).toHaveLength(1);
  asked[0]?.();
  expect(await bridge.next()).toEqual({ kind: "end", disconnect: DISCONNECTS.goingAway });
  await eventually(() => heard.length === 2);
  expect(heard).toEqual(["close 3512 0", "closed 3512 server going away"]);
});

test.each([
  ["its end", 5_000, (gateway: WebSocket) => gateway.close(3511, "idle timeout")],
  ["a gateway that was lost", 5_000, (gateway: WebSocket) => gateway.close()],
  ["3510", 30_000, (gateway: WebSocket) => gateway.send("x".repeat(20_000))],
])("a client that does not read up to %s is abandoned", async (_, patience, end) => {
  const waits = new Map<() => void, number>();
  const later = {
    after: (ms: number, callback: () => void) => {
      waits.set(callback, ms);
      return () => waits.delete(callback);
    },
  };
  const due = (ms: number): (() => void)[] =>
    [...waits].filter(([, wait]) => wait === ms).map(([callback]) => callback);
  const { gateway, heard } = scene({ timers: later });
  gateway.addEventListener("message", ({ data }) => {
    if (`${data}`.startsWith("close 3510")) gateway.close(3510, "slow consumer");
  });
  end(gateway);
  await eventually(() => waits.size === 1 && due(patience).length === 1);
  due(patience)[0]?.();
  expect(heard).toContain("abandoned");
});

test("a client that reads its end is not abandoned", async () => {
  const { bridge, gateway, heard } = scene({
    timers: { after: (ms, callback) => timers.after(ms === 5_000 ? 50 : ms, callback) },
  });
  gateway.close(3511, "idle timeout");
  expect(await bridge.next()).toMatchObject({ kind: "end" });
  bridge.leave();
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(heard).not.toContain("abandoned");
});

test("only what a bridge says by itself is none of the client's", () => {
  expect(askedClose('{"ping":{}}')).toBeUndefined();
  expect(askedClose(new Uint8Array([1]))).toBeUndefined();
  expect(askedClose("close 3510 0")).toEqual({ code: 3510, retryAfterMs: 0 });
});
