/** Connect streams, in both encodings, against a server that is the test. */
import { fromBinary, fromJsonString } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Client } from "../../../src/client/core/client.ts";
import type { ClientOptions } from "../../../src/client/core/options.ts";
import type { TransportEnd } from "../../../src/client/core/ports.ts";
import { protobuf } from "../../../src/client/protobuf/index.ts";
import { connectStream } from "../../../src/client/stream/index.ts";
import { MOST_BYTES, MOST_FRAMES } from "../../../src/client/stream/sends.ts";
import { ManualClock } from "../../../src/client/testing/manual-clock.ts";
import type { Frame } from "../../../src/client/wire/frames.ts";
import { json } from "../../../src/client/wire/json.ts";
import { codecFor } from "../../../src/protocol/codec.ts";
import {
  ConnectSchema,
  SendRequestSchema,
} from "../../../src/protocol/gen/messageloop/v1/service_pb.js";
import { MAX_HELD_BYTES, MAX_SEND_MESSAGES } from "../../../src/protocol/limits.ts";
import {
  endOfStream,
  envelope,
  frame,
  type Outbound,
  ScriptedFetch,
  settled,
} from "./scripted-fetch.ts";

type Type = "json" | "proto";

const OPENED: Outbound = {
  envelope: {
    case: "opened",
    value: { sessionId: "node.7", secret: "the secret", heartbeatIntervalMs: 15_000 },
  },
};
const HEARTBEAT: Outbound = { envelope: { case: "pong", value: {} } };
const CONNECTED: Outbound = {
  time: 1_767_225_600_000n,
  envelope: {
    case: "connected",
    value: { sessionId: "node.7", capabilities: ["control", "recovery"], maxMessageBytes: 65_536 },
  },
};

function farewell(code: number, message: string): Outbound {
  const value = { code: "DISCONNECT_ERROR", type: "transport_error", message, metadata: { code } };
  return { id: "x", envelope: { case: "error", value } };
}

/** A transport alone, and what it reports. */
class Scene {
  readonly clock = new ManualClock();
  readonly server = new ScriptedFetch();
  readonly told: string[] = [];
  readonly frames: Frame[] = [];
  end: TransportEnd | undefined;
  readonly type: Type;
  readonly transport;

  constructor(type: Type = "json", url = "wss://example.com/ws") {
    this.type = type;
    const { fetch } = this.server;
    this.transport = connectStream({ fetch, clock: this.clock }).open(url, `messageloop+${type}`, {
      opened: () => this.told.push("opened"),
      frame: (one) => {
        this.told.push("frame");
        this.frames.push(one);
      },
      alive: () => this.told.push("alive"),
      ended: (end) => {
        this.told.push("ended");
        this.end = end;
      },
    });
  }

  /** Sends connect, and begins the stream unless it is not to. */
  async open(begins = true): Promise<void> {
    await settled();
    const { encode } = this.type === "json" ? json : protobuf;
    this.transport.send(encode({ id: "0", connect: { client_id: "me", token: "t" } }));
    await settled();
    if (!begins) return;
    this.server.last("Open").stream(`application/connect+${this.type}`);
    await this.write(OPENED);
  }

  async write(...messages: Outbound[]): Promise<void> {
    const call = this.server.last("Open");
    for (const message of messages) call.write(frame(this.type, message));
    await settled();
  }

  say(...ids: string[]): void {
    const { encode } = this.type === "json" ? json : protobuf;
    for (const id of ids) this.transport.send(encode({ id, ping: {} }));
  }

  /** What the calls of Send carried. */
  get sends() {
    return this.server.of("Send").map(({ body, text, headers }) => {
      const { seq, sessionId, messages } =
        this.type === "json"
          ? fromJsonString(SendRequestSchema, text)
          : fromBinary(SendRequestSchema, body);
      expect([sessionId, headers.get("Messageloop-Stream-Secret")]).toEqual([
        "node.7",
        "the secret",
      ]);
      return `${seq}: ${messages.map(({ id }) => id).join(" ")}`;
    });
  }

  /** Answers the last call of Send. */
  async take(): Promise<void> {
    const body = this.type === "json" ? '{"seq":"1"}' : "\x08\x01";
    this.server.last("Send").respond(200, body, { "Content-Type": `application/${this.type}` });
    await settled();
  }
}

