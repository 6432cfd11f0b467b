/** Which way is taken to the server, and what is remembered of it. */
import { beforeEach, expect, test } from "vitest";
import { Client } from "../../../src/client/core/client.ts";
import type { ClientOptions } from "../../../src/client/core/options.ts";
import type { TransportEnd, TransportFactory } from "../../../src/client/core/ports.ts";
import {
  type FallbackOptions,
  fallback,
  type SessionMemory,
} from "../../../src/client/stream/index.ts";
import { ManualClock } from "../../../src/client/testing/manual-clock.ts";
import { MessagingError } from "../../../src/protocol/errors.ts";
import { ScriptedTransport } from "../core/scripted.ts";

const URL_OF_SERVER = "ws://scripted/ws?token=x";

/** What a tab would keep. */
let kept: Map<string, string>;
let memory: SessionMemory;

beforeEach(() => {
  kept = new Map();
  memory = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  };
});

/** A client with three ways, and what it has tried. */
class Scene {
  readonly clock = new ManualClock(undefined, () => 0.01);
  readonly tried: [name: string, transport: ScriptedTransport][] = [];
  readonly client: Client;

  constructor(
    names: readonly string[] = ["websocket", "connect-stream", "event-stream"],
    { patient = true, ...options }: FallbackOptions & { patient?: boolean } = {},
    more: ClientOptions = {},
  ) {
    const { clock } = this;
    const ways = names.map((name) => this.way(name));
    const transport = fallback(ways, { clock, memory, ...options });
    this.client = new Client(URL_OF_SERVER, { clock, transport, ...more }, undefined, patient);
  }

  way(name: string): TransportFactory {
    return {
      name,
      open: (url, subprotocol, events) => {
        if (name === "missing") throw new MessagingError("UNAVAILABLE", "none here");
        const transport = new ScriptedTransport(url, subprotocol, events);
        this.tried.push([name, transport]);
        return transport;
      },
    };
  }

  get names(): string[] {
    return this.tried.map(([name]) => name);
  }

  get last(): ScriptedTransport {
    const last = this.tried.at(-1);
    if (last === undefined) throw new Error("nothing was tried");
    return last[1];
  }

  /** Ends the way that is tried, as a proxy does that lets nothing through. */
  block(end: Partial<TransportEnd> = {}): void {
    const { code = 1006, reason = "", ...more } = end;
    this.last.end(code, reason, more);
  }
}

test("where the first way is open nothing else is tried, and nothing is remembered", async () => {
  const scene = new Scene();
  scene.last.connect();
  await scene.clock.advance(60_000);
  expect([scene.client.state, scene.names]).toEqual(["connected", ["websocket"]]);
  expect(kept.size).toBe(0);
});

test("a way that ends before it says anything gives room to the next, within one attempt", async () => {
  for (const opens of [false, true]) {
    const scene = new Scene(undefined, { patient: false });
    if (opens) scene.last.opened();
    scene.block();
    expect(scene.names).toEqual(["websocket", "connect-stream"]);
    scene.last.connect();
    await scene.client.ready;
    // Whatever was sent into the first way is said in the second.
    expect(scene.last.sent).toMatchObject([{ id: "0", connect: { client_type: "sdk" } }]);
    expect(scene.client.state).toBe("connected");
    // What comes of the first one is not heard any more.
    scene.tried[0]?.[1].end(3503);
    expect(scene.client.state).toBe("connected");
  }
});

test("a way that is silent gives room to the next after its time, and is taken for blocked", async () => {
  const scene = new Scene();
  scene.last.opened();
  await scene.clock.advance(9_999);
  expect(scene.names).toEqual(["websocket"]);
  await scene.clock.advance(1);
  expect(scene.names).toEqual(["websocket", "connect-stream"]);
  expect(scene.tried[0]?.[1].closed).toBeDefined();
  scene.last.connect();
  const next = new Scene();
  expect(next.names).toEqual(["connect-stream"]);
});

test("a way that ends while it is being closed is given up once", async () => {
  const scene = new Scene();
  const first = scene.last;
  // As Node's WebSocket does that is not open yet.
  first.close = () => first.end(1006);
  await scene.clock.advance(10_000);
  expect(scene.names).toEqual(["websocket", "connect-stream"]);
});

test("twice in a row makes a way blocked, for this client and for the next of the session", async () => {
  const scene = new Scene();
  scene.block();
  scene.last.connect();
  scene.last.end(1006);
  await scene.clock.advance(1_000);
  // Once may have been a restart.
  expect(scene.names.slice(2)).toEqual(["websocket"]);
  scene.block();
  scene.last.connect();
  scene.last.end(1006);
  await scene.clock.advance(1_000);
  expect(scene.names.slice(4)).toEqual(["connect-stream"]);
  expect(new Scene().names).toEqual(["connect-stream"]);
  // What a query holds is not written down.
  expect([...kept.keys()].join()).not.toContain("token");
  // A new session begins with the best.
  kept.clear();
  expect(new Scene().names).toEqual(["websocket"]);
});

test("a first way that gets through in between begins the count anew", async () => {
  const scene = new Scene();
  scene.block();
  scene.last.connect();
  scene.last.end(1006);
  await scene.clock.advance(1_000);
  scene.last.connect();
  scene.last.end(1006);
  await scene.clock.advance(2_000);
  expect(scene.names.at(-1)).toBe("websocket");
  scene.block();
  scene.last.connect();
  scene.last.end(1006);
  await scene.clock.advance(4_000);
  expect(scene.names.at(-1)).toBe("websocket");
});

