/** The proxy that checks of the SDK go through: it finds where it may say something, wherever packets begin and end. */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { FaultProxy } from "../support/fault-proxy.ts";
import { BINARY, closeFrame, FrameEnds, serverFrame, TEXT } from "../support/frame-ends.ts";
import {
  eventChunk,
  LAST_CHUNK,
  StreamEnds,
  streamChunk,
  streamEnd,
} from "../support/stream-ends.ts";

const ended: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ended.splice(0).reverse()) await end();
});

const UPGRADED = Buffer.from("HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\n");

test("frames of a WebSocket end where their lengths say, however they come", () => {
  const first = serverFrame(TEXT, Buffer.from("a"));
  first[0] = TEXT;
  const rest = serverFrame(0, Buffer.alloc(300));
  const parts = [UPGRADED, serverFrame(BINARY, Buffer.alloc(125)), first, rest];
  const all = Buffer.concat([...parts, closeFrame(1000, "bye")]);
  let at = 0;
  const expected = [...parts, closeFrame(1000, "bye")].map((part) => {
    at += part.length;
    return { at, whole: part !== first };
  });
  expect(new FrameEnds().take(all)).toEqual(expected);
  const slowly = new FrameEnds();
  const seen = [...all].flatMap((byte, i) =>
    slowly.take(Buffer.of(byte)).map(({ whole }) => ({ at: i + 1, whole })),
  );
  expect(seen).toEqual(expected);
  expect(slowly.whole).toBe(true);
});

test("a frame whose length has eight bytes ends where it says", () => {
  const head = Buffer.alloc(10);
  head[0] = 0x80 | BINARY;
  head[1] = 127;
  head.writeBigUInt64BE(70_000n, 2);
  const ends = new FrameEnds();
  ends.take(UPGRADED);
  expect(ends.take(Buffer.concat([head, Buffer.alloc(69_999)]))).toEqual([]);
  expect(ends.whole).toBe(false);
  expect(ends.take(Buffer.alloc(1))).toEqual([{ at: 1, whole: true }]);
});

test("messages of a stream end where their chunks do, after other answers and until it has ended", () => {
  const other = Buffer.from("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
  const head = Buffer.from(
    "HTTP/1.1 200 OK\r\nContent-Type: application/connect+json\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
  const [one, two] = [streamChunk(Buffer.from("{}")), streamChunk(Buffer.alloc(300))];
  // One message in two chunks.
  const prefix = Buffer.concat([
    Buffer.from("5\r\n"),
    Buffer.of(0, 0, 0, 0, 1),
    Buffer.from("\r\n"),
  ]);
  const body = Buffer.from("1\r\nx\r\n");
  const all = Buffer.concat([other, head, one, two, prefix, body, streamEnd(), other]);
  const begun = other.length + head.length;
  const expected = [
    begun + one.length,
    begun + one.length + two.length,
    begun + one.length + two.length + prefix.length + body.length,
  ];
  expect(new StreamEnds().take(all).map(({ at }) => at)).toEqual(expected);
  const slowly = new StreamEnds();
  const seen = [...all].flatMap((byte, i) =>
    slowly.take(Buffer.of(byte)).length > 0 ? [i + 1] : [],
  );
  expect(seen).toEqual(expected);
  expect(slowly.whole).toBe(false);
});

test("server-sent events end at their blank lines, and a comment between them is none", () => {
  const head = Buffer.from(
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
  const comment = Buffer.from("2\r\n:\n\r\n");
  const event = eventChunk("gap", { channel: "a" });
  // One event in two chunks.
  const [begin, rest] = [Buffer.from("7\r\ndata: 1\r\n"), Buffer.from("2\r\n\n\n\r\n")];
  const all = Buffer.concat([head, comment, event, begin, rest, comment, LAST_CHUNK]);
  const whole = [comment, event, Buffer.concat([begin, rest]), comment];
  let at = head.length;
  const expected = whole.map((part) => {
    at += part.length;
    return at;
  });
  expect(new StreamEnds().take(all).map((end) => end.at)).toEqual(expected);
  const slowly = new StreamEnds();
  const seen = [...all].flatMap((byte, i) =>
    slowly.take(Buffer.of(byte)).length > 0 ? [i + 1] : [],
  );
  expect(seen).toEqual(expected);
});

/** A proxy, a server after it that is the test, and one client of it. */
async function scene() {
  const accepted: Socket[] = [];
  let said = "";
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      said += chunk;
    });
    accepted.push(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const proxy = await FaultProxy.to(() => port);
  ended.push(() => new Promise((resolve) => server.close(resolve)));
  ended.push(() => proxy.close());
  const url = new URL(proxy.url("me"));
  const client = connect(Number(url.port), "127.0.0.1");
  ended.push(() => client.destroy());
  let heard = Buffer.alloc(0);
  client.on("error", () => {});
  client.on("data", (chunk) => {
    heard = Buffer.concat([heard, chunk]);
  });
  client.write(
    `GET ${url.pathname}${url.search} HTTP/1.1\r\nSec-WebSocket-Protocol: messageloop+json\r\n\r\n`,
  );
  await expect.poll(() => accepted.length).toBe(1);
  const side = accepted[0] as Socket;
  const crossing = proxy.crossings("me")[0];
  if (crossing === undefined) throw new Error("nobody has come");
  return { proxy, client, side, crossing, heard: () => heard, said: () => said };
}

test("a close comes after the frame that is on its way, and nothing after it", async () => {
  const { side, crossing, heard, client, proxy } = await scene();
  expect(proxy.attempts).toMatchObject([{ who: "me", line: "websocket" }]);
  expect(crossing).toMatchObject({ line: "websocket", encoding: "json" });
  const frame = serverFrame(TEXT, Buffer.from("hello"));
  side.write(Buffer.concat([UPGRADED, frame.subarray(0, 3)]));
  await expect.poll(() => heard().length).toBe(UPGRADED.length + 3);
  let told = 0;
  const close = closeFrame(3500, "no");
  crossing.end(close, () => {
    told += 1;
  });
  expect(told).toBe(0);
  side.write(Buffer.concat([frame.subarray(3), frame]));
  await once(client, "close");
  expect(told).toBe(1);
  expect(heard().equals(Buffer.concat([UPGRADED, frame, close]))).toBe(true);
});

test("what is delayed comes later and in its order, and what is deaf hears nothing", async () => {
  const { side, crossing, heard, said, client } = await scene();
  crossing.delay(50);
  side.write("a");
  await expect.poll(() => heard().toString()).toBe("a");
  crossing.delay(0);
  side.write("b");
  await expect.poll(() => heard().toString()).toBe("ab");
  crossing.hush("down");
  side.write("c");
  client.write("still heard");
  await expect.poll(said).toContain("still heard");
  crossing.cut();
  await once(client, "close");
  expect(heard().toString()).toBe("ab");
});

test("a connection that is torn ends in the middle of what comes next", async () => {
  const { side, crossing, heard, client } = await scene();
  crossing.tear();
  side.write("abcd");
  await once(client, "close");
  expect(heard().toString()).toBe("ab");
});