describe.each<Type>(["json", "proto"])("%s", (type) => {
  test("a stream is opened by what connect says, and its frames are the session's", async () => {
    const scene = new Scene(type);
    expect(scene.told).toEqual([]);
    await scene.open();
    const { url, headers, body } = scene.server.last("Open");
    expect(url).toBe("https://example.com/messageloop.v1.MessagingService/Open");
    expect(headers.get("Content-Type")).toBe(`application/connect+${type}`);
    const connect = body.subarray(5);
    expect(new DataView(body.buffer).getUint32(1)).toBe(connect.length);
    const read =
      type === "json"
        ? fromJsonString(ConnectSchema, new TextDecoder().decode(connect))
        : fromBinary(ConnectSchema, connect);
    expect(read).toMatchObject({ clientId: "me", token: "t" });
    await scene.write(CONNECTED, HEARTBEAT);
    expect(scene.told).toEqual(["opened", "frame", "frame", "alive"]);
    const { decodeOutbound } = codecFor(type);
    expect(scene.frames.map((one) => decodeOutbound(one).envelope.case)).toEqual([
      "opened",
      "connected",
    ]);
  });

  test("what is said while a call is under way goes out together in the next", async () => {
    const scene = new Scene(type);
    await scene.open(false);
    scene.say("early");
    await settled();
    expect(scene.sends).toEqual([]);
    scene.server.last("Open").stream(`application/connect+${type}`);
    await scene.write(OPENED);
    scene.say("a");
    await settled();
    scene.say("b", "c");
    await settled();
    expect(scene.sends).toEqual(["1: early"]);
    await scene.take();
    expect(scene.sends).toEqual(["1: early", "2: a b c"]);
    await scene.take();
    scene.say("d", "e");
    await settled();
    expect(scene.sends.slice(2)).toEqual(["5: d e"]);
    expect(scene.server.last("Send").headers.get("Content-Type")).toBe(`application/${type}`);
  });

  test("a call whose answer is lost is made again as it was, and the others wait", async () => {
    const scene = new Scene(type);
    await scene.open();
    scene.say("a", "b");
    await settled();
    for (const lose of [
      () => scene.server.last("Send").fail(),
      () => scene.server.last("Send").respond(503),
      () => scene.server.last("Send").respond(408),
      // A proxy's own page.
      () => scene.server.last("Send").respond(200, "<html>", { "Content-Type": "text/html" }),
    ]) {
      lose();
      scene.say("c");
      await settled();
      await scene.clock.advance(4_000);
    }
    expect(scene.sends).toEqual(Array.from({ length: 5 }, () => "1: a b"));
    await scene.take();
    expect(scene.sends.at(-1)).toBe("3: c c c c");
    expect(scene.end).toBeUndefined();
  });

  test("the server's farewell names the close code, and no application hears of it", async () => {
    const scene = new Scene(type);
    await scene.open();
    await scene.write(CONNECTED, farewell(3503, "banned"));
    expect(scene.frames).toHaveLength(2);
    expect(scene.end).toBeUndefined();
    scene.server.last("Open").write(endOfStream());
    await settled();
    expect(scene.end).toMatchObject({ code: 3503, reason: "banned" });
    expect(scene.server.last("Open").signal?.aborted).toBe(true);
  });

  test("a farewell counts though the end after it is lost", async () => {
    const scene = new Scene(type);
    await scene.open();
    await scene.write(farewell(3512, "server going away"));
    scene.server.last("Open").fail();
    await settled();
    expect(scene.end).toMatchObject({ code: 3512, reason: "server going away" });
  });

  test("an error that is not the last message is the session's", async () => {
    const scene = new Scene(type);
    await scene.open();
    await scene.write(farewell(3503, "of a backend"), CONNECTED);
    expect(scene.frames).toHaveLength(3);
    scene.server.last("Open").write(endOfStream());
    await settled();
    expect(scene.end).toMatchObject({ code: 1006 });
  });
});

test.each(["unknown", "aborted", "invalid_argument", "canceled", "unavailable", "internal"])(
  "a stream that ends with %s is a lost connection",
  async (code) => {
    const scene = new Scene();
    await scene.open();
    scene.server
      .last("Open")
      .write(endOfStream({ code, message: "gone" }, { metadata: { "retry-after": ["3"] } }));
    await settled();
    expect(scene.end).toEqual({ code: 1006, reason: `${code}: gone`, retryAfterMs: 3_000 });
  },
);