test("where no way gets through none is remembered, and the client tries again as ever", async () => {
  const scene = new Scene();
  for (let i = 0; i < 3; i++) scene.block();
  expect([scene.client.state, scene.names]).toEqual([
    "connecting",
    ["websocket", "connect-stream", "event-stream"],
  ]);
  expect(kept.size).toBe(0);
  await scene.clock.advance(1_000);
  expect(scene.names.slice(3)).toEqual(["websocket"]);
});

test("what was remembered is forgotten when it does not get through, and the rest is tried", async () => {
  kept.set("messageloop transport scripted/ws", "2 connect-stream");
  const scene = new Scene();
  expect(scene.names).toEqual(["connect-stream"]);
  scene.block();
  expect(scene.names).toEqual(["connect-stream", "websocket"]);
  expect(kept.size).toBe(0);
  scene.last.connect();
  expect(new Scene().names).toEqual(["websocket"]);
});

test("the third way is remembered as well", async () => {
  for (let i = 0; i < 2; i++) {
    const scene = new Scene();
    scene.block();
    scene.block();
    scene.last.connect();
  }
  expect(new Scene().names).toEqual(["event-stream"]);
});

test("a note that this page has not made changes nothing", () => {
  for (const note of ["", "nonsense", "2 pigeon", "x connect-stream"]) {
    kept.set("messageloop transport scripted/ws", note);
    expect(new Scene().names).toEqual(["websocket"]);
  }
});

test.each([3500, 3503, 3512, 1008, 4500])("close code %i is the server's word", async (code) => {
  const scene = new Scene(undefined, { patient: false });
  scene.last.opened();
  scene.last.end(code, "why");
  await expect(scene.client.ready).rejects.toMatchObject({ close: { code, reason: "why" } });
  expect(scene.names).toEqual(["websocket"]);
});

test("a refused token is refused by every way, so that none other is tried", async () => {
  const scene = new Scene(undefined, { patient: false });
  scene.last.opened();
  scene.last.answer({ error: { code: "AUTH_ERROR", message: "who are you" } });
  // Even where the close frame is lost.
  scene.last.end(1006);
  await expect(scene.client.ready).rejects.toMatchObject({ code: "AUTH_ERROR" });
  expect(scene.names).toEqual(["websocket"]);
});

test("what no try can help ends it at once", async () => {
  const scene = new Scene();
  scene.block({ reason: "another subprotocol", fatal: true });
  await expect(scene.client.ready).rejects.toThrow("another subprotocol");
  expect(scene.names).toEqual(["websocket"]);
});

test("a loss after the server has spoken is none of the way's", async () => {
  const scene = new Scene();
  scene.last.connect();
  scene.last.end(1006);
  await scene.clock.advance(1_000);
  expect(scene.names).toEqual(["websocket", "websocket"]);
});

test("a way that the runtime does not have is left out", async () => {
  const scene = new Scene(["missing", "connect-stream"]);
  expect(scene.names).toEqual(["connect-stream"]);
  scene.last.connect();
  await scene.client.ready;
  const later = new Scene(["websocket", "missing"]);
  later.block();
  expect(later.client.state).toBe("connecting");
  await later.clock.advance(1_000);
  expect(later.names).toEqual(["websocket", "websocket"]);
  const none = new Scene(["missing", "missing"]);
  await expect(none.client.ready).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("the first reason and the longest pause count where no way gets through", async () => {
  const scene = new Scene(undefined, { patient: false });
  scene.block();
  scene.block({ reason: "HTTP 503", retryAfterMs: 9_000 });
  scene.block({ reason: "later", retryAfterMs: 1_000 });
  await expect(scene.client.ready).rejects.toMatchObject({
    close: { code: 1006, reason: "HTTP 503" },
  });
  const patient = new Scene();
  patient.block();
  patient.block({ retryAfterMs: 9_000 });
  patient.block();
  // The pause, and a hundredth of the 500 ms within which clients of the same pause come back.
  await patient.clock.advance(9_004);
  expect(patient.names).toHaveLength(3);
  await patient.clock.advance(1);
  expect(patient.names).toHaveLength(4);
});

test("a client that is closed on the way closes what it is trying, and tries nothing more", async () => {
  const scene = new Scene();
  scene.block();
  const closing = scene.client.close();
  expect(scene.last.closed).toMatchObject({ code: 1000 });
  scene.block();
  await closing;
  await scene.clock.advance(60_000);
  expect(scene.names).toEqual(["websocket", "connect-stream"]);
  expect(scene.clock.timers).toBe(0);
});

test("what is no URL is refused before any way is tried", async () => {
  const way = new Scene().way("websocket");
  const open = () => fallback([way], { memory }).open("not a url", "messageloop+json", {} as never);
  expect(open).toThrow(expect.objectContaining({ code: "BAD_REQUEST" }));
});

test("without any way there is no fallback", () => {
  expect(() => fallback([])).toThrow(expect.objectContaining({ code: "BAD_REQUEST" }));
});

test("what is remembered lasts for the process where there is no tab", () => {
  const options = { memory: undefined } as unknown as FallbackOptions;
  const name = `way-${crypto.randomUUID()}`;
  const make = () => new Scene(["websocket", name], options);
  for (let i = 0; i < 2; i++) {
    const scene = make();
    scene.block();
    scene.last.connect();
  }
  const third = make();
  expect(third.names).toEqual([name]);
  // And is forgotten, so that no other test finds it.
  third.block();
  expect(make().names).toEqual(["websocket"]);
});