test("whatever else ends a stream is a lost connection, and says why", async () => {
  const ends: [(call: ReturnType<ScriptedFetch["last"]>) => void, string][] = [
    [(call) => call.fail("network"), "network"],
    [(call) => call.respond(503, "", { "Retry-After": "7" }), "HTTP 503"],
    [(call) => call.respond(200, "<html>", { "Content-Type": "text/html" }), "HTTP 200"],
    [
      (call) => {
        call.stream("application/connect+json");
        call.finish();
      },
      "broke off",
    ],
    [
      (call) => {
        call.stream("application/connect+json");
        call.write(envelope(0, '{"pong":{}}'));
      },
      "opened",
    ],
    [
      (call) => {
        call.stream("application/connect+json");
        call.write(envelope(1, "zipped"));
      },
      "compressed",
    ],
    [
      (call) => {
        call.stream("application/connect+json");
        call.write(Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff));
      },
      "a message of 4294967295 bytes",
    ],
  ];
  for (const [end, text] of ends) {
    const scene = new Scene();
    await scene.open(false);
    end(scene.server.last("Open"));
    await settled();
    expect(scene.end?.code).toBe(1006);
    expect(scene.end?.reason).toContain(text);
    expect(scene.end?.retryAfterMs).toBe(text === "HTTP 503" ? 7_000 : 0);
    expect(scene.clock.timers).toBe(0);
  }
});

test("frames come whole, however the stream is cut into pieces", async () => {
  const bytes = [OPENED, CONNECTED, HEARTBEAT, CONNECTED].map((one) => frame("json", one));
  const all = new Uint8Array(bytes.flatMap((one) => [...one]));
  for (const size of [1, 3, 7, 1_000]) {
    const scene = new Scene();
    await scene.open(false);
    scene.server.last("Open").stream("application/connect+json");
    for (let at = 0; at < all.length; at += size) {
      scene.server.last("Open").write(all.slice(at, at + size));
    }
    await settled();
    await scene.clock.advance(0);
    expect(scene.told).toEqual(["opened", "frame", "frame", "alive", "frame"]);
  }
});

test("calls keep to the bounds of the server", async () => {
  expect([MOST_FRAMES, MOST_BYTES]).toEqual([MAX_SEND_MESSAGES, MAX_HELD_BYTES]);
  const scene = new Scene();
  await scene.open();
  scene.say("first");
  await settled();
  scene.say(...Array.from({ length: 70 }, (_, i) => `${i}`));
  const half = "x".repeat(150_000);
  scene.say(half, "ä".repeat(80_000), "y".repeat(300_000));
  for (let i = 0; i < 5; i++) await scene.take();
  const sizes = scene.server.of("Send").map(({ text }) => JSON.parse(text).messages.length);
  // A frame that is longer than all of them may be goes alone.
  expect(sizes).toEqual([1, 64, 7, 1, 1]);
  expect(scene.sends.map((one) => one.split(":")[0])).toEqual(["1", "2", "66", "73", "74"]);
});

test("a ping is a call, with or without something to say", async () => {
  const scene = new Scene();
  await scene.open();
  scene.transport.ping();
  await settled();
  expect(scene.sends).toEqual(["0: "]);
  expect(scene.told).not.toContain("alive");
  await scene.take();
  expect(scene.told.at(-1)).toBe("alive");
  scene.say("a");
  scene.transport.ping();
  await settled();
  await scene.take();
  expect(scene.sends).toEqual(["0: ", "1: a"]);
});

test("a stream without heartbeats is lost, but not for what comes after a late timer", async () => {
  const scene = new Scene();
  await scene.open();
  for (let i = 0; i < 10; i++) {
    await scene.clock.advance(14_000);
    await scene.write(HEARTBEAT);
  }
  await scene.clock.advance(55_500);
  // The page was frozen: the timer runs first, and then what has come in the meantime.
  await scene.write(HEARTBEAT);
  await scene.clock.advance(1_000);
  expect(scene.end).toBeUndefined();
  await scene.clock.advance(61_000);
  expect(scene.end).toMatchObject({ code: 1006, reason: "no heartbeat" });
  expect(scene.clock.timers).toBe(0);
});

test("messages that do not get through end the stream, though it goes on", async () => {
  for (const answer of ["lost", "none"]) {
    const scene = new Scene();
    await scene.open();
    scene.say("a");
    await settled();
    for (let ms = 0; ms < 120_000; ms += 1_000) {
      if (answer === "lost") scene.server.last("Send").fail();
      await scene.write(HEARTBEAT);
      await scene.clock.advance(1_000);
    }
    expect(new Set(scene.sends)).toEqual(new Set(["1: a"]));
    expect(scene.end).toMatchObject({ code: 1006, reason: "messages do not get through" });
    expect(scene.clock.timers).toBe(0);
  }
});

test("a call that finds no stream leaves the last word to the stream", async () => {
  const told = new Scene();
  const silent = new Scene();
  for (const scene of [told, silent]) {
    await scene.open();
    scene.say("a");
    await settled();
    scene.server.last("Send").respond(404, '{"code":"not_found"}');
    await settled();
    expect(scene.end).toBeUndefined();
  }
  await told.write(farewell(3503, "banned"));
  told.server.last("Open").write(endOfStream());
  await settled();
  expect(told.end).toMatchObject({ code: 3503 });
  await silent.clock.advance(1_000);
  expect(silent.end).toMatchObject({ code: 1006, reason: "there is no such stream" });
});

test.each([400, 401, 403, 413, 501])("a call that is refused with %i ends it", async (status) => {
  const scene = new Scene();
  await scene.open();
  scene.say("a");
  await settled();
  scene.server.last("Send").respond(status);
  await settled();
  await scene.clock.advance(1_000);
  expect(scene.end?.reason).toContain(`HTTP ${status}`);
  expect(scene.sends).toHaveLength(1);
});

test("close lets go of everything at once, and nothing is heard after it", async () => {
  const scene = new Scene();
  await scene.open();
  scene.say("a");
  await settled();
  scene.transport.close(1000, "bye");
  expect(scene.told).not.toContain("ended");
  expect(scene.server.calls.map(({ signal }) => signal?.aborted)).toEqual([true, true]);
  await settled();
  expect(scene.end).toEqual({ code: 1000, reason: "bye" });
  scene.say("b");
  scene.transport.ping();
  scene.transport.close(1000, "again");
  await settled();
  expect(scene.server.calls).toHaveLength(2);
  expect(scene.told.filter((one) => one === "ended")).toHaveLength(1);
  expect(scene.clock.timers).toBe(0);
});

test.each([
  ["ws://example.com/ws", "http://example.com/messageloop.v1.MessagingService/Open"],
  ["https://example.com", "https://example.com/messageloop.v1.MessagingService/Open"],
  ["wss://example.com/a/b?x=1", "https://example.com/a/messageloop.v1.MessagingService/Open"],
])("the service of %s is %s", async (url, open) => {
  const scene = new Scene("json", url);
  await scene.open(false);
  expect(scene.server.last("Open").url).toBe(open);
});

test.each(["ftp://x", "not a url", "/ws"])("%s is refused as a URL", (url) => {
  expect(() => new Scene("json", url)).toThrow(expect.objectContaining({ code: "BAD_REQUEST" }));
});

function client(options: ClientOptions = {}) {
  const clock = new ManualClock();
  const server = new ScriptedFetch();
  const transport = connectStream({ fetch: server.fetch, clock });
  const errors: string[] = [];
  const made = new Client(
    "wss://example.com/ws",
    { clock, transport, onError: ({ message }) => errors.push(message), ...options },
    undefined,
    true,
  );
  return { client: made, clock, server, errors };
}

test("a client is connected when the server says so, and neither by headers nor by opened", async () => {
  const { client: one, server, errors } = client();
  await settled();
  const call = server.last("Open");
  call.stream("application/connect+json");
  call.write(frame("json", OPENED));
  await settled();
  expect(one.state).toBe("connecting");
  call.write(frame("json", CONNECTED));
  await settled();
  expect(one.state).toBe("connected");
  call.write(frame("json", farewell(3512, "server going away")));
  call.write(endOfStream());
  await settled();
  expect([one.state, errors]).toEqual(["connecting", []]);
  await one.close();
});

test("a client comes back, or does not, by the close code alone", async () => {
  for (const [code, state] of [
    [3512, "connecting"],
    [3503, "closed"],
  ] as const) {
    const { client: one, clock, server } = client();
    await settled();
    const call = server.last("Open");
    call.stream("application/connect+json");
    for (const message of [OPENED, CONNECTED, farewell(code, "why")]) {
      call.write(frame("json", message));
    }
    call.write(endOfStream({ code: "canceled" }));
    await settled();
    expect(one.state).toBe(state);
    await clock.advance(20_000);
    await settled();
    expect(server.of("Open")).toHaveLength(state === "closed" ? 1 : 2);
    await one.close();
  }
});
